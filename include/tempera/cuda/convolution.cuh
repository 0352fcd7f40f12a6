// SPDX-License-Identifier: Apache-2.0
#pragma once
// Kernels around the matrix products of convolution.hpp: the column matrix of some samples, its transpose as a
// gather (each input position collects what its windows took; no atomics), and biases.

#include <tempera/cuda/columns.cuh>
#include <tempera/cuda/launch.hpp>

namespace tempera::cuda_kernels {

template <class T>
struct gather_columns_at {
    convolution_geometry g;
    T const* x;  ///< first sample of the chunk
    T* columns;
    __device__ void operator()(std::int64_t at) const {
        auto const c = static_cast<int>(at % g.in_channels);
        std::int64_t rest = at / g.in_channels;
        auto const s = static_cast<int>(rest % g.kernel);
        rest /= g.kernel;
        auto const r = static_cast<int>(rest % g.kernel);
        rest /= g.kernel;
        auto const j = static_cast<int>(rest % g.out_width);
        rest /= g.out_width;
        auto const i = static_cast<int>(rest % g.out_height);
        std::int64_t const n = rest / g.out_height;
        int const row = i * g.stride + r - g.pad_top;
        int const column = j * g.stride + s - g.pad_left;
        bool const inside = row >= 0 && row < g.in_height && column >= 0 && column < g.in_width;
        put(columns[at], inside ? as_float(x[((n * g.in_height + row) * g.in_width + column) * g.in_channels + c]) : 0);
    }
};
template <class T>
void gather_columns(cudaStream_t stream, convolution_geometry const& g, int first, int samples, T const* x,
                    T* columns) {
    T const* const start = x + std::int64_t{first} * g.in_height * g.in_width * g.in_channels;
    std::int64_t const positions = std::int64_t{samples} * g.out_height * g.out_width;
    each(stream, positions * g.kernel * g.kernel * g.in_channels, gather_columns_at<T>{g, start, columns});
}

template <class T>
struct gather_gradient_at {
    convolution_geometry g;
    float const* dcolumns;
    T* dx;  ///< first sample of the chunk
    store mode;
    __device__ void operator()(std::int64_t at) const {
        auto const c = static_cast<int>(at % g.in_channels);
        std::int64_t rest = at / g.in_channels;
        auto const column = static_cast<int>(rest % g.in_width);
        rest /= g.in_width;
        auto const row = static_cast<int>(rest % g.in_height);
        std::int64_t const n = rest / g.in_height;
        float sum = 0;
        for (int r = 0; r < g.kernel; ++r) {
            int const top = row + g.pad_top - r;
            if (top < 0 || top % g.stride != 0 || top / g.stride >= g.out_height) continue;
            for (int s = 0; s < g.kernel; ++s) {
                int const left = column + g.pad_left - s;
                if (left < 0 || left % g.stride != 0 || left / g.stride >= g.out_width) continue;
                std::int64_t const position = (n * g.out_height + top / g.stride) * g.out_width + left / g.stride;
                sum += dcolumns[((position * g.kernel + r) * g.kernel + s) * g.in_channels + c];
            }
        }
        put(dx[at], sum, mode);
    }
};
template <class T>
void gather_gradient(cudaStream_t stream, convolution_geometry const& g, int first, int samples, float const* dcolumns,
                     T* dx, store mode) {
    std::int64_t const sample = std::int64_t{1} * g.in_height * g.in_width * g.in_channels;
    each(stream, samples * sample, gather_gradient_at<T>{g, dcolumns, dx + first * sample, mode});
}

template <class T>
struct bias_work : any_channels {
    T const* dy;

    template <int Width>
    __device__ pack<T, Width> load(std::int64_t i) const {
        return load_pack<Width>(dy + i);
    }
    template <int Width>
    __device__ void operator()(std::int64_t, pack<T, Width> const& dy_, nothing<Width>, sums<1> (&total)[Width]) const {
        for (int k = 0; k < Width; ++k) total[k].at[0] += as_float(dy_.at[k]);
    }
};
struct finish_bias {
    float* dbias;
    store mode;
    __device__ void operator()(int c, sums<1> const& total) const { put(dbias[c], total.at[0], mode); }
};
template <class T>
void bias_gradient(cudaStream_t stream, std::int64_t rows, int channels, T const* dy, float* dbias, store mode,
                   float* scratch) {
    columns<T, sums<1>>(stream, rows, channels, bias_work<T>{{}, dy}, {dy}, finish_bias{dbias, mode}, scratch);
}

}  // namespace tempera::cuda_kernels
