// SPDX-License-Identifier: Apache-2.0
#pragma once
// Kernels of device/normalized_branches.hpp beside their sums (branch_sums.cuh): the merge, a thread for both branches, and
// the gradient: sums over samples (columns.cuh), then dx, each branch a map of its own.

#include <cstdint>

#include <tempera/cuda/along_positions.cuh>
#include <tempera/cuda/batch_norm.cuh>
#include <tempera/cuda/branch_sums.cuh>
#include <tempera/cuda/columns.cuh>
#include <tempera/cuda/launch.hpp>
#include <tempera/cuda/selective.cuh>

namespace tempera::cuda_kernels {

template <class T>
struct normalized_merge_work {
    static constexpr int sums = 0, ahead = 2;
    selective_geometry g;
    normalized_branches<T> from;
    float const* logits;
    T* y;

    template <int Width>
    struct known {
        normalization<Width> first, second;
        pack<float, Width> a;
    };
    template <int Width>
    __device__ known<Width> factors(int sample, int f) const {
        return {{from.norm, from.epsilon, f},
                {from.norm, from.epsilon, g.filters + f},
                first_weights<Width>(logits, sample, g.filters, f)};
    }
    template <int Width>
    __device__ branch_packs<T, Width> load(std::int64_t row, int f, known<Width> const&) const {
        return load_branches<Width>(from.x + row * 2 * g.filters + f, g.filters);
    }
    template <int Width>
    __device__ void operator()(std::int64_t row, int f, known<Width> const& of, branch_packs<T, Width> const& x,
                               float (&)[Width]) const {
        pack<T, Width> out;
        for (int k = 0; k < Width; ++k) {
            float const z0 = rectified(of.first(k, as_float(x.first.at[k])));
            float const z1 = rectified(of.second(k, as_float(x.second.at[k])));
            put(out.at[k], of.a.at[k] * z0 + (1 - of.a.at[k]) * z1);
        }
        store_pack(y + row * g.filters + f, out);
    }
};
template <class T>
void normalized_merge(cudaStream_t stream, selective_geometry const& g, normalized_branches<T> const& from,
                      float const* logits, T* y) {
    along_positions<T>(stream, g.batch, g.positions, g.filters, normalized_merge_work<T>{g, from, logits, y},
                       {from.x, y});
}

/// What each position of a sample adds to the gradient of a channel: g = m (weight dy + share).
struct branch_gradient {
    selective_geometry g;
    float const* logits;
    float const* daverage;

    __device__ float weight(std::int64_t sample, int c) const {
        bool const first = c < g.filters;
        float const a = first_weight(logits, sample, g.filters, first ? c : c - g.filters);
        return first ? a : 1 - a;
    }
    __device__ float share(std::int64_t sample, int c) const {
        return daverage[sample * g.filters + (c < g.filters ? c : c - g.filters)] / static_cast<float>(g.positions);
    }
};
/// Rows of {batch, 2 filters}: adds up sum g and sum g (x - mean) of the samples.
struct branch_gradient_sums : any_channels {
    branch_gradient gradient;
    float const* sums;

    template <int Width>
    __device__ pack<float, 2 * Width> load(std::int64_t i) const {
        selective_geometry const& g = gradient.g;
        std::int64_t const all = std::int64_t{2} * g.batch * g.filters;
        pack<float, 2 * Width> of;
        int const sample = static_cast<int>(i) / (2 * g.filters);
        int const first = static_cast<int>(i) - sample * 2 * g.filters;
        for (int k = 0; k < Width; ++k) {
            int const c = first + k;
            float const weight = gradient.weight(sample, c);
            float const share = gradient.share(sample, c);
            for (int kind = 0; kind < 2; ++kind)
                of.at[kind * Width + k] = weight * sums[(2 + kind) * all + i + k] + share * sums[kind * all + i + k];
        }
        return of;
    }
    template <int Width>
    __device__ void operator()(std::int64_t, pack<float, 2 * Width> const& of, nothing<Width> const&,
                               tempera::cuda_kernels::sums<2> (&total)[Width]) const {
        for (int k = 0; k < Width; ++k)
            for (int kind = 0; kind < 2; ++kind) total[k].at[kind] += of.at[kind * Width + k];
    }
};

template <class T>
struct branch_dx_work {
    static constexpr int sums = 0, ahead = 2;
    branch_gradient gradient;
    normalized_branches<T> from;
    T const* dy;
    T* dx;
    store mode;
    float const* mean_g;  ///< null with moving statistics, as slope
    float const* slope;

    template <int Width>
    struct known {
        normalization<Width> normalized;
        branch_place place;
        pack<float, Width> weight, share, mean_g, slope;
    };
    template <int Width>
    __device__ known<Width> factors(int branch_of_sample, int f) const {
        int const c = branch_channel(gradient.g, branch_of_sample, f);
        known<Width> of = {{from.norm, from.epsilon, c}, {gradient.g, branch_of_sample, f}, {}, {}, {}, {}};
        std::int64_t const sample = branch_of_sample / 2;
        auto const of_first = first_weights<Width>(gradient.logits, sample, gradient.g.filters, f);
        of.share = load_floats<Width>(gradient.daverage + sample * gradient.g.filters, f, 0);
        float const share = 1 / static_cast<float>(gradient.g.positions);
        for (int k = 0; k < Width; ++k) {
            of.weight.at[k] = branch_of_sample % 2 == 0 ? of_first.at[k] : 1 - of_first.at[k];
            of.share.at[k] *= share;
        }
        of.mean_g = load_floats<Width>(mean_g, c, 0);
        of.slope = load_floats<Width>(slope, c, 0);
        return of;
    }
    template <int Width>
    __device__ branch_maps<T, Width> load(std::int64_t row, int, known<Width> const& of) const {
        return load_maps<Width, true>(gradient.g, of.place, row, from.x, dy);
    }
    template <int Width>
    __device__ void operator()(std::int64_t row, int, known<Width> const& of, branch_maps<T, Width> const& m,
                               float (&)[Width]) const {
        float values[Width];
        for (int k = 0; k < Width; ++k) {
            float const value = as_float(m.x.at[k]);
            bool const seen = of.normalized(k, value) > 0;
            float const g = seen ? fmaf(of.weight.at[k], as_float(m.dy.at[k]), of.share.at[k]) : 0;
            values[k] = input_gradient(of.normalized.gain.at[k], of.mean_g.at[k], of.slope.at[k],
                                       value - of.normalized.mean.at[k], g);
        }
        store_pack(dx + row * 2 * gradient.g.filters + of.place.of_x, values, mode);
    }
};
template <class T>
void normalized_branches_backward(cudaStream_t stream, selective_geometry const& g, normalized_branches<T> const& from,
                                  bool batch_statistics, float const* logits, T const* dy, float const* daverage,
                                  float const* sums, batch_norm_gradients<T> const& out, float* scratch) {
    int const channels = 2 * g.filters;
    branch_gradient const gradient{g, logits, daverage};
    bool const sums_for_dx = batch_statistics && out.dx != nullptr;
    float* const mean_g = scratch + column_floats(g.batch, channels, floats_of<tempera::cuda_kernels::sums<2>>);
    float* const slope = mean_g + channels;
    if (sums_for_dx || out.dscale != nullptr || out.doffset != nullptr) {
        batch_norm_geometry const all{g.batch * g.positions, channels, from.epsilon};
        columns<float, tempera::cuda_kernels::sums<2>>(
            stream, g.batch, channels, branch_gradient_sums{{}, gradient, sums}, {},
            finish_gradient_sums{all, from.norm.variance, mean_g, slope, out.dscale, out.doffset, out.parameter_store},
            scratch);
    }
    if (out.dx == nullptr) return;
    along_positions<T>(stream, 2 * g.batch, g.positions, g.filters,
                       branch_dx_work<T>{gradient, from, dy, out.dx, out.dx_store, sums_for_dx ? mean_g : nullptr,
                                         sums_for_dx ? slope : nullptr},
                       {from.x, dy, out.dx});
}

}  // namespace tempera::cuda_kernels
