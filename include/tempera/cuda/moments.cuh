// SPDX-License-Identifier: Apache-2.0
#pragma once
// Moments of columns that a product's block takes of what it writes, part by part of its rows, and their merging into
// batch-norm statistics. No part's values are read twice from device memory, and nothing cancels: deviations are from the
// mean of a few values, and moments of more are merged.
//
//   moments[part][0][c] = mean_p      moments[part][1][c] = sum over the n_p rows of the part of (x - mean_p)^2
//   mean = sum_p n_p mean_p / n       variance = sum_p (moments[p][1] + n_p (mean_p - mean)^2) / n

#include <tempera/cuda/batch_norm.cuh>
#include <tempera/cuda/staged_tile.cuh>

namespace tempera::cuda_kernels {

/// The moments of a part whose values this block's threads hold, the first `rows` rows of it in use; its columns are
/// channels first_channel .. and its number `part`. memory: what the staged tile no longer needs.
template <class T, int Columns>
__device__ void write_moments(pack<T, chunk_elements> const (&values)[staged_tile<T, Columns>::rows_of_thread], int rows,
                              int part, int first_channel, int channels, void* memory, float* moments) {
    using tile = staged_tile<T, Columns>;
    struct group_moments {
        float mean[tile::groups][Columns];
        float squares[tile::groups][Columns];
    };
    auto& of_group = *static_cast<group_moments*>(memory);
    auto const rows_of = [rows](int group) {  // in use
        int const count = (rows - group + tile::groups - 1) / tile::groups;
        return static_cast<float>(count < 0 ? 0 : count < tile::rows_of_thread ? count : tile::rows_of_thread);
    };
    int const group = tile::row(0);
    float const count = rows_of(group);
    float const inverse = count > 0 ? 1 / count : 0;
    pack<float, chunk_elements> mean = {}, squares = {};
    for (int k = 0; k < chunk_elements; ++k) {
        for (int i = 0; i < tile::rows_of_thread; ++i)
            if (static_cast<float>(i) < count) mean.at[k] += as_float(values[i].at[k]);
        mean.at[k] *= inverse;
        for (int i = 0; i < tile::rows_of_thread; ++i) {
            float const d = as_float(values[i].at[k]) - mean.at[k];
            if (static_cast<float>(i) < count) squares.at[k] += d * d;
        }
    }
    __syncthreads();  // the tile is read
    store_pack(&of_group.mean[group][tile::column()], mean);
    store_pack(&of_group.squares[group][tile::column()], squares);
    __syncthreads();
    auto const column = static_cast<int>(threadIdx.x);
    if (column >= Columns || first_channel + column >= channels) return;
    float of_all = 0;
    for (int g = 0; g < tile::groups; ++g) of_all += rows_of(g) * of_group.mean[g][column];
    of_all /= static_cast<float>(rows < product_rows ? rows : product_rows);
    float sum = 0;
    for (int g = 0; g < tile::groups; ++g) {
        float const d = of_group.mean[g][column] - of_all;
        sum += of_group.squares[g][column] + rows_of(g) * (d * d);
    }
    float* const to = moments + std::int64_t{2} * part * channels + first_channel + column;
    to[0] = of_all;
    to[channels] = sum;
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
inline void merge_moments(cudaStream_t stream, std::int64_t rows, int channels, float* moments, float* mean,
                          float* variance) {
    std::int64_t const count = (rows + product_rows - 1) / product_rows;
    part_moments const parts{rows, product_rows, channels, moments};
    float* const scratch = moments + 2 * count * channels;
    columns<1>(stream, count, channels, part_mean_term{parts}, finish_mean{rows, mean}, scratch);
    columns<1>(stream, count, channels, part_variance_term{parts, mean}, finish_mean{rows, variance}, scratch);
}

}  // namespace tempera::cuda_kernels
