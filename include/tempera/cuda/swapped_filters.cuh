// SPDX-License-Identifier: Apache-2.0
#pragma once
// Filters with their channels swapped, IHWO, for the gradient of the data.

#include <tempera/cuda/each.cuh>
#include <tempera/cuda/launch_tensor.hpp>

namespace tempera::cuda_kernels {

constexpr int swap_tile = 32;
constexpr int swap_rows = each_threads / swap_tile;

/// swapped[c][tap][o] = w[o][tap][c] through tiles, so that both sides are touched in the order of memory; zeros where c is
/// none of w's. Blocks: tiles of whole_channels x tiles of out_channels x taps.
template <class T>
__global__ void swap_channels_kernel(int in_channels, int whole_channels, int out_channels, float const* w,
                                     T* swapped) {
    __shared__ float tile[swap_tile][swap_tile + 1];
    auto const taps = static_cast<int>(gridDim.z);
    auto const tap = static_cast<int>(blockIdx.z);
    int const first_c = static_cast<int>(blockIdx.x) * swap_tile;
    int const first_o = static_cast<int>(blockIdx.y) * swap_tile;
    int const lane = static_cast<int>(threadIdx.x) % swap_tile;
    int const first = static_cast<int>(threadIdx.x) / swap_tile;
    for (int i = 0; i < swap_tile; i += swap_rows) {
        int const row = first + i;
        int const c = first_c + lane;
        int const o = first_o + row;
        bool const inside = c < in_channels && o < out_channels;
        tile[row][lane] = inside ? w[(std::int64_t{o} * taps + tap) * in_channels + c] : 0;
    }
    __syncthreads();
    for (int i = 0; i < swap_tile; i += swap_rows) {
        int const row = first + i;
        int const c = first_c + row;
        int const o = first_o + lane;
        if (c < whole_channels && o < out_channels)
            put(swapped[(std::int64_t{c} * taps + tap) * out_channels + o], tile[lane][row]);
    }
}
template <class T>
void swap_channels(cudaStream_t stream, convolution_geometry const& g, float const* w, T* swapped) {
    auto const tiles = [](int channels) { return static_cast<unsigned>((channels + swap_tile - 1) / swap_tile); };
    int const whole = whole_chunks(g.in_channels);
    dim3 const grid(tiles(whole), tiles(g.out_channels), static_cast<unsigned>(g.kernel * g.kernel));
    launch(swap_channels_kernel<T>, grid, dim3(each_threads), stream, g.in_channels, whole, g.out_channels, w, swapped);
}

}  // namespace tempera::cuda_kernels
