// SPDX-License-Identifier: Apache-2.0
#pragma once
// Kernels of device/pooling.hpp over whole maps: a block sums some packs of channels of a sample, its positions dealt
// among groups of threads; groups are added up in order.

#include <tempera/cuda/along_rows.cuh>
#include <tempera/cuda/launch.hpp>

namespace tempera::cuda_kernels {

constexpr int average_packs = 8;  ///< of a block
constexpr int average_groups = each_threads / average_packs;

/// Blocks: samples x tiles of average_packs packs.
template <int Width, class T>
__global__ void global_average_kernel(std::int64_t positions, int channels, int tiles, T const* x, float* y) {
    constexpr int tile_channels = average_packs * Width;
    __shared__ float sums[average_groups][tile_channels];
    std::int64_t const sample = static_cast<int>(blockIdx.x) / tiles;
    int const first = static_cast<int>(blockIdx.x) % tiles * tile_channels;
    int const lane = static_cast<int>(threadIdx.x) % average_packs * Width;
    int const group = static_cast<int>(threadIdx.x) / average_packs;
    float total[Width] = {};
    if (first + lane < channels)
        for (std::int64_t p = group; p < positions; p += average_groups) {
            auto const values = load_pack<Width>(x + (sample * positions + p) * channels + first + lane);
            for (int k = 0; k < Width; ++k) total[k] += as_float(values.at[k]);
        }
    for (int k = 0; k < Width; ++k) sums[group][lane + k] = total[k];
    __syncthreads();
    auto const c = static_cast<int>(threadIdx.x);
    if (c >= tile_channels || first + c >= channels) return;
    float sum = 0;
    for (int i = 0; i < average_groups; ++i) sum += sums[i][c];
    y[sample * channels + first + c] = sum / static_cast<float>(positions);
}
template <class T>
void global_average_pool_forward(cudaStream_t stream, int batch, std::int64_t positions, int channels, T const* x,
                                 float* y) {
    if (batch == 0 || channels == 0) return;
    constexpr int width = 16 / static_cast<int>(sizeof(T));
    auto const start = [&](auto kernel, int of_pack) {
        int const tile_channels = average_packs * of_pack;
        int const tiles = (channels + tile_channels - 1) / tile_channels;
        launch(kernel, dim3(static_cast<unsigned>(batch) * static_cast<unsigned>(tiles)), dim3(each_threads), stream,
               positions, channels, tiles, x, y);
    };
    if (channels % width == 0 && aligned_to_packs(x)) start(global_average_kernel<width, T>, width);
    else start(global_average_kernel<1, T>, 1);
}

template <class T>
struct global_average_backward_work {
    int positions, channels;
    float const* dy;
    T* dx;
    store mode;

    template <int Width>
    __device__ void operator()(row_place<Width> const& at) const {
        constexpr int at_once = Width < 4 ? 1 : 4;
        float const each = 1 / static_cast<float>(positions);
        float shares[Width];
        for (int k = 0; k < Width; k += at_once) {
            auto const slopes = load_pack<at_once>(dy + std::int64_t{at.row} * channels + at.channel + k);
            for (int i = 0; i < at_once; ++i) shares[k + i] = slopes.at[i] * each;
        }
        std::int64_t const position = std::int64_t{at.row} * positions + at.column;
        store_pack(dx + position * channels + at.channel, shares, mode);
    }
};
template <class T>
void global_average_pool_backward(cudaStream_t stream, int batch, std::int64_t positions, int channels, float const* dy,
                                  T* dx, store mode) {
    auto const columns = static_cast<int>(positions);
    along_rows<T>(stream, batch, columns, channels, global_average_backward_work<T>{columns, channels, dy, dx, mode},
                  {dy, dx});
}

}  // namespace tempera::cuda_kernels
