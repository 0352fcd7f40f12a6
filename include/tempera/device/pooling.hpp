// SPDX-License-Identifier: Apache-2.0
#pragma once
// Catalogue: pooling over kernel x kernel windows and over whole maps.
//
// Positions outside the map never count: the maximum skips them, the average divides by the number
// of positions inside (TensorFlow's SAME) unless count_padding is set.

#include <cstdint>

#include <tempera/device/store.hpp>

namespace tempera {

struct pool_geometry {
    int batch = 0;
    int in_height = 1, in_width = 1;
    int out_height = 1, out_width = 1;
    int channels = 1;
    int kernel = 2;
    int stride = 2;
    int pad_top = 0, pad_left = 0;
    bool count_padding = false;  ///< average_pool divides by kernel^2 everywhere (zeros outside the map count)
};

/// max_pool_forward(device, g, x, y, argmax): argmax[n,i,j,c] = r * kernel + s of the first maximum; may be null.
/// max_pool_backward(device, g, argmax, dy, dx, store)
/// average_pool_forward(device, g, x, y)    average_pool_backward(device, g, dy, dx, store)
/// global_average_pool_forward(device, batch, positions, channels, x, y): y is float32 {batch, channels}.
/// global_average_pool_backward(device, batch, positions, channels, dy, dx, store)
template <class D, class T>
concept provides_pooling = requires(D& device, pool_geometry const& g, T const* x, T* y, std::uint8_t* argmax,
                                    float const* vector_in, float* vector_out, store mode) {
    max_pool_forward(device, g, x, y, argmax);
    max_pool_backward(device, g, static_cast<std::uint8_t const*>(argmax), x, y, mode);
    average_pool_forward(device, g, x, y);
    average_pool_backward(device, g, x, y, mode);
    global_average_pool_forward(device, 1, std::int64_t{1}, 1, x, vector_out);
    global_average_pool_backward(device, 1, std::int64_t{1}, 1, vector_in, y, mode);
};

}  // namespace tempera
