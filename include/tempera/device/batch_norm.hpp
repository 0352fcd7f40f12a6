// SPDX-License-Identifier: Apache-2.0
#pragma once
// Catalogue: batch normalization over the rows of a {rows, channels} array (rows = batch x height x width).
//
//   mean = sum x / rows     variance = sum (x - mean)^2 / rows  (biased)
//   y = act(scale (x - mean) / sqrt(variance + epsilon) + offset + residual)     act: identity or ReLU
//
// Backward, g = dy masked by y > 0 where ReLU was fused, z = (x - mean) / sqrt(variance + epsilon):
//   dscale = sum g z    doffset = sum g    dresidual = g
//   dx = scale / sqrt(variance + epsilon) (g - doffset/rows - z dscale/rows)   with batch statistics
//   dx = scale / sqrt(variance + epsilon) g                                    with moving statistics

#include <cstdint>

#include <tempera/device/store.hpp>

namespace tempera {

struct batch_norm_geometry {
    std::int64_t rows = 0;
    int channels = 0;
    float epsilon = 1e-5F;
};

/// Pointers of one normalization; scale and offset may be null (taken as 1 and 0).
struct batch_norm_state {
    float const* mean = nullptr;
    float const* variance = nullptr;
    float const* scale = nullptr;
    float const* offset = nullptr;
};

/// Where the statistics of a batch go, and the moving ones that follow them (batch_norm_moving) where these are not null.
struct batch_norm_statistics_target {
    float* mean = nullptr;
    float* variance = nullptr;
    float* moving_mean = nullptr;
    float* moving_variance = nullptr;
    float decay = 0;
    float factor = 1;
};

/// Where the backward pass writes, each pointer null where nothing is wanted, and how it knows what a fused ReLU let through.
template <class T>
struct batch_norm_gradients {
    T* dx = nullptr;
    store dx_store = store::write;
    T* dresidual = nullptr;
    store dresidual_store = store::write;
    float* dscale = nullptr;
    float* doffset = nullptr;
    store parameter_store = store::write;
    bool by_x = false;  ///< a ReLU was fused and no residual added: x tells where it let values through; y is null
};

/// batch_norm_statistics(device, g, x, mean, variance)
/// batch_norm_moving(device, channels, decay, factor, mean, variance, moving_mean, moving_variance):
///     moving = decay moving + (1 - decay) batch; the variance is multiplied by factor first
///     (1, or rows/(rows-1) for the unbiased form).
/// batch_norm_apply(device, g, state, x, residual, relu, y): residual may be null.
/// batch_norm_backward(device, g, state, batch_statistics, x, y, dy, gradients): y is null where no ReLU was fused, or
///     x tells as well (by_x).
template <class D, class T>
concept provides_batch_norm =
    requires(D& device, batch_norm_geometry const& g, batch_norm_state const& s, T const* x, T* y, float const* batch,
             float* moving, batch_norm_gradients<T> const& out) {
        batch_norm_statistics(device, g, x, moving, moving);
        batch_norm_moving(device, 1, 0.9F, 1.0F, batch, batch, moving, moving);
        batch_norm_apply(device, g, s, x, x, true, y);
        batch_norm_backward(device, g, s, true, x, x, x, out);
    };

/// A device may also let the moving statistics follow where it writes those of the batch.
/// batch_norm_statistics(device, g, x, target)
template <class D, class T>
concept moves_batch_norm_statistics =
    requires(D& device, batch_norm_geometry const& g, T const* x, batch_norm_statistics_target const& target) {
        batch_norm_statistics(device, g, x, target);
    };

}  // namespace tempera
