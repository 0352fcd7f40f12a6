// SPDX-License-Identifier: Apache-2.0
#pragma once
// Sums of normalized branches (device/normalized_branches.hpp) over the positions of each sample. A branch is a map of its
// own for along_positions: sample 2 n + k is branch k of sample n, its rows 2 filters apart, so that sums lie as
// {batch, 2 filters}. A thread per filter then adds up splits, and makes of both branches the average or the gradient of
// the logits.

#include <cstdint>

#include <tempera/cuda/along_positions.cuh>
#include <tempera/cuda/batch_norm.cuh>
#include <tempera/cuda/launch.hpp>
#include <tempera/cuda/selective.cuh>

namespace tempera::cuda_kernels {

/// Where a row of a branch begins: row x 2 filters + of_x in x, row x filters + of_y in y and dy, for the rows that
/// along_positions counts.
struct branch_place {
    std::int64_t of_x, of_y;

    __device__ branch_place(selective_geometry const& g, int branch_of_sample, int f) {
        std::int64_t const skipped = (branch_of_sample / 2 - branch_of_sample) * g.positions * g.filters;
        of_x = 2 * skipped + branch_of_sample % 2 * g.filters + f;
        of_y = skipped + f;
    }
};
/// The channel of x that filter f of a branch is.
__device__ inline int branch_channel(selective_geometry const& g, int branch_of_sample, int f) {
    return branch_of_sample % 2 * g.filters + f;
}

/// What a position of a branch gives: x, and dy where it is read.
template <class T, int Width>
struct branch_maps {
    pack<T, Width> x;
    pack<T, Width> dy;
};
template <int Width, bool Of_dy, class T>
__device__ branch_maps<T, Width> load_maps(selective_geometry const& g, branch_place const& place, std::int64_t row,
                                           T const* x, T const* dy) {
    branch_maps<T, Width> m = {};
    m.x = load_pack<Width>(x + row * 2 * g.filters + place.of_x);
    if constexpr (Of_dy) m.dy = load_pack<Width>(dy + row * g.filters + place.of_y);
    return m;
}

/// Adds up m and m (x - mean), or m dy and m dy (x - mean).
template <class T, bool Of_dy>
struct branch_sums_work {
    static constexpr int sums = 2, ahead = Of_dy ? 2 : 4;
    selective_geometry g;
    normalized_branches<T> from;
    T const* dy;

    template <int Width>
    struct known {
        normalization<Width> normalized;
        branch_place place;
    };
    template <int Width>
    __device__ known<Width> factors(int branch_of_sample, int f) const {
        return {{from.norm, from.epsilon, branch_channel(g, branch_of_sample, f)}, {g, branch_of_sample, f}};
    }
    template <int Width>
    __device__ branch_maps<T, Width> load(std::int64_t row, int, known<Width> const& of) const {
        return load_maps<Width, Of_dy>(g, of.place, row, from.x, dy);
    }
    template <int Width>
    __device__ void operator()(std::int64_t, int, known<Width> const& of, branch_maps<T, Width> const& m,
                               float (&sum)[2 * Width]) const {
        for (int k = 0; k < Width; ++k) {
            float const value = as_float(m.x.at[k]);
            if (!(of.normalized(k, value) > 0)) continue;
            float const d = Of_dy ? as_float(m.dy.at[k]) : 1.0F;
            sum[k] += d;
            sum[Width + k] += d * (value - of.normalized.mean.at[k]);
        }
    }
};

/// What the splits of branch_sums_work add up to: the first sum and the second of a channel of a sample.
struct branch_totals {
    int splits;
    std::int64_t channels;  ///< of all samples
    float const* partial;

    __device__ float operator()(int kind, std::int64_t i) const {
        float total = 0;
        for (int split = 0; split < splits; ++split) total += partial[(split * 2 + kind) * channels + i];
        return total;
    }
};

/// gain second + offset first of a channel: what the branch itself, or its product with dy, adds up to.
__device__ inline float branch_total(batch_norm_state const& norm, float epsilon, int c, float first, float second) {
    normalization<1> const n(norm, epsilon, c);
    return fmaf(n.gain.at[0], second, n.offset.at[0] * first);
}

/// For i = sample x filters + f. The sums are kept as they are read: first and second, {batch, 2 filters} each.
template <class T>
struct finish_normalized_average {
    selective_geometry g;
    normalized_branches<T> from;
    branch_totals totals;
    float* sums;
    float* average;

    __device__ void operator()(std::int64_t i) const {
        auto const f = static_cast<int>(i % g.filters);
        float both = 0;
        for (int branch = 0; branch < 2; ++branch) {
            std::int64_t const at = i / g.filters * 2 * g.filters + branch * g.filters + f;
            float const count = sums[at] = totals(0, at);
            float const deviation = sums[totals.channels + at] = totals(1, at);
            both += branch_total(from.norm, from.epsilon, branch * g.filters + f, count, deviation);
        }
        average[i] = both / static_cast<float>(g.positions);
    }
};
template <class T>
struct finish_branch_products {
    selective_geometry g;
    normalized_branches<T> from;
    branch_totals totals;
    float const* logits;
    float* sums;
    float* dlogits;
    store mode;

    __device__ void operator()(std::int64_t i) const {
        auto const f = static_cast<int>(i % g.filters);
        std::int64_t const sample = i / g.filters;
        float of_branch[2];
        for (int branch = 0; branch < 2; ++branch) {
            std::int64_t const at = sample * 2 * g.filters + branch * g.filters + f;
            float const slope = sums[at] = totals(0, at);
            float const product = sums[totals.channels + at] = totals(1, at);
            of_branch[branch] = branch_total(from.norm, from.epsilon, branch * g.filters + f, slope, product);
        }
        put_logit_gradients(logits, sample, g.filters, f, of_branch[0] - of_branch[1], dlogits, mode);
    }
};

/// sums[0 .. 1] of every channel and sample to partial, then finish(i) for every i = sample x filters + f.
template <class T, bool Of_dy, class Finish>
void sum_branches(cudaStream_t stream, selective_geometry const& g, normalized_branches<T> const& from, T const* dy,
                  float* partial, Finish finish) {
    along_positions<T>(stream, 2 * g.batch, g.positions, g.filters, branch_sums_work<T, Of_dy>{g, from, dy}, {from.x, dy},
                       partial);
    position_splits const splits(2 * g.batch, g.positions, g.filters, 16 / static_cast<int>(sizeof(T)));
    std::int64_t const filters = std::int64_t{g.batch} * g.filters;
    finish.totals = {splits.count, 2 * filters, partial};
    each(stream, filters, finish);
}
template <class T>
void normalized_average(cudaStream_t stream, selective_geometry const& g, normalized_branches<T> const& from, float* sums,
                        float* average, float* scratch) {
    sum_branches<T, false>(stream, g, from, nullptr, scratch,
                           finish_normalized_average<T>{g, from, {}, sums, average});
}
template <class T>
void normalized_merge_backward(cudaStream_t stream, selective_geometry const& g, normalized_branches<T> const& from,
                               float const* logits, T const* dy, float* sums, float* dlogits, store mode,
                               float* scratch) {
    float* const of_dy = sums + std::int64_t{4} * g.batch * g.filters;
    sum_branches<T, true>(stream, g, from, dy, scratch,
                          finish_branch_products<T>{g, from, {}, logits, of_dy, dlogits, mode});
}

}  // namespace tempera::cuda_kernels
