// SPDX-License-Identifier: Apache-2.0
#pragma once
// Reductions without atomics, in an order that depends on the sizes only: over a block's threads (a block per row),
// and over the rows of a {rows, channels} array (columns).

#include <cstdint>

#include <tempera/cuda/each.cuh>
#include <tempera/cuda/launch.hpp>

namespace tempera::cuda_kernels {

constexpr int row_threads = 128;

constexpr int row_groups = 16;
constexpr int group_threads = row_threads / row_groups;

/// combine(...combine(x of thread 0, x of thread 1)..., x of the last) in groups, the same in every thread of a block of
/// row_threads. All threads must call it.
template <class Combine>
__device__ float block_reduce(float x, Combine combine) {
    __shared__ float of_thread[row_threads];
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
__device__ inline float block_sum(float x) { return block_reduce(x, add_floats{}); }
__device__ inline float block_max(float x) { return block_reduce(x, larger_float{}); }

/// Starts kernel(rows, arguments...) with one block per row.
template <class... Parameters, class... Arguments>
void launch_rows(void (*kernel)(Parameters...), std::int64_t rows, cudaStream_t stream, Arguments... arguments) {
    if (rows <= 0) return;
    launch(kernel, dim3(static_cast<unsigned>(rows)), dim3(row_threads), stream, arguments...);
}

// --- columns: result[c] = sum over rows of term(row, c), Count sums at once ------------------------------------------

template <int Count>
struct sums {
    float at[Count];
};

constexpr int column_width = 32;
constexpr int column_height = 8;

/// partial[split][k][c]: the sums over the rows of one split. Grid: channel tiles x splits.
template <int Count, class Term>
__global__ void column_partials(Term term, std::int64_t rows, int channels, float* partial) {
    __shared__ float tile[Count][column_height][column_width];
    int const c = static_cast<int>(blockIdx.x * column_width + threadIdx.x);
    sums<Count> total = {};
    std::int64_t const step = std::int64_t{gridDim.y} * column_height;
    if (c < channels)
        for (std::int64_t row = std::int64_t{blockIdx.y} * column_height + threadIdx.y; row < rows; row += step)
            term(row, c, total);
    for (int k = 0; k < Count; ++k) tile[k][threadIdx.y][threadIdx.x] = total.at[k];
    __syncthreads();
    if (threadIdx.y != 0 || c >= channels) return;
    for (int k = 0; k < Count; ++k) {
        float sum = 0;
        for (int y = 0; y < column_height; ++y) sum += tile[k][y][threadIdx.x];
        partial[(std::int64_t{blockIdx.y} * Count + k) * channels + c] = sum;
    }
}

template <int Count, class Finish>
struct finish_columns {
    Finish finish;
    std::int64_t splits;
    int channels;
    float const* partial;

    __device__ void operator()(std::int64_t i) const {
        auto const c = static_cast<int>(i);
        sums<Count> total = {};
        for (std::int64_t split = 0; split < splits; ++split)
            for (int k = 0; k < Count; ++k) total.at[k] += partial[(split * Count + k) * channels + c];
        finish(c, total);
    }
};

/// finish(c, sums over rows of term(row, c)) for every channel. `partial` holds column_floats(rows, channels, Count).
template <int Count, class Term, class Finish>
void columns(cudaStream_t stream, std::int64_t rows, int channels, Term term, Finish finish, float* partial) {
    if (channels <= 0) return;
    std::int64_t const splits = column_splits(rows);
    auto const tiles = static_cast<unsigned>((channels + column_width - 1) / column_width);
    launch(column_partials<Count, Term>, dim3(tiles, static_cast<unsigned>(splits)), dim3(column_width, column_height),
           stream, term, rows, channels, partial);
    each(stream, channels, finish_columns<Count, Finish>{finish, splits, channels, partial});
}

}  // namespace tempera::cuda_kernels
