// SPDX-License-Identifier: Apache-2.0
#pragma once
// batch_norm: y = scale (x - mean) / sqrt(variance + epsilon) + offset over batch and positions, with moving
// statistics m = decay m + (1 - decay) batch (biased variance, as the reference's cross-replica form).

#include <tempera/graph/value.hpp>

namespace tempera {

/// Of the input's shape, per channel. Statistics are of the batch in training (see bn for frozen parts) and the moving ones
/// when predicting.
struct batch_norm {
    float epsilon = 1e-5F;    ///< added to the variance; above 0
    float decay = 0.9F;       ///< of the moving statistics, from 0 to 1
    bool scale = true;        ///< gamma, starting at 1
    bool offset = true;       ///< beta, starting at 0
    bool zero_scale = false;  ///< gamma starts at 0: the last normalization of a residual branch

    constexpr value operator()(value x) const {
        trace& t = x.graph();
        int const channels = x.shape().channels;
        op o{};
        o.kind = op_kind::batch_norm;
        o.number = epsilon;
        o.number2 = decay;
        o.flag = scale;
        o.flag2 = offset;
        t.require(epsilon > 0 && epsilon < 1e6F, fault::setting_out_of_range, o.kind, epsilon, 0.01F);
        t.require(decay >= 0 && decay <= 1, fault::setting_out_of_range, o.kind, decay, decay < 0 ? 0.0F : 1.0F);
        o.scope = t.open_layer(o.kind);
        auto vector = [&](role r, float start) {
            tensor v{};
            v.role = r;
            v.number = start;
            v.dims = std::array<int, 4>{channels, 1, 1, 1};
            t.declare(o, v);
        };
        if (scale) vector(role::scale, zero_scale ? 0.0F : 1.0F);
        if (offset) vector(role::offset, 0.0F);
        vector(role::moving_mean, 0.0F);
        vector(role::moving_variance, 1.0F);
        return x.emit(o, x.shape());
    }
};

}  // namespace tempera
