// SPDX-License-Identifier: Apache-2.0
#pragma once
// Kernels of device/batch_norm.hpp over {rows, channels}: two passes for mean and variance (no cancellation), one for
// y, two for the gradients (sums, then dx). Those that write maps work in packs of 16 bytes (along_channels.cuh).

#include <tempera/cuda/along_channels.cuh>
#include <tempera/cuda/launch.hpp>
#include <tempera/cuda/rows.cuh>

namespace tempera::cuda_kernels {

template <class T>
struct mean_term {
    T const* x;
    int channels;
    __device__ void operator()(std::int64_t row, int c, sums<1>& total) const {
        total.at[0] += as_float(x[row * channels + c]);
    }
};
template <class T>
struct variance_term {
    T const* x;
    int channels;
    float const* mean;
    __device__ void operator()(std::int64_t row, int c, sums<1>& total) const {
        float const d = as_float(x[row * channels + c]) - mean[c];
        total.at[0] += d * d;
    }
};
struct finish_mean {
    std::int64_t rows;
    float* mean;
    __device__ void operator()(int c, sums<1> const& total) const { mean[c] = total.at[0] / static_cast<float>(rows); }
};
template <class T>
void batch_norm_statistics(cudaStream_t stream, batch_norm_geometry const& g, T const* x, float* mean, float* variance,
                           float* scratch) {
    columns<1>(stream, g.rows, g.channels, mean_term<T>{x, g.channels}, finish_mean{g.rows, mean}, scratch);
    columns<1>(stream, g.rows, g.channels, variance_term<T>{x, g.channels, mean}, finish_mean{g.rows, variance},
               scratch);
}

struct moving_at {
    float decay;
    float factor;
    float const* mean;
    float const* variance;
    float* moving_mean;
    float* moving_variance;
    __device__ void operator()(std::int64_t c) const {
        moving_mean[c] = decay * moving_mean[c] + (1 - decay) * mean[c];
        moving_variance[c] = decay * moving_variance[c] + (1 - decay) * (factor * variance[c]);
    }
};
inline void batch_norm_moving(cudaStream_t stream, int channels, float decay, float factor, float const* mean,
                              float const* variance, float* moving_mean, float* moving_variance) {
    each(stream, channels, moving_at{decay, factor, mean, variance, moving_mean, moving_variance});
}

/// The state of one channel in registers.
struct channel_state {
    float mean;
    float inverse;
    float scale;
    float offset;

    channel_state() = default;
    __device__ channel_state(batch_norm_state const& s, float epsilon, int c)
        : mean(s.mean[c]),
          inverse(1 / sqrtf(s.variance[c] + epsilon)),
          scale(s.scale == nullptr ? 1 : s.scale[c]),
          offset(s.offset == nullptr ? 0 : s.offset[c]) {}
};

template <class T>
struct batch_norm_apply_work {
    batch_norm_geometry g;
    batch_norm_state s;
    T const* x;
    T const* residual;
    bool fused_relu;
    T* y;

    template <int Width>
    struct states {
        channel_state at[Width];
    };
    template <int Width>
    __device__ states<Width> channels(int c) const {
        states<Width> all;
        for (int k = 0; k < Width; ++k) all.at[k] = channel_state(s, g.epsilon, c + k);
        return all;
    }

    template <int Width>
    __device__ void operator()(std::int64_t i, states<Width> const& states_) const {
        auto const in = load_pack<Width>(x + i);
        pack<T, Width> added = {};
        if (residual != nullptr) added = load_pack<Width>(residual + i);
        pack<T, Width> out;
        for (int k = 0; k < Width; ++k) {
            channel_state const& at = states_.at[k];
            float v = at.scale * ((as_float(in.at[k]) - at.mean) * at.inverse) + at.offset;
            if (residual != nullptr) v += as_float(added.at[k]);
            put(out.at[k], !fused_relu || v > 0 || v != v ? v : 0);
        }
        store_pack(y + i, out);
    }
};
template <class T>
void batch_norm_apply(cudaStream_t stream, batch_norm_geometry const& g, batch_norm_state const& s, T const* x,
                      T const* residual, bool fused_relu, T* y) {
    along_channels<T>(stream, g.rows, g.channels, batch_norm_apply_work<T>{g, s, x, residual, fused_relu, y},
                      {x, residual, y});
}

/// dy where the fused ReLU let the value through; y null: no ReLU was fused.
template <class T>
__device__ float masked(T const* y, T const* dy, std::int64_t i) {
    return y == nullptr || as_float(y[i]) > 0 ? as_float(dy[i]) : 0;
}

template <class T>
struct gradient_sums_term {
    batch_norm_geometry g;
    batch_norm_state s;
    T const* x;
    T const* y;
    T const* dy;
    __device__ void operator()(std::int64_t row, int c, sums<2>& total) const {
        std::int64_t const i = row * g.channels + c;
        channel_state const at(s, g.epsilon, c);
        float const gradient = masked(y, dy, i);
        total.at[0] += gradient;
        total.at[1] += gradient * ((as_float(x[i]) - at.mean) * at.inverse);
    }
};
/// sum[c] = sum of g, sum[channels + c] = sum of g z, and the parameters' gradients where wanted.
struct finish_gradient_sums {
    int channels;
    float* sum;
    float* dscale;
    float* doffset;
    store mode;
    __device__ void operator()(int c, sums<2> const& total) const {
        sum[c] = total.at[0];
        sum[channels + c] = total.at[1];
        if (doffset != nullptr) put(doffset[c], total.at[0], mode);
        if (dscale != nullptr) put(dscale[c], total.at[1], mode);
    }
};

template <class T>
struct batch_norm_backward_work {
    batch_norm_geometry g;
    batch_norm_state s;
    T const* x;
    T const* y;
    T const* dy;
    batch_norm_gradients<T> out;
    float const* sum;  ///< null with moving statistics

    template <int Width>
    struct states {
        channel_state at[Width];
        float mean_g[Width];   ///< doffset / rows
        float mean_gz[Width];  ///< dscale / rows
    };
    template <int Width>
    __device__ states<Width> channels(int c) const {
        states<Width> all;
        auto const rows = static_cast<float>(g.rows);
        for (int k = 0; k < Width; ++k) {
            all.at[k] = channel_state(s, g.epsilon, c + k);
            all.mean_g[k] = sum == nullptr ? 0 : sum[c + k] / rows;
            all.mean_gz[k] = sum == nullptr ? 0 : sum[g.channels + c + k] / rows;
        }
        return all;
    }

    template <int Width>
    __device__ void operator()(std::int64_t i, states<Width> const& states_) const {
        pack<T, Width> gradient = load_pack<Width>(dy + i);
        if (y != nullptr) {
            auto const seen = load_pack<Width>(y + i);
            for (int k = 0; k < Width; ++k)
                if (!(as_float(seen.at[k]) > 0)) gradient.at[k] = T{};
        }
        if (out.dx != nullptr) {
            pack<T, Width> in = {};
            if (sum != nullptr) in = load_pack<Width>(x + i);
            pack<T, Width> dx = {};
            if (out.dx_store == store::accumulate) dx = load_pack<Width>(out.dx + i);
            for (int k = 0; k < Width; ++k) {
                channel_state const& at = states_.at[k];
                float d = as_float(gradient.at[k]);
                if (sum != nullptr) {
                    float const z = (as_float(in.at[k]) - at.mean) * at.inverse;
                    d -= states_.mean_g[k] + z * states_.mean_gz[k];
                }
                put(dx.at[k], at.scale * at.inverse * d, out.dx_store);
            }
            store_pack(out.dx + i, dx);
        }
        if (out.dresidual != nullptr) {
            pack<T, Width> dresidual = {};
            if (out.dresidual_store == store::accumulate) dresidual = load_pack<Width>(out.dresidual + i);
            for (int k = 0; k < Width; ++k) put(dresidual.at[k], as_float(gradient.at[k]), out.dresidual_store);
            store_pack(out.dresidual + i, dresidual);
        }
    }
};
template <class T>
void batch_norm_backward(cudaStream_t stream, batch_norm_geometry const& g, batch_norm_state const& s,
                         bool batch_statistics, T const* x, T const* y, T const* dy, batch_norm_gradients<T> const& out,
                         float* scratch) {
    bool const sums_for_dx = batch_statistics && out.dx != nullptr;
    float* const sum = scratch + column_floats(g.rows, g.channels, 2);
    if (sums_for_dx || out.dscale != nullptr || out.doffset != nullptr)
        columns<2>(stream, g.rows, g.channels, gradient_sums_term<T>{g, s, x, y, dy},
                   finish_gradient_sums{g.channels, sum, out.dscale, out.doffset, out.parameter_store}, scratch);
    if (out.dx != nullptr || out.dresidual != nullptr)
        along_channels<T>(stream, g.rows, g.channels,
                          batch_norm_backward_work<T>{g, s, x, y, dy, out, sums_for_dx ? sum : nullptr},
                          {x, y, dy, out.dx, out.dresidual});
}

}  // namespace tempera::cuda_kernels
