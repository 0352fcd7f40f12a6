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

/// Of n values: their mean, and the sum of the squares of their deviations from it.
struct moment {
    float n, mean, squares;

    /// Of both sets (Chan, Golub and LeVeque 1979).
    __device__ void add(moment const& other) {
        if (other.n <= 0) return;
        float const all = n + other.n;
        float const d = other.mean - mean;
        mean += d * (other.n / all);
        squares += other.squares + d * d * (n * other.n / all);
        n = all;
    }
};

/// The moments of a part whose values this block's threads hold, `count` of the rows of each in use; its columns are channels
/// first_channel .. and its number `part`. memory: what the staged tile no longer needs.
template <class T, int Columns>
__device__ void write_moments(pack<T, chunk_elements> const (&values)[staged_tile<T, Columns>::rows_of_thread], int rows,
                              int part, int first_channel, int channels, void* memory, float* moments) {
    using tile = staged_tile<T, Columns>;
    struct group_moments {
        float mean[tile::groups][Columns];
        float squares[tile::groups][Columns];
    };
    auto& of_group = *static_cast<group_moments*>(memory);
    int const group = tile::row(0);
    auto const rows_of = [rows](int g) {  // of a group, in use
        int const count = (rows - g + tile::groups - 1) / tile::groups;
        return count < 0 ? 0 : count < tile::rows_of_thread ? count : tile::rows_of_thread;
    };
    __syncthreads();  // the tile is read
    int const count = rows_of(group);
    for (int k = 0; k < chunk_elements; ++k) {
        float sum = 0;
        for (int i = 0; i < tile::rows_of_thread; ++i)
            if (i < count) sum += as_float(values[i].at[k]);
        float const mean = count > 0 ? sum / static_cast<float>(count) : 0;
        float squares = 0;
        for (int i = 0; i < tile::rows_of_thread; ++i) {
            float const d = as_float(values[i].at[k]) - mean;
            if (i < count) squares += d * d;
        }
        of_group.mean[group][tile::column() + k] = mean;
        of_group.squares[group][tile::column() + k] = squares;
    }
    __syncthreads();
    auto const column = static_cast<int>(threadIdx.x);
    if (column >= Columns || first_channel + column >= channels) return;
    moment all = {};
    for (int g = 0; g < tile::groups; ++g)
        all.add({static_cast<float>(rows_of(g)), of_group.mean[g][column], of_group.squares[g][column]});
    float* const to = moments + std::int64_t{2} * part * channels + first_channel + column;
    to[0] = all.mean;
    to[channels] = all.squares;
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
