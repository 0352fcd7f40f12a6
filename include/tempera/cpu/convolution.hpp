// SPDX-License-Identifier: Apache-2.0
#pragma once
// Convolution on the cpu (contract: device/convolution.hpp): Winograd's method where it fits, direct sums elsewhere.

#include <cstdint>

#include <tempera/cpu/batch_norm.hpp>
#include <tempera/cpu/direct_convolution.hpp>
#include <tempera/cpu/peak.hpp>
#include <tempera/cpu/verbose.hpp>
#include <tempera/cpu/winograd.hpp>
#include <tempera/cpu/winograd_weights.hpp>
#include <tempera/device/convolution.hpp>

namespace tempera {

namespace cpu_kernels {

/// What one call runs: the kernels for direct sums, and by which method; and its line in the verbose log. packed: whether the
/// filters have been.
template <class T>
struct convolution_call {
    convolution_call(cpu& device, char const* operation, convolution_geometry const& g, gemm_kernels<T> const& direct,
                     bool packed = false)
        : kernels(direct),
          winograd(packed ? device.winograd && winograd_fits_packed<T>(device, g) : winograd_fits<T>(device, g)),
          scope(device, operation, winograd ? "winograd 4x4" : kernels.name, g.multiply_adds(),
                peak_to_print(device, kernels)) {
        scope.sizes("%d x %dx%dx%d -> %dx%dx%d, %dx%d/%d", g.batch, g.in_height, g.in_width, g.in_channels,
                    g.out_height, g.out_width, g.out_channels, g.kernel, g.kernel, g.stride);
    }

    gemm_kernels<T> const& kernels;
    bool winograd;
    verbose_scope scope;
};

}  // namespace cpu_kernels

/// Filters that stay the same can be packed once, for batches of up to g.batch: packed_filters<T> floats. Those for direct
/// sums come first; behind them, where batches can be large enough, those for Winograd's method.
template <class T>
std::int64_t packed_filters(cpu& device, convolution_geometry const& g) {
    using namespace cpu_kernels;
    auto const& kernels = gemm_pairs_of<T>(device.level());
    auto const& products = gemm_kernels_of<float>(device.level());
    return packed_floats(kernels, g) +
           (winograd_fits_packed<T>(device, g) ? winograd_floats(products, g.in_channels, g.out_channels) : 0);
}
template <class T>
void pack_filters(cpu& device, convolution_geometry const& g, float const* w, float* packed) {
    using namespace cpu_kernels;
    auto const& kernels = gemm_pairs_of<T>(device.level());
    auto const turn = device.exclusive();
    cpu_kernels::pack_filters(device, kernels, g, w, packed);
    if (winograd_fits_packed<T>(device, g))
        winograd_pack(device, g.out_channels, g.in_channels, w, false, packed + packed_floats(kernels, g));
}

/// Filters w may be packed as well; null: they are packed now. T is float or bf16.
template <class T>
void convolution_forward(cpu& device, convolution_geometry const& g, T const* x, float const* w, float const* packed,
                         convolution_epilogue<T> const& epilogue, T* y) {
    using namespace cpu_kernels;
    convolution_call<T> const call(device, "convolution_forward", g, gemm_pairs_of<T>(device.level()),
                                   packed != nullptr);
    if (call.winograd) {
        float const* const panels = packed != nullptr ? packed + packed_floats(call.kernels, g) : nullptr;
        return winograd_forward(device, g, x, w, panels, epilogue, y);
    }
    gemm_epilogue<T> const finish{epilogue.bias, epilogue.residual, epilogue.relu};
    if (packed != nullptr) forward_packed(device, call.kernels, g, x, packed, finish, y);
    else forward_with(device, call.kernels, g, x, w, finish, y);
}
template <class T>
void convolution_forward(cpu& device, convolution_geometry const& g, T const* x, float const* w, float const* bias,
                         T* y) {
    convolution_forward(device, g, x, w, nullptr, convolution_epilogue<T>{.bias = bias}, y);
}

/// Blocks of rows give their moments while they are written. Winograd's tiles leave blocks of several sizes: their map is read
/// again. So are maps in bfloat16, where it costs no more than taking moments between roundings.
inline void convolution_statistics(cpu& device, convolution_geometry const& g, float const* x, float const* w,
                                   float const* bias, float* y, batch_norm_statistics_target const& target) {
    using namespace cpu_kernels;
    std::int64_t const rows = std::int64_t{1} * g.batch * g.out_height * g.out_width;
    if (rows == 0 || winograd_fits<float>(device, g)) {
        convolution_forward(device, g, x, w, bias, y);
        batch_norm_statistics(device, {.rows = rows, .channels = g.out_channels}, static_cast<float const*>(y),
                              target.mean, target.variance);
    } else {
        convolution_call<float> const call(device, "convolution_statistics", g, gemm_kernels_of<float>(device.level()));
        auto const turn = device.exclusive();
        std::int64_t const block = block_of(call.kernels, g);
        std::int64_t const c = g.out_channels;
        std::int64_t const floats = ceil_divide(rows, block) * 3 * c;
        auto* const partial = static_cast<float*>(
            device.scratch(device.caller(), scratch_slot::shared, static_cast<std::size_t>(floats) * sizeof(float)));
        forward_with(device, call.kernels, g, x, w, {.bias = bias, .moments = partial, .moments_line = c}, y);
        batch_norm_merge_blocks(device, partial, block, rows, g.out_channels, target.mean, target.variance);
    }
    if (target.moving_mean != nullptr)
        batch_norm_moving(device, g.out_channels, target.decay, target.factor, target.mean, target.variance,
                          target.moving_mean, target.moving_variance);
}

template <class T>
void convolution_backward_data(cpu& device, convolution_geometry const& g, T const* dy, float const* w, T* dx,
                               store mode) {
    using namespace cpu_kernels;
    convolution_call<T> const call(device, "convolution_backward_data", g,
                                   gemm_kernels_along<T>(device.level(), g.out_channels));
    if (call.winograd) return winograd_backward_data(device, g, dy, w, dx, mode);
    backward_data_with(device, call.kernels, g, dy, w, dx, mode);
}

template <class T>
void convolution_backward_weights(cpu& device, convolution_geometry const& g, T const* x, T const* dy, float* dw,
                                  float* dbias, store mode) {
    using namespace cpu_kernels;
    convolution_call<T> const call(device, "convolution_backward_weights", g, gemm_pairs_of<T>(device.level()));
    if (dbias != nullptr) add_rows_with(device, call.kernels, g, dy, dbias, mode);
    if (call.winograd) return winograd_backward_weights(device, g, x, dy, dw, mode);
    backward_weights_with(device, call.kernels, g, x, dy, dw, mode);
}

}  // namespace tempera
