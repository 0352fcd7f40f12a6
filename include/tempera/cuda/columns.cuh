// SPDX-License-Identifier: Apache-2.0
#pragma once
// Reductions over the rows of {rows, channels}, one result per channel, without atomics and in an order that depends on the
// sizes only: the rows are split among blocks, each thread goes down its rows (channel_tiles.cuh), a block's threads
// add up what they have as a tree, and a second kernel does the same with the splits.

#include <tempera/cuda/channel_tiles.cuh>
#include <tempera/cuda/each.cuh>

namespace tempera::cuda_kernels {

// --- what is added up: floats, so that every kind is stored alike --------------------------------------------------------

template <int Count>
struct sums {
    float at[Count];

    __device__ void add(sums const& other) {
        for (int k = 0; k < Count; ++k) at[k] += other.at[k];
    }
};

/// Of some values: how many, their mean, and the sum of the squares of their deviations from it. Nothing cancels
/// (Welford 1962; Chan, Golub & LeVeque 1979).
struct moments {
    float at[3];

    __device__ float count() const { return at[0]; }
    __device__ float mean() const { return at[1]; }
    __device__ float squares() const { return at[2]; }

    /// share: 1 / (count + 1)
    __device__ void add(float x, float share) {
        at[0] += 1;
        float const d = x - at[1];
        at[1] = fmaf(d, share, at[1]);
        at[2] = fmaf(d, x - at[1], at[2]);
    }
    __device__ void add(moments const& other) {
        if (other.count() == 0) return;
        float const all = count() + other.count();
        float const share = other.count() / all;
        float const d = other.mean() - mean();
        at[2] += fmaf(d * d, count() * share, other.squares());
        at[1] = fmaf(d, share, at[1]);
        at[0] = all;
    }
};

template <class Sum>
constexpr int floats_of = static_cast<int>(sizeof(Sum) / sizeof(float));

// --- kernels -------------------------------------------------------------------------------------------------------------

/// The totals of the threads of a column, in those of its first thread. All threads must call it.
template <int Threads, int Width, class Sum>
__device__ void add_down_block(Sum (&total)[Width]) {
    __shared__ float of_thread[Width][floats_of<Sum>][Threads];
    unsigned const number = threadIdx.y * blockDim.x + threadIdx.x;
    for (unsigned left = blockDim.y; left > 1;) {
        if (threadIdx.y < left)  // others may still be read
            for (int k = 0; k < Width; ++k)
                for (int f = 0; f < floats_of<Sum>; ++f) of_thread[k][f][number] = total[k].at[f];
        __syncthreads();
        unsigned const half = (left + 1) / 2;
        if (threadIdx.y + half < left)
            for (int k = 0; k < Width; ++k) {
                Sum other;
                for (int f = 0; f < floats_of<Sum>; ++f) other.at[f] = of_thread[k][f][number + half * blockDim.x];
                total[k].add(other);
            }
        left = half;
    }
}

constexpr int column_threads = 256;

/// partial[split][f][c]: of the rows of one split. Grid: tiles x splits.
template <int Width, class Sum, class Work>
__global__ void __launch_bounds__(column_threads, 2)
    column_partials(Work work, std::int64_t rows, int channels, float* partial) {
    constexpr int ahead = 4;
    int const c = channel_of_thread<Width>();
    Sum total[Width] = {};
    if (c < channels) {
        auto const known = work.template channels<Width>(c);
        std::int64_t const first = std::int64_t{blockIdx.y} * blockDim.y + threadIdx.y;
        auto const step = static_cast<int>(gridDim.y * blockDim.y);
        auto const count = static_cast<int>((rows - first + step - 1) / step);
        down_rows<ahead, Width>(work, first * channels + c, step * channels, count,
                                [&](std::int64_t i, auto const& loaded) { work(i, loaded, known, total); });
    }
    add_down_block<column_threads>(total);
    if (threadIdx.y != 0 || c >= channels) return;
    for (int f = 0; f < floats_of<Sum>; ++f)
        for (int k = 0; k < Width; ++k)
            partial[(std::int64_t{blockIdx.y} * floats_of<Sum> + f) * channels + c + k] = total[k].at[f];
}

/// The totals of splits, as column_partials writes them.
template <class Sum>
struct partial_sums {
    int channels;
    float const* partial;

    template <int>
    __device__ Sum load(std::int64_t i) const {
        Sum part;
        for (int f = 0; f < floats_of<Sum>; ++f) part.at[f] = partial[i + f * channels];
        return part;
    }
};

constexpr int finish_width = 32;
constexpr int finish_height = 32;

template <class Sum, class Finish>
__global__ void __launch_bounds__(finish_width* finish_height)
    finish_columns(Finish finish, int splits, int channels, float const* partial) {
    constexpr int ahead = 4;
    auto const c = static_cast<int>(blockIdx.x * finish_width + threadIdx.x);
    auto const split = static_cast<int>(threadIdx.y);
    int const line = floats_of<Sum> * channels;
    Sum total[1] = {};
    if (c < channels)
        down_rows<ahead, 1>(partial_sums<Sum>{channels, partial}, std::int64_t{split} * line + c, finish_height * line,
                            (splits - split + finish_height - 1) / finish_height,
                            [&](std::int64_t, Sum const& part) { total[0].add(part); });
    add_down_block<finish_width * finish_height>(total);
    if (threadIdx.y == 0 && c < channels) finish(c, total[0]);
}

/// finish(c, total) for every channel, where work(i, work.load<Width>(i), work.channels<Width>(c), totals) adds the
/// elements i .. i + Width - 1 to the totals of their channels. `partial` holds column_floats(rows, channels, floats_of<Sum>).
template <class T, class Sum, class Work, class Finish>
void columns(cudaStream_t stream, std::int64_t rows, int channels, Work work, std::initializer_list<void const*> arrays,
             Finish finish, float* partial) {
    if (channels <= 0) return;
    auto const splits = static_cast<int>(column_splits(rows, channels));
    with_pack_width<T>(channels, arrays, [&](auto width) {
        channel_tiles const tiles(channels / width, column_threads);
        launch(column_partials<width, Sum, Work>,
               dim3(static_cast<unsigned>(tiles.count), static_cast<unsigned>(splits)), tiles.block(), stream, work,
               rows, channels, partial);
    });
    launch(finish_columns<Sum, Finish>, dim3(static_cast<unsigned>((channels + finish_width - 1) / finish_width)),
           dim3(finish_width, finish_height), stream, finish, splits, channels, static_cast<float const*>(partial));
}

/// Work that knows nothing of its channels.
struct any_channels {
    template <int Width>
    struct nothing {};
    template <int Width>
    __device__ nothing<Width> channels(int) const {
        return {};
    }
};

}  // namespace tempera::cuda_kernels
