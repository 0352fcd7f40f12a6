// SPDX-License-Identifier: Apache-2.0
#pragma once
// Work on every element of {rows, columns, channels} that depends on where it is: a block keeps its row, so that numbers
// are divided once for all its threads, and by 32 bits in a row, and a thread takes packs of channels.

#include <algorithm>
#include <cstdint>
#include <initializer_list>

#include <tempera/cuda/channel_tiles.cuh>
#include <tempera/cuda/each.cuh>
#include <tempera/cuda/launch.hpp>

namespace tempera::cuda_kernels {

/// Elements channel .. channel + Width - 1 of a column.
template <int Width>
struct row_place {
    int row, column, channel;
};

constexpr int row_packs = 4 * each_threads;  ///< of a block at most

/// Blocks: every row in parts of row_packs.
template <int Width, class Work>
__global__ void along_rows_kernel(int columns, int packs, int parts, Work work) {
    auto const block = static_cast<int>(blockIdx.x);
    int const first = block % parts * row_packs;
    int const left = columns * packs - first;
    int const last = first + (left < row_packs ? left : row_packs);
    for (int i = first + static_cast<int>(threadIdx.x); i < last; i += static_cast<int>(blockDim.x))
        work(row_place<Width>{block / parts, i / packs, i % packs * Width});
}

/// work(row_place) for every pack of Width channels, which divides them. A row has less than 2^31 elements.
template <int Width, class Work>
void along_rows(cudaStream_t stream, std::int64_t rows, int columns, int channels, Work work) {
    if (rows <= 0 || columns <= 0 || channels <= 0) return;
    int const packs = channels / Width;
    int const parts = (columns * packs + row_packs - 1) / row_packs;
    int const threads = std::min(each_threads, (columns * packs + 31) / 32 * 32);
    launch(along_rows_kernel<Width, Work>, dim3(static_cast<unsigned>(rows * parts)),
           dim3(static_cast<unsigned>(threads)), stream, columns, packs, parts, work);
}

/// In packs of 16 bytes of T, or of one element where channels are no multiple of that or an array is not aligned to it.
template <class T, class Work>
void along_rows(cudaStream_t stream, std::int64_t rows, int columns, int channels, Work work,
                std::initializer_list<void const*> arrays) {
    with_pack_width<T>(channels, arrays,
                       [&](auto width) { along_rows<width()>(stream, rows, columns, channels, work); });
}

}  // namespace tempera::cuda_kernels
