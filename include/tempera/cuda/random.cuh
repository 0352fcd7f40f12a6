// SPDX-License-Identifier: Apache-2.0
#pragma once
// Random kernels: dropout and DropBlock masks. The numbers are those of core/philox.hpp, word by word.

#include <algorithm>
#include <cmath>
#include <cstdint>

#include <tempera/cuda/launch.hpp>
#include <tempera/cuda/rows.cuh>

namespace tempera::cuda_kernels {

/// 24 random bits of element i: from word i % 4 of the Philox4x32-10 block offset + i / 4.
inline __device__ std::uint32_t draw_at(random_stream const& random, std::int64_t i) {
    std::uint64_t const block = random.offset + static_cast<std::uint64_t>(i) / 4;
    std::uint32_t counter[4] = {static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32), 0, 0};
    std::uint32_t lo = random.key.lo;
    std::uint32_t hi = random.key.hi;
    for (int round = 0; round < 10; ++round) {
        std::uint64_t const p0 = std::uint64_t{0xD2511F53U} * counter[0];
        std::uint64_t const p1 = std::uint64_t{0xCD9E8D57U} * counter[2];
        std::uint32_t const c1 = counter[1];
        std::uint32_t const c3 = counter[3];
        counter[0] = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ lo;
        counter[1] = static_cast<std::uint32_t>(p1);
        counter[2] = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ hi;
        counter[3] = static_cast<std::uint32_t>(p0);
        lo += 0x9E3779B9U;
        hi += 0xBB67AE85U;
    }
    return counter[i % 4] >> 8;
}

/// The stream of this replay's training pass.
inline __device__ random_stream now(random_stream random, replay_numbers const* replay) {
    if (replay != nullptr) random.key.hi ^= replay->changed_pass;
    return random;
}

/// How many of the 2^24 draws are below a probability, as uniform numbers in [0, 1).
inline std::uint32_t draws_below(double probability) {
    return static_cast<std::uint32_t>(std::ceil(std::clamp(probability, 0.0, 1.0) * 16777216.0));
}

template <class T>
struct dropout_at {
    std::uint32_t dropped;
    float factor;
    random_stream random;
    replay_numbers const* replay;
    T const* x;
    T* y;
    store mode;
    __device__ void operator()(std::int64_t i) const {
        put(y[i], draw_at(now(random, replay), i) >= dropped ? as_float(x[i]) * factor : 0, mode);
    }
};
template <class T>
void dropout(cudaStream_t stream, std::int64_t n, float rate, random_stream const& random, replay_numbers const* replay,
             T const* x, T* y, store mode) {
    each(stream, n, dropout_at<T>{draws_below(double{rate}), 1 / (1 - rate), random, replay, x, y, mode});
}

/// 1 where no block covers the position, else 0. A block's center is drawn with probability gamma wherever the block
/// lies inside the map.
struct drop_block_at {
    drop_block_geometry g;
    std::uint32_t gamma;  ///< the probability, in draws
    random_stream random;
    replay_numbers const* replay;
    float* mask;

    __device__ bool is_center(random_stream const& draws, int i, int j, std::int64_t element) const {
        return i >= g.block / 2 && i < g.height - (g.block - 1) / 2 && j >= g.block / 2 &&
               j < g.width - (g.block - 1) / 2 && draw_at(draws, element) < gamma;
    }
    __device__ void operator()(std::int64_t at) const {
        auto const channel = static_cast<int>(at % g.channels);
        auto const column = static_cast<int>(at / g.channels % g.width);
        auto const row = static_cast<int>(at / g.channels / g.width % g.height);
        std::int64_t const sample = at - (std::int64_t{row} * g.width + column) * g.channels - channel;
        int const before = (g.block - 1) / 2;
        random_stream const draws = now(random, replay);
        bool dropped = false;
        for (int i = row - before; i < row - before + g.block; ++i)
            for (int j = column - before; j < column - before + g.block; ++j)
                dropped =
                    dropped || is_center(draws, i, j, sample + (std::int64_t{i} * g.width + j) * g.channels + channel);
        mask[at] = dropped ? 0 : 1;
    }
};

/// sums[block] = what the blocks of a launch add up of n values.
static __global__ void sum_kernel(std::int64_t n, float const* x, float* sums) {
    float sum = 0;
    std::int64_t const step = std::int64_t{gridDim.x} * row_threads;
    for (std::int64_t i = std::int64_t{blockIdx.x} * row_threads + thread_index(); i < n; i += step) sum += x[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

struct rescale_mask_at {
    std::int64_t n;
    float const* ones;
    float* mask;
    __device__ void operator()(std::int64_t i) const {
        mask[i] = *ones > 0 ? mask[i] * (static_cast<float>(n) / *ones) : 0;
    }
};

inline void drop_block_mask(cudaStream_t stream, drop_block_geometry const& g, random_stream const& random,
                            replay_numbers const* replay, float* mask, float* scratch) {
    std::int64_t const n = std::int64_t{1} * g.batch * g.height * g.width * g.channels;
    if (n == 0) return;
    drop_block_geometry fitting = g;
    fitting.block = std::min({g.block, g.height, g.width});
    double const covered = double{1} * fitting.block * fitting.block;
    double const places = double{1} * (g.height - fitting.block + 1) * (g.width - fitting.block + 1);
    double const gamma = (1 - double{g.keep}) * g.height * g.width / covered / places;
    each(stream, n, drop_block_at{fitting, draws_below(gamma), random, replay, mask});
    float* const parts = scratch + 1;
    launch(sum_kernel, dim3(mask_parts), dim3(row_threads), stream, n, mask, parts);
    launch(sum_kernel, dim3(1), dim3(row_threads), stream, std::int64_t{mask_parts}, parts, scratch);
    each(stream, n, rescale_mask_at{n, scratch, mask});
}

}  // namespace tempera::cuda_kernels
