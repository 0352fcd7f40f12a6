// SPDX-License-Identifier: Apache-2.0
#pragma once
// How a block's threads lie over {rows, channels}: each keeps the channels of one pack of 16 bytes, so that what is known
// of them stays in registers, and goes down the rows. One load per thread does not keep the memory busy: several are
// under way before the first is used.

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <type_traits>

#include <tempera/cuda/elements.cuh>
#include <tempera/cuda/launch.hpp>

namespace tempera::cuda_kernels {

/// Tiles of at most 32 packs of a row, as equal as they can be; the threads of a block that remain go further down.
struct channel_tiles {
    int count;
    int width;   ///< threads across
    int height;  ///< threads down

    channel_tiles(int packs_of_row, int threads)
        : count((packs_of_row + 31) / 32), width((packs_of_row + count - 1) / count), height(threads / width) {}

    dim3 block() const { return dim3(static_cast<unsigned>(width), static_cast<unsigned>(height)); }
};

/// The first channel of this thread's pack; not below the number of channels where a row has no such pack.
template <int Width>
__device__ int channel_of_thread() {
    return static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x) * Width;
}

/// use(i, work.load<Width>(i)) for `count` elements i = first, first + step, ..., Ahead loads at a time. Behind the last
/// a load is repeated, not left out: behind a branch each 16-bit element would take a register of its own.
template <int Ahead, int Width, class Work, class Use>
__device__ void down_rows(Work const& work, std::int64_t first, int step, int count, Use use) {
    for (std::int64_t i = first; count > 0; i += Ahead * step, count -= Ahead) {
        decltype(work.template load<Width>(i)) loaded[Ahead];
        for (int k = 0; k < Ahead; ++k) loaded[k] = work.template load<Width>(k < count ? i + k * step : i);
        for (int k = 0; k < Ahead; ++k)
            if (k < count) use(i + k * step, loaded[k]);
    }
}

/// start(std::integral_constant<int, width of a pack>): 16 bytes of T, or one element where channels are no multiple of
/// that or one of the arrays is not aligned to it.
template <class T, class Start>
void with_pack_width(int channels, std::initializer_list<void const*> arrays, Start start) {
    constexpr int width = 16 / static_cast<int>(sizeof(T));
    bool const whole = channels % width == 0 && std::all_of(arrays.begin(), arrays.end(), aligned_to_packs);
    if (whole) start(std::integral_constant<int, width>{});
    else start(std::integral_constant<int, 1>{});
}

}  // namespace tempera::cuda_kernels
