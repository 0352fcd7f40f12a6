// SPDX-License-Identifier: Apache-2.0
#pragma once
// Moments of columns that a product's block takes of what it writes, part by part of its rows, and their merging into
// batch-norm statistics (columns.cuh). No part's values are read twice from device memory, and nothing cancels: deviations
// are from the mean of a few values, and moments of more are merged.
//
//   part_moments[0][part][c] = mean_p   part_moments[1][part][c] = sum over the n_p rows of the part of (x - mean_p)^2

#include <tempera/cuda/batch_norm.cuh>
#include <tempera/cuda/staged_tile.cuh>

namespace tempera::cuda_kernels {

/// The moments of a part whose values this block's threads hold, the first `rows` rows of it in use, behind which no
/// row lies (they may be more than the part's); its columns are
/// channels first_channel .. and its number `part`. memory: what the staged tile no longer needs.
template <class T, int Columns>
__device__ void write_moments(pack<T, chunk_elements> const (&values)[staged_tile<T, Columns>::rows_of_thread],
                              int rows, int part, int first_channel, int channels, void* memory, float* part_moments) {
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
    int const parts = part + (rows + product_rows - 1) / product_rows;
    float* const to = part_moments + std::int64_t{part} * channels + first_channel + column;
    to[0] = of_all;
    to[std::int64_t{parts} * channels] = sum;
}

/// The moments of the parts, as they are added up down their rows.
struct merge_work {
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
    __device__ void add(std::int64_t i, maps<Width> const& part, moments (&total)[Width]) const {
        float const count = i < last ? rows : rows_of_last;
        for (int k = 0; k < Width; ++k) total[k].add(moments{{count, part.mean.at[k], part.squares.at[k]}});
    }
};

constexpr int merge_threads = 512;
constexpr int merge_packs = 2;  ///< of a row: a block reads whole sectors of 32 bytes
static_assert(merge_packs * 4 == chunk_elements, "of which output channels are a multiple");

/// One launch for all parts, as there are few: many for few channels, few for many.
static __global__ void __launch_bounds__(merge_threads)
    merge_moments_kernel(merge_work work, int parts, int channels, finish_statistics finish) {
    constexpr int ahead = 4;
    constexpr int width = 4;
    int const c = channel_of_thread<width>();
    auto const part = static_cast<int>(threadIdx.y);
    auto const height = static_cast<int>(blockDim.y);
    moments total[width] = {};
    down_rows<ahead, width>(work, std::int64_t{part} * channels + c, height * channels,
                            (parts - part + height - 1) / height,
                            [&](std::int64_t i, auto const& loaded) { work.add(i, loaded, total); });
    add_down_block<merge_threads>(total);
    __shared__ moments of_channel[chunk_elements];
    if (part == 0)
        for (int k = 0; k < width; ++k) of_channel[threadIdx.x * width + k] = total[k];
    __syncthreads();
    // a thread for each channel, so that nobody waits for moving statistics more than once
    int const channel = part * merge_packs + static_cast<int>(threadIdx.x);
    if (channel < chunk_elements) finish(static_cast<int>(blockIdx.x) * chunk_elements + channel, of_channel[channel]);
}
inline void merge_moments(cudaStream_t stream, std::int64_t rows, int channels, float const* part_moments,
                          batch_norm_statistics_target const& target) {
    std::int64_t const parts = (rows + product_rows - 1) / product_rows;
    std::int64_t const last = (parts - 1) * channels;
    merge_work const work{part_moments, part_moments + parts * channels, last, static_cast<float>(product_rows),
                          static_cast<float>(rows - (parts - 1) * product_rows)};
    launch(merge_moments_kernel, dim3(static_cast<unsigned>(channels / chunk_elements)),
           dim3(merge_packs, merge_threads / merge_packs), stream, work, static_cast<int>(parts), channels,
           finish_statistics{target});
}

}  // namespace tempera::cuda_kernels
