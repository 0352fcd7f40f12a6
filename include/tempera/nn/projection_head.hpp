// SPDX-License-Identifier: Apache-2.0
#pragma once
// The projection head of SimCLRv2 (section 2 and appendix): layers 0..L-2 are dense (no bias), batch norm, ReLU of the
// encoder's width; the last is dense to `out`, batch norm without offset, no ReLU. Tap k is the output of layer k.

#include <tempera/nn/pointwise.hpp>
#include <tempera/nn/sequential.hpp>

namespace tempera {

struct projection_config {
    int layers = 3;  ///< 0: the encoder's features as they are
    int out = 128;   ///< units of the last layer

    friend constexpr bool operator==(projection_config const&, projection_config const&) = default;
};

struct projection_network {
    projection_config config{};

    constexpr value operator()(value x) const { return tap(x, config.layers); }

    /// The output after `count` layers; 0 is x itself. Only these layers are declared.
    constexpr value tap(value x, int count) const {
        if (config.layers < 0)
            x.graph().fail_number(fault::setting_out_of_range, op_kind::dense, config.layers, 0);
        int const width = x.shape().channels;
        for (int i = 0; i < count; ++i) {
            bool const last = i == config.layers - 1;
            scope const layer(x, "layer", i);
            x = apply_named(dense{.units = last ? config.out : width, .bias = false}, x, "dense");
            x = apply_named(batch_norm{.offset = !last}, x, "norm");
            if (!last) x = relu(x);
        }
        return x;
    }
};

template <projection_config Config>
inline constexpr projection_network projection_head{Config};

}  // namespace tempera
