// SPDX-License-Identifier: Apache-2.0
#pragma once
// Work on every element of {rows, channels} that depends on its channel (channel_tiles.cuh). It begins with the last rows:
// those were touched last by who wrote or summed the maps, and lie in the second-level cache.

#include <tempera/cuda/channel_tiles.cuh>
#include <tempera/cuda/each.cuh>

namespace tempera::cuda_kernels {

constexpr int along_threads = 128;

template <int Width, class Work>
__global__ void __launch_bounds__(along_threads, 5)
    along_channels_kernel(std::int64_t rows, int channels, int rows_of_block, Work work) {
    int const c = channel_of_thread<Width>();
    if (c >= channels) return;
    std::int64_t const first = std::int64_t{gridDim.y - 1 - blockIdx.y} * rows_of_block + threadIdx.y;
    std::int64_t const left = rows - first + threadIdx.y;  // of the block and those behind it
    auto const height = static_cast<int>(blockDim.y);
    int const last = left < rows_of_block ? static_cast<int>(left) : rows_of_block;
    int const count = (last - static_cast<int>(threadIdx.y) + height - 1) / height;
    auto const known = work.template channels<Width>(c);
    down_rows<Work::ahead, Width>(work, first * channels + c, height * channels, count,
                                  [&](std::int64_t i, auto const& loaded) { work(i, loaded, known); });
}

/// work(i, work.load<Width>(i), work.channels<Width>(c)) for the elements i .. i + Width - 1 of channels
/// c .. c + Width - 1, all of them.
template <class T, class Work>
void along_channels(cudaStream_t stream, std::int64_t rows, int channels, Work work,
                    std::initializer_list<void const*> arrays) {
    if (rows <= 0 || channels <= 0) return;
    constexpr std::int64_t enough_blocks = 1320;  // two rounds of five blocks on each of 132 multiprocessors
    constexpr std::int64_t most_packs = 16;       // of a thread: enough to pay for what it finds out of its channels
    constexpr std::int64_t most_blocks = 65535;
    with_pack_width<T>(channels, arrays, [&](auto width) {
        int const packs_of_row = channels / width;
        channel_tiles const tiles(packs_of_row, along_threads);
        std::int64_t const packs =
            std::clamp<std::int64_t>(rows * packs_of_row / (enough_blocks * along_threads), Work::ahead, most_packs);
        std::int64_t const fewest_rows = (rows + most_blocks - 1) / most_blocks;
        auto const rows_of_block = static_cast<int>(std::max(packs * tiles.height, fewest_rows));
        auto const blocks = static_cast<unsigned>((rows + rows_of_block - 1) / rows_of_block);
        launch(along_channels_kernel<width, Work>, dim3(static_cast<unsigned>(tiles.count), blocks), tiles.block(),
               stream, rows, channels, rows_of_block, work);
    });
}

}  // namespace tempera::cuda_kernels
