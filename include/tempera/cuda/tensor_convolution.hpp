// SPDX-License-Identifier: Apache-2.0
#pragma once
// Convolutions on tensor cores: their scratch memory and launches. Filters are float32 and enter as T, converted anew by
// each call unless they come packed.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <tempera/cuda/gpu.hpp>
#include <tempera/cuda/launch.hpp>

namespace tempera::cuda_kernels {

/// What tensor cores multiply here.
template <class T>
concept tensor_element = std::is_same_v<T, bf16> || std::is_same_v<T, half>;

template <class T>
bool suits_tensor_cores(convolution_geometry const& g, T const* x, T const* y) {
    return tensor_element<T> && fits_tensor_cores(g) && aligned_to_packs(x) && aligned_to_packs(y);
}

/// Filters as T, and floats behind them.
template <tensor_element T>
struct tensor_scratch {
    T* filters;
    float* floats;

    tensor_scratch(gpu& device, convolution_geometry const& g, std::int64_t float_count = 0) {
        std::size_t const filter_bytes = scratch_part(static_cast<std::size_t>(g.weight_size()) * sizeof(T));
        auto* const memory = static_cast<std::byte*>(
            device.context.scratch(filter_bytes + static_cast<std::size_t>(float_count) * sizeof(float)));
        filters = reinterpret_cast<T*>(memory);
        floats = reinterpret_cast<float*>(memory + filter_bytes);
    }
};

/// packed: filters as T; null: they are converted from w.
template <tensor_element T>
void tensor_convolution_forward(gpu& device, convolution_geometry const& g, T const* x, float const* w, T const* packed,
                                convolution_epilogue<T> const& epilogue, T* y) {
    tensor_scratch<T> const scratch(device, g, depth_split_floats(g));
    if (packed == nullptr) convert(device.context.stream(), g.weight_size(), w, scratch.filters);
    T const* const filters = packed == nullptr ? scratch.filters : packed;
    tensor_forward(device.context.stream(), g, x, filters, epilogue, y, scratch.floats);
}

template <tensor_element T>
void tensor_convolution_statistics(gpu& device, convolution_geometry const& g, T const* x, float const* w,
                                   float const* bias, T* y, float* mean, float* variance) {
    tensor_scratch<T> const scratch(device, g, moment_floats(g));
    convert(device.context.stream(), g.weight_size(), w, scratch.filters);
    tensor_forward_statistics<T>(device.context.stream(), g, x, scratch.filters, bias, y, mean, variance,
                                 scratch.floats);
}

template <tensor_element T>
void tensor_convolution_backward_data(gpu& device, convolution_geometry const& g, T const* dy, float const* w, T* dx,
                                      store mode) {
    tensor_scratch<T> const scratch(device, g);
    swap_channels(device.context.stream(), g, w, scratch.filters);
    tensor_backward_data<T>(device.context.stream(), g, dy, scratch.filters, dx, mode);
}

template <tensor_element T>
void tensor_convolution_backward_weights(gpu& device, convolution_geometry const& g, T const* x, T const* dy, float* dw,
                                         float* dbias, store mode) {
    std::int64_t const rows = std::int64_t{1} * g.batch * g.out_height * g.out_width;
    float* const scratch =
        device.context.float_scratch(std::max(weight_gradient_floats(g), column_floats(rows, g.out_channels, 1)));
    tensor_backward_weights(device.context.stream(), g, x, dy, dw, mode, scratch);
    if (dbias != nullptr) bias_gradient(device.context.stream(), rows, g.out_channels, dy, dbias, mode, scratch);
}

}  // namespace tempera::cuda_kernels
