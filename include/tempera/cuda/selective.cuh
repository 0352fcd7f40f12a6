// SPDX-License-Identifier: Apache-2.0
#pragma once
// Kernels of device/selective.hpp: y = a x0 + (1 - a) x1 with a = 1 / (1 + exp(l1 - l0)).
// Backward, in one pass over the maps: dx0 = a dy, dx1 = (1 - a) dy, dl0 = a (1 - a) sum dy (x0 - x1), dl1 = -dl0.

#include <tempera/cuda/along_positions.cuh>
#include <tempera/cuda/launch.hpp>

namespace tempera::cuda_kernels {

/// Weight of the first branch for channel f of a sample.
__device__ inline float first_weight(float const* logits, std::int64_t sample, int filters, int f) {
    float const* const row = logits + sample * 2 * filters;
    return 1 / (1 + expf(row[filters + f] - row[f]));
}
template <int Width>
__device__ pack<float, Width> first_weights(float const* logits, std::int64_t sample, int filters, int f) {
    float const* const row = logits + sample * 2 * filters;
    auto const first = load_floats<Width>(row, f, 0), second = load_floats<Width>(row, filters + f, 0);
    pack<float, Width> a;
    for (int k = 0; k < Width; ++k) a.at[k] = 1 / (1 + expf(second.at[k] - first.at[k]));
    return a;
}

/// The same channels of both branches.
template <class T, int Width>
struct branch_packs {
    pack<T, Width> first, second;
};
template <int Width, class T>
__device__ branch_packs<T, Width> load_branches(T const* first, int filters) {
    return {load_pack<Width>(first), load_pack<Width>(first + filters)};
}

template <class T>
struct selective_forward_work {
    static constexpr int sums = 0, ahead = 1;
    int filters;
    T const* x;
    float const* logits;
    T* y;

    template <int Width>
    __device__ pack<float, Width> factors(int sample, int f) const {
        return first_weights<Width>(logits, sample, filters, f);
    }
    template <int Width>
    __device__ branch_packs<T, Width> load(std::int64_t row, int f, pack<float, Width> const&) const {
        return load_branches<Width>(x + row * 2 * filters + f, filters);
    }
    template <int Width>
    __device__ void operator()(std::int64_t row, int f, pack<float, Width> const& a, branch_packs<T, Width> const& of,
                               float (&)[Width]) const {
        pack<T, Width> out;
        for (int k = 0; k < Width; ++k)
            put(out.at[k], a.at[k] * as_float(of.first.at[k]) + (1 - a.at[k]) * as_float(of.second.at[k]));
        store_pack(y + row * filters + f, out);
    }
};
template <class T>
void selective_merge_forward(cudaStream_t stream, selective_geometry const& g, T const* x, float const* logits, T* y) {
    along_positions<T>(stream, g.batch, g.positions, g.filters, selective_forward_work<T>{g.filters, x, logits, y},
                       {x, y});
}

/// Adds up dy (x0 - x1).
template <class T>
struct selective_backward_work {
    static constexpr int sums = 1, ahead = 1;
    int filters;
    T const* x;
    float const* logits;
    T const* dy;
    T* dx;
    store mode;

    template <int Width>
    __device__ pack<float, Width> factors(int sample, int f) const {
        return first_weights<Width>(logits, sample, filters, f);
    }
    template <int Width>
    struct maps {
        branch_packs<T, Width> x;
        pack<T, Width> dy;
    };
    template <int Width>
    __device__ maps<Width> load(std::int64_t row, int f, pack<float, Width> const&) const {
        return {load_branches<Width>(x + row * 2 * filters + f, filters), load_pack<Width>(dy + row * filters + f)};
    }
    template <int Width>
    __device__ void operator()(std::int64_t row, int f, pack<float, Width> const& a, maps<Width> const& of,
                               float (&sum)[Width]) const {
        std::int64_t const pair = row * 2 * filters + f;
        for (int k = 0; k < Width; ++k)
            sum[k] += as_float(of.dy.at[k]) * (as_float(of.x.first.at[k]) - as_float(of.x.second.at[k]));
        if (dx == nullptr) return;
        pack<T, Width> dfirst = {};
        pack<T, Width> dsecond = {};
        if (mode == store::accumulate) {
            dfirst = load_pack<Width>(dx + pair);
            dsecond = load_pack<Width>(dx + pair + filters);
        }
        for (int k = 0; k < Width; ++k) {
            put(dfirst.at[k], a.at[k] * as_float(of.dy.at[k]), mode);
            put(dsecond.at[k], (1 - a.at[k]) * as_float(of.dy.at[k]), mode);
        }
        store_pack(dx + pair, dfirst);
        store_pack(dx + pair + filters, dsecond);
    }
};
/// dl0 (+)= a (1 - a) difference, dl1 (+)= -a (1 - a) difference, of filter f of a sample.
__device__ inline void put_logit_gradients(float const* logits, std::int64_t sample, int filters, int f, float difference,
                                           float* dlogits, store mode) {
    float const a = first_weight(logits, sample, filters, f);
    float const gradient = a * (1 - a) * difference;
    float* const pair = dlogits + sample * 2 * filters + f;
    put(pair[0], gradient, mode);
    put(pair[filters], -gradient, mode);
}
struct finish_selective_sums {
    int filters;
    float const* logits;
    float* dlogits;
    store mode;
    __device__ void operator()(std::int64_t i, float sum) const {
        put_logit_gradients(logits, i / filters, filters, static_cast<int>(i % filters), sum, dlogits, mode);
    }
};
template <class T>
void selective_merge_backward(cudaStream_t stream, selective_geometry const& g, T const* x, float const* logits,
                              T const* dy, T* dx, store dx_store, float* dlogits, store dlogits_store, float* scratch) {
    along_positions<T>(stream, g.batch, g.positions, g.filters,
                       selective_backward_work<T>{g.filters, x, logits, dy, dx, dx_store}, {x, dy, dx}, scratch);
    if (dlogits != nullptr)
        add_position_splits<T>(stream, g.batch, g.positions, g.filters,
                               finish_selective_sums{g.filters, logits, dlogits, dlogits_store}, scratch);
}

}  // namespace tempera::cuda_kernels
