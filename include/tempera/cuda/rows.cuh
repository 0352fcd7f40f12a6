// SPDX-License-Identifier: Apache-2.0
#pragma once
// Reductions over a block's threads, a block per row, without atomics and in an order that depends on the sizes only.

#include <cstdint>

#include <tempera/cuda/each.cuh>
#include <tempera/cuda/launch.hpp>

namespace tempera::cuda_kernels {

constexpr int row_threads = 128;

constexpr int row_groups = 16;

/// combine(...combine(x of thread 0, x of thread 1)..., x of the last) in groups, the same in every thread of a block of
/// so many. All threads must call it.
template <int Threads, class Combine>
__device__ float block_reduce(float x, Combine combine) {
    constexpr int group_threads = Threads / row_groups;
    __shared__ float of_thread[Threads];
    __shared__ float of_group[row_groups];
    of_thread[threadIdx.x] = x;
    __syncthreads();  // also: readers of an earlier call's of_group are done
    if (threadIdx.x < row_groups) {
        float total = of_thread[threadIdx.x * group_threads];
        for (unsigned i = 1; i < group_threads; ++i) total = combine(total, of_thread[threadIdx.x * group_threads + i]);
        of_group[threadIdx.x] = total;
    }
    __syncthreads();
    float total = of_group[0];
    for (int i = 1; i < row_groups; ++i) total = combine(total, of_group[i]);
    return total;
}

struct add_floats {
    __device__ float operator()(float a, float b) const { return a + b; }
};
/// NaN wins.
struct larger_float {
    __device__ float operator()(float a, float b) const { return a >= b || a != a ? a : b; }
};
template <int Threads = row_threads>
__device__ float block_sum(float x) {
    return block_reduce<Threads>(x, add_floats{});
}
template <int Threads = row_threads>
__device__ float block_max(float x) {
    return block_reduce<Threads>(x, larger_float{});
}

/// Starts kernel(arguments...) with one block per row.
template <int Threads = row_threads, class... Parameters, class... Arguments>
void launch_rows(void (*kernel)(Parameters...), std::int64_t rows, cudaStream_t stream, Arguments... arguments) {
    if (rows <= 0) return;
    launch(kernel, dim3(static_cast<unsigned>(rows)), dim3(Threads), stream, arguments...);
}

}  // namespace tempera::cuda_kernels
