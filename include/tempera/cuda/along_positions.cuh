// SPDX-License-Identifier: Apache-2.0
#pragma once
// Work on every element of {batch, positions, channels} that depends on its sample and channel, and sums over positions:
// a thread keeps its channels of one sample and goes down the positions in packs of 16 bytes.

#include <cstdint>
#include <initializer_list>

#include <tempera/cuda/channel_tiles.cuh>
#include <tempera/cuda/each.cuh>
#include <tempera/cuda/launch.hpp>

namespace tempera::cuda_kernels {

/// Sums of a block over its threads of the same channels, in order, to partial[0 .. blockDim.x * Width - 1], and as many
/// of every other kind `pitch` behind those of the one before.
template <int Width, int Kinds>
__device__ void store_block_sums(float const (&sum)[Width * Kinds], int channels, std::int64_t pitch, float* partial) {
    constexpr int all = position_threads * Width;
    alignas(16) __shared__ float of_thread[Kinds * all];
    int const columns = static_cast<int>(blockDim.x) * Width;
    int const thread = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x);
    for (int kind = 0; kind < Kinds; ++kind)
        for (int k = 0; k < Width; ++k) of_thread[kind * all + thread * Width + k] = sum[kind * Width + k];
    __syncthreads();
    if (thread >= columns || thread >= channels) return;
    for (int kind = 0; kind < Kinds; ++kind) {
        float total = 0;
        for (unsigned y = 0; y < blockDim.y; ++y)
            total += of_thread[kind * all + static_cast<int>(y) * columns + thread];
        partial[kind * pitch + thread] = total;
    }
}

/// What a thread knows of its channels goes with every load.
template <class Work, class Known>
struct loads_of_thread {
    Work const& work;
    Known const& known;
    int c;

    template <int Width>
    __device__ auto load(std::int64_t row) const {
        return work.template load<Width>(row, c, known);
    }
};

/// Grid: (tiles of channels x samples) x splits of positions. Three blocks at a time where registers suffice.
template <int Width, class Work>
__global__ void __launch_bounds__(position_threads, Work::sums > 1 ? 3 : 2)
    along_positions_kernel(std::int64_t positions, int channels, int tiles, position_splits splits, Work work, float* partial) {
    int const sample = static_cast<int>(blockIdx.x) / tiles;
    int const tile = static_cast<int>(blockIdx.x) % tiles * static_cast<int>(blockDim.x) * Width;
    int const c = tile + static_cast<int>(threadIdx.x) * Width;
    float sum[Width * (Work::sums > 1 ? Work::sums : 1)] = {};
    if (c < channels) {
        auto const factors = work.template factors<Width>(sample, c);
        std::int64_t const first = blockIdx.y * splits.positions;
        std::int64_t const last = first + splits.positions < positions ? first + splits.positions : positions;
        auto const use = [&](std::int64_t row, auto const& loaded) { work(row, c, factors, loaded, sum); };
        loads_of_thread<Work, decltype(factors)> const loads{work, factors, c};
        std::int64_t const begin = sample * positions + first + threadIdx.y;
        std::int64_t const end = sample * positions + last;
        auto const down = static_cast<int>(blockDim.y);
        if constexpr (Work::ahead == 1)  // so few registers that threads enough are there
            for (std::int64_t row = begin; row < end; row += down) use(row, loads.template load<Width>(row));
        else
            down_rows<Work::ahead, Width>(loads, begin, down, static_cast<int>((end - begin + down - 1) / down), use);
    }
    if constexpr (Work::sums > 0) {
        std::int64_t const samples = gridDim.x / static_cast<unsigned>(tiles);
        store_block_sums<Width, Work::sums>(
            sum, channels - tile, samples * channels,
            partial + (blockIdx.y * Work::sums * samples + sample) * channels + tile);
    }
}

/// work(row, c, factors, loaded, sum) for all rows sample * positions + p and channels c .. c + Width - 1, where factors is
/// work.factors<Width>(sample, c) and loaded is work.load<Width>(row, c, factors), Work::ahead of them at a time. What work
/// adds to sum is added up over positions to partial[split][kind][sample][channel], for Work::sums kinds (sum holds Width of
/// each). Packs are of one element where channels are no multiple of 16 bytes, or one of the arrays is not aligned to them.
template <class T, class Work>
void along_positions(cudaStream_t stream, int batch, std::int64_t positions, int channels, Work work,
                     std::initializer_list<void const*> arrays, float* partial = nullptr) {
    if (batch <= 0 || channels <= 0) return;
    constexpr int width = 16 / static_cast<int>(sizeof(T));
    position_splits const splits(batch, positions, channels, width);
    with_pack_width<T>(channels, arrays, [&](auto of_pack) {
        int const of_tile = splits.across * of_pack;
        int const tiles = (channels + of_tile - 1) / of_tile;
        launch(along_positions_kernel<of_pack(), Work>,
               dim3(static_cast<unsigned>(tiles * batch), static_cast<unsigned>(splits.count)),
               dim3(static_cast<unsigned>(splits.across), static_cast<unsigned>(splits.down)), stream, positions,
               channels, tiles, splits, work, partial);
    });
}

/// finish(i, the sum over positions) for every i = sample * channels + channel.
template <class Finish>
struct finish_positions {
    Finish finish;
    int splits;
    std::int64_t sums;  ///< of a split
    float const* partial;

    __device__ void operator()(std::int64_t i) const {
        float total = 0;
        for (int split = 0; split < splits; ++split) total += partial[split * sums + i];
        finish(i, total);
    }
};
template <class T, class Finish>
void add_position_splits(cudaStream_t stream, int batch, std::int64_t positions, int channels, Finish finish,
                         float const* partial) {
    position_splits const splits(batch, positions, channels, 16 / static_cast<int>(sizeof(T)));
    std::int64_t const sums = std::int64_t{batch} * channels;
    each(stream, sums, finish_positions<Finish>{finish, splits.count, sums, partial});
}

}  // namespace tempera::cuda_kernels
