// SPDX-License-Identifier: Apache-2.0
#pragma once
// Catalogue: two-dimensional convolution, NHWC activations, OHWI weights.
//
//   y[n,i,j,o] = bias[o] + sum_{r,s,c} x[n, i*stride + r - pad_top, j*stride + s - pad_left, c] w[o,r,s,c]
//
// Positions outside x count as zero. A dense layer is the case of 1x1 maps and kernel 1.

#include <concepts>
#include <cstdint>

#include <tempera/device/batch_norm.hpp>
#include <tempera/device/store.hpp>

namespace tempera {

struct convolution_geometry {
    int batch = 0;
    int in_height = 1, in_width = 1, in_channels = 1;
    int out_height = 1, out_width = 1, out_channels = 1;
    int kernel = 1;
    int stride = 1;
    int pad_top = 0, pad_left = 0;  ///< zeros before the first row and column; the end pads as the sizes ask

    constexpr std::int64_t in_size() const { return std::int64_t{1} * batch * in_height * in_width * in_channels; }
    constexpr std::int64_t out_size() const { return std::int64_t{1} * batch * out_height * out_width * out_channels; }
    constexpr std::int64_t weight_size() const {
        return std::int64_t{1} * out_channels * kernel * kernel * in_channels;
    }
    constexpr std::int64_t multiply_adds() const {
        return std::int64_t{1} * batch * out_height * out_width * weight_size();
    }
    friend constexpr bool operator==(convolution_geometry const&, convolution_geometry const&) = default;
};

/// What becomes of a convolution's sums before they are stored: y = relu(sum + bias + residual). Each part may be missing.
template <class T>
struct convolution_epilogue {
    float const* bias = nullptr;
    T const* residual = nullptr;  ///< of y's shape
    bool relu = false;
};

/// convolution_forward(device, g, x, w, bias, y): bias may be null.
/// convolution_forward(device, g, x, w, packed, epilogue, y): packed may be null (see packs_convolution_filters).
/// convolution_backward_data(device, g, dy, w, dx, store)
/// convolution_backward_weights(device, g, x, dy, dw, dbias, store): dbias may be null.
template <class D, class T>
concept provides_convolution = requires(D& device, convolution_geometry const& g, T const* in, T* out, float const* w,
                                        float* dw, store mode, convolution_epilogue<T> const& epilogue) {
    convolution_forward(device, g, in, w, w, out);
    convolution_forward(device, g, in, w, w, epilogue, out);
    convolution_backward_data(device, g, in, w, out, mode);
    convolution_backward_weights(device, g, in, in, dw, dw, mode);
};

/// A device may also keep filters that do not change in the form it multiplies with; predictors use that.
/// packed_filters<T>(device, g): floats that they take;  pack_filters<T>(device, g, w, packed): for batches of up to g.batch
template <class D, class T>
concept packs_convolution_filters = requires(D& device, convolution_geometry const& g, float const* w, float* packed) {
    { packed_filters<T>(device, g) } -> std::same_as<std::int64_t>;
    pack_filters<T>(device, g, w, packed);
};

/// A device may also take the statistics of y (device/batch_norm.hpp) while it writes y; schedules ask for that where
/// convolutions_take_statistics says so.
/// convolution_statistics(device, g, x, w, bias, y, target)
template <class D, class T>
concept takes_convolution_statistics = requires(D& device, convolution_geometry const& g, T const* in, T* out,
                                                float const* w, batch_norm_statistics_target const& target) {
    convolution_statistics(device, g, in, w, w, out, target);
};

}  // namespace tempera
