// SPDX-License-Identifier: Apache-2.0
#pragma once
// L2 normalization of rows, a block per row: u = x r, r = 1 / sqrt(max(sum x^2, 1e-12)).
// Backward: dx = r (dy - u (u . dy)), and r dy where the maximum held.

#include <tempera/cuda/launch.hpp>
#include <tempera/cuda/rows.cuh>

namespace tempera::cuda_kernels {

__device__ inline float inverse_root(float sum) { return 1 / sqrtf(fmaxf(sum, 1e-12F)); }

template <class T>
__global__ void l2_normalize_forward_kernel(int channels, T const* x, T* y, float* inverse_norm) {
    std::int64_t const row = blockIdx.x;
    x += row * channels;
    y += row * channels;
    float sum = 0;
    for (int c = static_cast<int>(threadIdx.x); c < channels; c += row_threads) sum += as_float(x[c]) * as_float(x[c]);
    float const inverse = inverse_root(block_sum(sum));
    for (int c = static_cast<int>(threadIdx.x); c < channels; c += row_threads) put(y[c], as_float(x[c]) * inverse);
    if (threadIdx.x == 0) inverse_norm[row] = inverse;
}
template <class T>
void l2_normalize_forward(cudaStream_t stream, std::int64_t rows, int channels, T const* x, T* y, float* inverse_norm) {
    launch_rows(l2_normalize_forward_kernel<T>, rows, stream, channels, x, y, inverse_norm);
}

template <class T>
__global__ void l2_normalize_backward_kernel(int channels, T const* y, float const* inverse_norm, T const* dy, T* dx,
                                             store mode) {
    std::int64_t const row = blockIdx.x;
    y += row * channels;
    dy += row * channels;
    dx += row * channels;
    float sum = 0;
    for (int c = static_cast<int>(threadIdx.x); c < channels; c += row_threads) sum += as_float(y[c]) * as_float(dy[c]);
    sum = block_sum(sum);
    float const inverse = inverse_norm[row];
    float const along = inverse >= inverse_root(0) ? 0 : sum;
    for (int c = static_cast<int>(threadIdx.x); c < channels; c += row_threads)
        put(dx[c], inverse * (as_float(dy[c]) - as_float(y[c]) * along), mode);
}
template <class T>
void l2_normalize_backward(cudaStream_t stream, std::int64_t rows, int channels, T const* y, float const* inverse_norm,
                           T const* dy, T* dx, store mode) {
    launch_rows(l2_normalize_backward_kernel<T>, rows, stream, channels, y, inverse_norm, dy, dx, mode);
}

}  // namespace tempera::cuda_kernels
