// SPDX-License-Identifier: Apache-2.0
#pragma once
// Moments of columns that a product's block takes of what it writes, part by part of its rows, and their merging into
// batch-norm statistics (columns.cuh). No part's values are read twice from device memory, and little cancels: a part's
// deviations are taken from one of its values, and turned to its mean.
//
//   part_moments[0][part][c] = mean_p   part_moments[1][part][c] = sum over the n_p rows of the part of (x - mean_p)^2

#include <tempera/cuda/batch_norm_statistics.cuh>
#include <tempera/cuda/staged_tile.cuh>

namespace tempera::cuda_kernels {

/// The moments of a part whose values this block's threads hold, the first `rows` rows of it in use, behind which no row lies
/// (they may be more than the part's); its columns are channels first_channel .. and its number `part`. The memory of the
/// tile is taken.
template <class T, int Columns>
__device__ void write_moments(staged_tile<T, Columns>& tile,
                              pack<T, chunk_elements> const (&values)[staged_tile<T, Columns>::rows_of_thread], int rows,
                              int part, int first_channel, int channels, float* part_moments) {
    using staged = staged_tile<T, Columns>;
    constexpr int warps = product_threads / warp_size;
    struct warp_sums {
        float deviations[warps][Columns];
        float squares[warps][Columns];
    };
    pack<float, chunk_elements> origin, deviations = {}, squares = {};
    for (int k = 0; k < chunk_elements; ++k) origin.at[k] = as_float(tile.at(0, staged::column() + k));
    TEMPERA_UNROLL
    for (int i = 0; i < staged::rows_of_thread; ++i) {
        if (staged::row(i) >= rows) continue;
        TEMPERA_UNROLL
        for (int k = 0; k < chunk_elements; ++k) {
            float const d = as_float(values[i].at[k]) - origin.at[k];
            deviations.at[k] += d;
            squares.at[k] += d * d;
        }
    }
    for (int lanes = staged::chunks; lanes < warp_size; lanes *= 2)  // the lanes with the same columns
        for (int k = 0; k < chunk_elements; ++k) {
            deviations.at[k] += of_lane_across(deviations.at[k], lanes);
            squares.at[k] += of_lane_across(squares.at[k], lanes);
        }
    auto const thread = static_cast<int>(threadIdx.x);
    float const start = thread < Columns ? as_float(tile.at(0, thread)) : 0;
    __syncthreads();  // the tile is read
    auto& sums = *static_cast<warp_sums*>(tile.memory());
    if (thread % warp_size < staged::chunks) {
        store_pack(&sums.deviations[thread / warp_size][staged::column()], deviations);
        store_pack(&sums.squares[thread / warp_size][staged::column()], squares);
    }
    __syncthreads();
    if (thread >= Columns || first_channel + thread >= channels) return;
    float deviation = 0, square = 0;
    for (int warp = 0; warp < warps; ++warp) {
        deviation += sums.deviations[warp][thread];
        square += sums.squares[warp][thread];
    }
    float const shift = deviation / static_cast<float>(rows < product_rows ? rows : product_rows);
    int const parts = part + (rows + product_rows - 1) / product_rows;
    float* const to = part_moments + std::int64_t{part} * channels + first_channel + thread;
    to[0] = start + shift;
    to[std::int64_t{parts} * channels] = fmaxf(square - deviation * shift, 0);
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
