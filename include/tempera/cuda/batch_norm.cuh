// SPDX-License-Identifier: Apache-2.0
#pragma once
// Kernels of device/batch_norm.hpp over {rows, channels}, in packs of 16 bytes: one pass for y
// (along_channels.cuh), two for the gradients: sums (columns.cuh), then dx. A pass reads no more than it must:
//
//   y           only where a residual was added; else the ReLU's mask is computed again from x
//   dresidual   where it is written, the sums' pass does it, and dx is computed from it instead of y and dy

#include <tempera/cuda/along_channels.cuh>
#include <tempera/cuda/batch_norm_statistics.cuh>
#include <tempera/cuda/columns.cuh>
#include <tempera/cuda/launch.hpp>

namespace tempera::cuda_kernels {

// --- y -------------------------------------------------------------------------------------------------------------------

__device__ inline float inverse_deviation(float variance, float epsilon) { return 1 / sqrtf(variance + epsilon); }

/// y = gain (x - mean) + offset of some channels. Rounded the same wherever it is computed, so that a mask is the one of y.
template <int Width>
struct normalization {
    pack<float, Width> mean;
    pack<float, Width> gain;
    pack<float, Width> offset;

    __device__ normalization(batch_norm_state const& s, float epsilon, int c)
        : mean(load_floats<Width>(s.mean, c, 0)),
          gain(load_floats<Width>(s.scale, c, 1)),
          offset(load_floats<Width>(s.offset, c, 0)) {
        auto const variance = load_floats<Width>(s.variance, c, 1);
        for (int k = 0; k < Width; ++k) gain.at[k] *= inverse_deviation(variance.at[k], epsilon);
    }
    __device__ float operator()(int k, float x) const { return fmaf(gain.at[k], x - mean.at[k], offset.at[k]); }
};

template <class T, bool Residual>
struct batch_norm_apply_work {
    static constexpr int ahead = Residual ? 2 : 4;
    batch_norm_geometry g;
    batch_norm_state s;
    T const* x;
    T const* residual;
    bool fused_relu;
    T* y;

    template <int Width>
    struct maps {
        pack<T, Width> x;
        pack<T, Width> residual;
    };
    template <int Width>
    __device__ normalization<Width> channels(int c) const {
        return {s, g.epsilon, c};
    }
    template <int Width>
    __device__ maps<Width> load(std::int64_t i) const {
        maps<Width> m = {};
        m.x = load_pack<Width>(x + i);
        if constexpr (Residual) m.residual = load_pack<Width>(residual + i);
        return m;
    }
    template <int Width>
    __device__ void operator()(std::int64_t i, maps<Width> const& m, normalization<Width> const& normalized) const {
        pack<T, Width> out;
        for (int k = 0; k < Width; ++k) {
            float v = normalized(k, as_float(m.x.at[k]));
            if constexpr (Residual) v += as_float(m.residual.at[k]);
            put(out.at[k], fused_relu ? rectified(v) : v);
        }
        store_pack(y + i, out);
    }
};
template <class T>
void batch_norm_apply(cudaStream_t stream, batch_norm_geometry const& g, batch_norm_state const& s, T const* x,
                      T const* residual, bool fused_relu, T* y) {
    auto const start = [&](auto added) {
        along_channels<T>(stream, g.rows, g.channels, batch_norm_apply_work<T, added>{g, s, x, residual, fused_relu, y},
                          {x, residual, y});
    };
    if (residual != nullptr) start(std::true_type{});
    else start(std::false_type{});
}

// --- gradients -----------------------------------------------------------------------------------------------------------

/// g: dy where the fused ReLU let the value through; `Of_y`: by y, else by x where there is a ReLU.
template <class T, bool Of_y>
struct masked_gradient {
    T const* x;
    T const* y;
    T const* dy;
    bool relu_of_x;

    template <int Width>
    struct maps {
        pack<T, Width> x;
        pack<T, Width> y;
        pack<T, Width> dy;
    };
    template <int Width>
    __device__ maps<Width> load(std::int64_t i) const {
        maps<Width> m = {};
        m.x = load_pack<Width>(x + i);
        if constexpr (Of_y) m.y = load_pack<Width>(y + i);
        m.dy = load_pack<Width>(dy + i);
        return m;
    }
    template <int Width>
    __device__ pack<T, Width> operator()(maps<Width> const& m, normalization<Width> const& normalized) const {
        pack<T, Width> g = m.dy;
        for (int k = 0; k < Width; ++k) {
            T seen;
            if constexpr (Of_y) seen = m.y.at[k];
            else put(seen, normalized(k, as_float(m.x.at[k])));
            if ((Of_y || relu_of_x) && !(as_float(seen) > 0)) g.at[k] = T{};
        }
        return g;
    }
};

template <class T, bool Of_y>
struct gradient_sums_work {
    batch_norm_geometry g;
    batch_norm_state s;
    masked_gradient<T, Of_y> gradient;
    T* dresidual;  ///< null: not to be written

    template <int Width>
    __device__ normalization<Width> channels(int c) const {
        return {s, g.epsilon, c};
    }
    template <int Width>
    __device__ auto load(std::int64_t i) const {
        return gradient.template load<Width>(i);
    }
    template <int Width, class Maps>
    __device__ void operator()(std::int64_t i, Maps const& m, normalization<Width> const& normalized,
                               sums<2> (&total)[Width]) const {
        auto const masked = gradient(m, normalized);
        for (int k = 0; k < Width; ++k) {
            float const d = as_float(masked.at[k]);
            total[k].at[0] += d;
            total[k].at[1] += d * (as_float(m.x.at[k]) - normalized.mean.at[k]);
        }
        if (dresidual != nullptr) store_pack(dresidual + i, masked);
    }
};
/// dx = gain (g - mean_g - slope deviation) of one element, deviation = x - mean.
__device__ inline float input_gradient(float gain, float mean_g, float slope, float deviation, float g) {
    return gain * (g - mean_g - deviation * slope);
}
/// mean_g = doffset / rows, slope = dscale / rows / sqrt(variance + epsilon): of each channel, and the parameters' gradients
/// where wanted.
struct finish_gradient_sums {
    batch_norm_geometry g;
    float const* variance;
    float* mean_g;
    float* slope;
    float* dscale;
    float* doffset;
    store mode;
    __device__ void operator()(int c, sums<2> const& total) const {
        float const inverse = inverse_deviation(variance[c], g.epsilon);
        float const of_gz = total.at[1] * inverse;
        auto const rows = static_cast<float>(g.rows);
        mean_g[c] = total.at[0] / rows;
        slope[c] = of_gz / rows * inverse;
        if (doffset != nullptr) put(doffset[c], total.at[0], mode);
        if (dscale != nullptr) put(dscale[c], of_gz, mode);
    }
};

template <class T, bool Of_y>
struct batch_norm_backward_work {
    static constexpr int ahead = 2;
    batch_norm_geometry g;
    batch_norm_state s;
    masked_gradient<T, Of_y> gradient;
    batch_norm_gradients<T> out;
    float const* mean_g;  ///< null with moving statistics, as slope
    float const* slope;

    template <int Width>
    struct coefficients {
        normalization<Width> normalized;
        pack<float, Width> mean_g;
        pack<float, Width> slope;
    };
    template <int Width>
    __device__ coefficients<Width> channels(int c) const {
        return {{s, g.epsilon, c}, load_floats<Width>(mean_g, c, 0), load_floats<Width>(slope, c, 0)};
    }
    template <int Width>
    __device__ auto load(std::int64_t i) const {
        return gradient.template load<Width>(i);
    }

    template <int Width, class Maps>
    __device__ void operator()(std::int64_t i, Maps const& m, coefficients<Width> const& at) const {
        auto const masked = gradient(m, at.normalized);
        if (out.dx != nullptr) {
            pack<T, Width> dx = {};
            if (out.dx_store == store::accumulate) dx = load_pack<Width>(out.dx + i);
            for (int k = 0; k < Width; ++k) {
                float const deviation = as_float(m.x.at[k]) - at.normalized.mean.at[k];
                put(dx.at[k],
                    input_gradient(at.normalized.gain.at[k], at.mean_g.at[k], at.slope.at[k], deviation,
                                   as_float(masked.at[k])),
                    out.dx_store);
            }
            store_pack(out.dx + i, dx);
        }
        if (out.dresidual != nullptr) {
            pack<T, Width> dresidual = {};
            if (out.dresidual_store == store::accumulate) dresidual = load_pack<Width>(out.dresidual + i);
            for (int k = 0; k < Width; ++k) put(dresidual.at[k], as_float(masked.at[k]), out.dresidual_store);
            store_pack(out.dresidual + i, dresidual);
        }
    }
};
/// dx where g is dy: what a mask needs stays out of the registers, and more blocks run.
template <class T>
struct unmasked_backward_work {
    static constexpr int ahead = 2;
    batch_norm_geometry g;
    batch_norm_state s;
    T const* x;
    T const* dy;
    T* dx;
    store mode;
    float const* mean_g;  ///< null with moving statistics, as slope
    float const* slope;

    template <int Width>
    struct maps {
        pack<T, Width> x, dy;
    };
    template <int Width>
    struct coefficients {
        pack<float, Width> mean, gain, mean_g, slope;
    };
    template <int Width>
    __device__ coefficients<Width> channels(int c) const {
        normalization<Width> const n(s, g.epsilon, c);
        return {n.mean, n.gain, load_floats<Width>(mean_g, c, 0), load_floats<Width>(slope, c, 0)};
    }
    template <int Width>
    __device__ maps<Width> load(std::int64_t i) const {
        return {load_pack<Width>(x + i), load_pack<Width>(dy + i)};
    }
    template <int Width>
    __device__ void operator()(std::int64_t i, maps<Width> const& m, coefficients<Width> const& at) const {
        float values[Width];
        for (int k = 0; k < Width; ++k)
            values[k] = input_gradient(at.gain.at[k], at.mean_g.at[k], at.slope.at[k],
                                       as_float(m.x.at[k]) - at.mean.at[k], as_float(m.dy.at[k]));
        store_pack(dx + i, values, mode);
    }
};
template <class T>
void batch_norm_backward(cudaStream_t stream, batch_norm_geometry const& g, batch_norm_state const& s,
                         bool batch_statistics, T const* x, T const* y, T const* dy, batch_norm_gradients<T> out,
                         float* scratch) {
    auto const with_mask = [&](T const* seen, auto start) {
        if (seen == nullptr) start(std::false_type{});
        else start(std::true_type{});
    };
    bool const sums_for_dx = batch_statistics && out.dx != nullptr;
    float* mean_g = scratch + column_floats(g.rows, g.channels, floats_of<sums<2>>);
    float* slope = mean_g + g.channels;
    if (sums_for_dx || out.dscale != nullptr || out.doffset != nullptr) {
        T* const early = out.dresidual_store == store::write ? out.dresidual : nullptr;
        with_mask(y, [&](auto of_y) {
            masked_gradient<T, of_y> const gradient{x, y, dy, y != nullptr || out.by_x};
            columns<T, sums<2>>(
                stream, g.rows, g.channels, gradient_sums_work<T, of_y>{g, s, gradient, early}, {x, y, dy, early},
                finish_gradient_sums{g, s.variance, mean_g, slope, out.dscale, out.doffset, out.parameter_store},
                scratch);
        });
        if (early != nullptr) {
            y = nullptr;
            out.by_x = false;
            dy = early;
            out.dresidual = nullptr;
        }
    }
    if (out.dx == nullptr && out.dresidual == nullptr) return;
    if (!sums_for_dx) mean_g = slope = nullptr;
    if (y == nullptr && !out.by_x && out.dresidual == nullptr)
        return along_channels<T>(stream, g.rows, g.channels,
                                 unmasked_backward_work<T>{g, s, x, dy, out.dx, out.dx_store, mean_g, slope},
                                 {x, dy, out.dx});
    with_mask(y, [&](auto of_y) {
        masked_gradient<T, of_y> const gradient{x, y, dy, y != nullptr || out.by_x};
        along_channels<T>(stream, g.rows, g.channels,
                          batch_norm_backward_work<T, of_y>{g, s, gradient, out, mean_g, slope},
                          {x, y, dy, out.dx, out.dresidual});
    });
}

}  // namespace tempera::cuda_kernels
