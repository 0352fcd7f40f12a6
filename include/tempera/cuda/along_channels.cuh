// SPDX-License-Identifier: Apache-2.0
#pragma once
// Work on every element of {rows, channels} that depends on its channel: a thread keeps its channels, so that what is
// known of them stays in registers, and goes down the rows in packs of 16 bytes.

#include <algorithm>
#include <cstdint>
#include <initializer_list>

#include <tempera/cuda/each.cuh>
#include <tempera/cuda/launch.hpp>

namespace tempera::cuda_kernels {

template <int Width, class Work>
__global__ void along_channels_kernel(std::int64_t packs, int packs_per_row, Work work) {
    std::int64_t const threads = std::int64_t{gridDim.x} * blockDim.x / packs_per_row * packs_per_row;
    std::int64_t const first = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (first >= threads) return;
    auto const channels = work.template channels<Width>(static_cast<int>(first % packs_per_row) * Width);
    for (std::int64_t i = first; i < packs; i += threads) work(i * Width, channels);
}

/// work(i, work.channels<Width>(c)) for the elements i .. i + Width - 1 of channels c .. c + Width - 1, all of them. Packs
/// are of one element where channels are no multiple of 16 bytes, or one of the arrays is not aligned to them.
template <class T, class Work>
void along_channels(cudaStream_t stream, std::int64_t rows, int channels, Work work,
                    std::initializer_list<void const*> arrays) {
    if (rows <= 0 || channels <= 0) return;
    constexpr int width = 16 / static_cast<int>(sizeof(T));
    constexpr std::int64_t most_blocks = 2048;
    auto const start = [&](auto kernel, int of_pack) {
        int const packs_per_row = channels / of_pack;
        std::int64_t const packs = rows * packs_per_row;
        std::int64_t const fewest = (packs_per_row + each_threads - 1) / each_threads;  // a thread for every channel
        std::int64_t const blocks = std::max(fewest, std::min((packs + each_threads - 1) / each_threads, most_blocks));
        launch(kernel, dim3(static_cast<unsigned>(blocks)), dim3(each_threads), stream, packs, packs_per_row, work);
    };
    bool const whole = channels % width == 0 && std::all_of(arrays.begin(), arrays.end(), aligned_to_packs);
    if (whole) start(along_channels_kernel<width, Work>, width);
    else start(along_channels_kernel<1, Work>, 1);
}

}  // namespace tempera::cuda_kernels
