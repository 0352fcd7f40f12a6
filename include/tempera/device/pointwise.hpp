// SPDX-License-Identifier: Apache-2.0
#pragma once
// Catalogue: element by element functions, channel copies, dropout, row normalization.
// n counts elements. Backward functions take y (the forward result) where it determines the slope.

#include <cstdint>

#include <tempera/core/philox.hpp>
#include <tempera/device/store.hpp>

namespace tempera {

/// Which source channels go to which destination channels, for every row (position) of two dense arrays.
struct channel_copy {
    std::int64_t rows = 0;
    int source_channels = 0, source_begin = 0;
    int target_channels = 0, target_begin = 0;
    int count = 0;
};

/// A {batch, positions, channels} map and a gate {batch, channels}.
struct gate_geometry {
    int batch = 0;
    std::int64_t positions = 1;
    int channels = 1;
};

/// DropBlock (Ghiasi et al. 2018): square blocks of every channel of every sample are zeroed.
struct drop_block_geometry {
    int batch = 0;
    int height = 1, width = 1, channels = 1;
    int block = 7;
    float keep = 1;  ///< gamma = (1 - keep) W^2 / block^2 / (W - block + 1)^2
};

/// Random bits of one call: element i draws from counter block offset + i / 4.
struct random_stream {
    philox_key key{};
    std::uint64_t offset = 0;
};

/// relu_forward(device, n, x, y)            relu_backward(device, n, y, dy, dx, store)
/// sigmoid_forward(device, n, x, y)         sigmoid_backward(device, n, y, dy, dx, store)
/// add_forward(device, n, a, b, y)
/// multiply_forward(device, n, a, b, y)     multiply_backward(device, n, other, dy, dx, store)
/// copy(device, n, x, y, store)             fill(device, n, value, y)
/// scale(device, n, factor, y): y *= factor
/// convert(device, n, x, y): between float and T
/// copy_channels(device, c, x, y, store): other channels of y stay
/// gate_forward(device, g, x, gate, y): y = x * gate (float32, broadcast over positions)
/// gate_backward(device, g, x, gate, dy, dx, dx_store, dgate, dgate_store): dx or dgate may be null
/// apply_dropout(device, n, rate, random, x, y, store): y = x / (1 - rate) where a uniform draw >= rate, else 0; its own
///     backward, with the same random stream
/// drop_block_mask(device, g, random, mask): float32 {batch, height, width, channels}; zero or elements / (ones of the
///     batch)
/// mask_elements(device, n, mask, x, y, store): y = mask x, the mask float32
/// l2_normalize_forward(device, rows, channels, x, y, inverse_norm): u = x * rsqrt(max(sum x^2, 1e-12))
/// l2_normalize_backward(device, rows, channels, y, inverse_norm, dy, dx, store)
template <class D, class T>
concept provides_pointwise =
    requires(D& device, std::int64_t n, T const* x, T* y, float const* f, float* g, store mode, channel_copy const& c,
             gate_geometry const& gate, drop_block_geometry const& block, random_stream const& random) {
        relu_forward(device, n, x, y);
        relu_backward(device, n, x, x, y, mode);
        sigmoid_forward(device, n, x, y);
        sigmoid_backward(device, n, x, x, y, mode);
        add_forward(device, n, x, x, y);
        multiply_forward(device, n, x, x, y);
        multiply_backward(device, n, x, x, y, mode);
        copy(device, n, x, y, mode);
        fill(device, n, 0.0F, y);
        scale(device, n, 1.0F, y);
        convert(device, n, f, y);
        convert(device, n, x, g);
        copy_channels(device, c, x, y, mode);
        gate_forward(device, gate, x, f, y);
        gate_backward(device, gate, x, f, x, y, mode, g, mode);
        apply_dropout(device, n, 0.5F, random, x, y, mode);
        drop_block_mask(device, block, random, g);
        mask_elements(device, n, f, x, y, mode);
        l2_normalize_forward(device, n, 1, x, y, g);
        l2_normalize_backward(device, n, 1, x, f, x, y, mode);
    };

}  // namespace tempera
