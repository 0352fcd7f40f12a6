// SPDX-License-Identifier: Apache-2.0
#pragma once
// Moments of columns that a product's block takes of what it writes, part by part of its rows, and their merging into
// batch-norm statistics. No part's values are read twice from device memory, and nothing cancels: the deviations of a
// part are from its own mean.
//
//   moments[part][0][c] = mean_p      moments[part][1][c] = sum over the n_p rows of the part of (x - mean_p)^2
//   mean = sum_p n_p mean_p / n       variance = sum_p (moments[p][1] + n_p (mean_p - mean)^2) / n

#include <tempera/cuda/batch_norm.cuh>
#include <tempera/cuda/block_product.cuh>

namespace tempera::cuda_kernels {

/// The sum of x over the threads of a column, in their order. All threads must call it.
template <int Columns>
__device__ float column_sum(staged_product<Columns> const& part, float x) {
    auto const thread = static_cast<int>(threadIdx.x);
    __syncthreads();  // the rows are written, and the sums of an earlier call read
    part.of_thread(thread) = x;
    __syncthreads();
    float sum = 0;
    for (int i = thread % Columns; i < product_threads; i += Columns) sum += part.of_thread(i);
    return sum;
}

/// The moments of the first `rows` rows of a part, which has this number; its columns are channels first_channel ..
template <int Columns>
__device__ void write_moments(staged_product<Columns> const& part, int rows, int number, int first_channel,
                              int channels, float* moments) {
    constexpr int rows_of_thread = staged_product<Columns>::rows * Columns / product_threads;
    int const column = static_cast<int>(threadIdx.x) % Columns;
    int const first = static_cast<int>(threadIdx.x) / Columns * rows_of_thread;
    int const count = rows < part.rows ? rows : part.rows;
    int const last = first + rows_of_thread < count ? first + rows_of_thread : count;
    __syncthreads();  // the part holds what was stored
    float sum = 0;
    for (int row = first; row < last; ++row) sum += part.at(row, column);
    float const mean = column_sum(part, sum) / static_cast<float>(count);
    float squares = 0;
    for (int row = first; row < last; ++row) {
        float const d = part.at(row, column) - mean;
        squares += d * d;
    }
    squares = column_sum(part, squares);
    if (first > 0 || first_channel + column >= channels) return;
    float* const to = moments + std::int64_t{2} * number * channels + first_channel + column;
    to[0] = mean;
    to[channels] = squares;
}

struct part_moments {
    std::int64_t rows;
    int part_rows;
    int channels;
    float const* moments;

    __device__ float count(std::int64_t part) const {
        std::int64_t const left = rows - part * part_rows;
        return static_cast<float>(left < part_rows ? left : part_rows);
    }
    __device__ float mean(std::int64_t part, int c) const { return moments[2 * part * channels + c]; }
    __device__ float squares(std::int64_t part, int c) const { return moments[(2 * part + 1) * channels + c]; }
};
struct part_mean_term {
    part_moments parts;
    __device__ void operator()(std::int64_t part, int c, sums<1>& total) const {
        total.at[0] += parts.count(part) * parts.mean(part, c);
    }
};
struct part_variance_term {
    part_moments parts;
    float const* mean;
    __device__ void operator()(std::int64_t part, int c, sums<1>& total) const {
        float const d = parts.mean(part, c) - mean[c];
        total.at[0] += parts.squares(part, c) + parts.count(part) * d * d;
    }
};
/// Scratch for the sums lies behind the moments.
inline void merge_moments(cudaStream_t stream, std::int64_t rows, int part_rows, int channels, float* moments,
                          float* mean, float* variance) {
    std::int64_t const count = (rows + part_rows - 1) / part_rows;
    part_moments const parts{rows, part_rows, channels, moments};
    float* const scratch = moments + 2 * count * channels;
    columns<1>(stream, count, channels, part_mean_term{parts}, finish_mean{rows, mean}, scratch);
    columns<1>(stream, count, channels, part_variance_term{parts, mean}, finish_mean{rows, variance}, scratch);
}

}  // namespace tempera::cuda_kernels
