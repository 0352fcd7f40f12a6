// SPDX-License-Identifier: Apache-2.0
#pragma once
// Moments of columns that a product's block takes of what it writes, part by part of its rows, and their merging into
// batch-norm statistics (columns.cuh). No part's values are read twice from device memory, and nothing cancels: the
// deviations of a part are from its own mean.
//
//   part_moments[0][part][c] = mean_p   part_moments[1][part][c] = sum over the n_p rows of the part of (x - mean_p)^2

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

/// The moments of the first `rows` rows of a part, which has this number; its columns are channels first_channel .. No row
/// lies behind these `rows`, which may be more than the part's.
template <int Columns>
__device__ void write_moments(staged_product<Columns> const& part, int rows, int number, int first_channel,
                              int channels, float* part_moments) {
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
    std::int64_t const parts = number + (rows + part.rows - 1) / part.rows;
    float* const to = part_moments + std::int64_t{number} * channels + first_channel + column;
    to[0] = mean;
    to[parts * channels] = squares;
}

struct merge_work : any_channels {
    float const* mean;
    float const* squares;
    std::int64_t last;  ///< the first element of the last part
    float rows;         ///< of a part
    float rows_of_last;

    template <int Width>
    struct maps {
        pack<float, Width> mean;
        pack<float, Width> squares;
    };
    template <int Width>
    __device__ maps<Width> load(std::int64_t i) const {
        return {load_pack<Width>(mean + i), load_pack<Width>(squares + i)};
    }
    template <int Width>
    __device__ void operator()(std::int64_t i, maps<Width> const& part, nothing<Width>, moments (&total)[Width]) const {
        float const count = i < last ? rows : rows_of_last;
        for (int k = 0; k < Width; ++k) total[k].add(moments{{count, part.mean.at[k], part.squares.at[k]}});
    }
};
/// Scratch for the sums lies behind the parts' moments.
inline void merge_moments(cudaStream_t stream, std::int64_t rows, int part_rows, int channels, float* part_moments,
                          float* mean, float* variance) {
    std::int64_t const parts = (rows + part_rows - 1) / part_rows;
    std::int64_t const last = (parts - 1) * channels;
    float const* const squares = part_moments + parts * channels;
    merge_work const work{{},
                          part_moments,
                          squares,
                          last,
                          static_cast<float>(part_rows),
                          static_cast<float>(rows - (parts - 1) * part_rows)};
    columns<float, moments>(stream, parts, channels, work, {part_moments, squares}, finish_statistics{mean, variance},
                            part_moments + 2 * parts * channels);
}

}  // namespace tempera::cuda_kernels
