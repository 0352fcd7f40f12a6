// SPDX-License-Identifier: Apache-2.0
#pragma once
// Kernels of device/selective.hpp: y = a x0 + (1 - a) x1 with a = 1 / (1 + exp(l1 - l0)).
// Backward: dx0 = a dy, dx1 = (1 - a) dy, dl0 = a (1 - a) sum dy (x0 - x1), dl1 = -dl0.

#include <tempera/cuda/each.cuh>
#include <tempera/cuda/launch.hpp>

namespace tempera::cuda_kernels {

/// Weight of the first branch for channel f of a sample.
__device__ inline float first_weight(float const* logits, std::int64_t sample, int filters, int f) {
    float const* const row = logits + sample * 2 * filters;
    return 1 / (1 + expf(row[filters + f] - row[f]));
}

template <class T>
struct selective_forward_at {
    selective_geometry g;
    T const* x;
    float const* logits;
    T* y;
    __device__ void operator()(std::int64_t i) const {
        auto const f = static_cast<int>(i % g.filters);
        std::int64_t const row = i / g.filters;
        T const* const pair = x + row * 2 * g.filters + f;
        float const a = first_weight(logits, row / g.positions, g.filters, f);
        put(y[i], a * as_float(pair[0]) + (1 - a) * as_float(pair[g.filters]));
    }
};
template <class T>
void selective_merge_forward(cudaStream_t stream, selective_geometry const& g, T const* x, float const* logits, T* y) {
    each(stream, g.batch * g.positions * g.filters, selective_forward_at<T>{g, x, logits, y});
}

template <class T>
struct selective_dx_at {
    selective_geometry g;
    float const* logits;
    T const* dy;
    T* dx;
    store mode;
    __device__ void operator()(std::int64_t i) const {
        auto const f = static_cast<int>(i % g.filters);
        std::int64_t const row = i / g.filters;
        T* const pair = dx + row * 2 * g.filters + f;
        float const a = first_weight(logits, row / g.positions, g.filters, f);
        float const gradient = as_float(dy[i]);
        put(pair[0], a * gradient, mode);
        put(pair[g.filters], (1 - a) * gradient, mode);
    }
};
template <class T>
struct selective_dlogits_at {
    selective_geometry g;
    T const* x;
    float const* logits;
    T const* dy;
    float* dlogits;
    store mode;
    __device__ void operator()(std::int64_t i) const {
        auto const f = static_cast<int>(i % g.filters);
        std::int64_t const sample = i / g.filters;
        float sum = 0;
        for (std::int64_t p = 0; p < g.positions; ++p) {
            std::int64_t const row = sample * g.positions + p;
            T const* const pair = x + row * 2 * g.filters + f;
            sum += as_float(dy[row * g.filters + f]) * (as_float(pair[0]) - as_float(pair[g.filters]));
        }
        float const a = first_weight(logits, sample, g.filters, f);
        float const gradient = a * (1 - a) * sum;
        float* const pair = dlogits + sample * 2 * g.filters + f;
        put(pair[0], gradient, mode);
        put(pair[g.filters], -gradient, mode);
    }
};
template <class T>
void selective_merge_backward(cudaStream_t stream, selective_geometry const& g, T const* x, float const* logits,
                              T const* dy, T* dx, store dx_store, float* dlogits, store dlogits_store) {
    if (dlogits != nullptr)
        each(stream, std::int64_t{g.batch} * g.filters,
             selective_dlogits_at<T>{g, x, logits, dy, dlogits, dlogits_store});
    if (dx != nullptr)
        each(stream, g.batch * g.positions * g.filters, selective_dx_at<T>{g, logits, dy, dx, dx_store});
}

}  // namespace tempera::cuda_kernels
