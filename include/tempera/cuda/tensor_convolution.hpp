// SPDX-License-Identifier: Apache-2.0
#pragma once
// Convolutions on tensor cores: their scratch memory and launches. Filters are float32 and enter as T, converted anew by
// each call unless they come packed. Maps whose input channels are no whole chunks of 16 bytes, as those of images, are
// copied with zeros behind their channels, or behind those of a block of positions (in_blocks); sums over zeros cost less
// than gathering elements one by one.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <tempera/cuda/gpu.hpp>
#include <tempera/cuda/launch_tensor.hpp>

namespace tempera::cuda_kernels {

/// What tensor cores multiply here.
template <class T>
concept tensor_element = std::is_same_v<T, bf16> || std::is_same_v<T, half>;

template <class T>
bool suits_tensor_cores(convolution_geometry const& g, T const* y) {
    return tensor_element<T> && fits_tensor_cores(g) && aligned_to_packs(y);
}

/// Filters as T, a copy of x or dx where it needs one, and floats. whole: g as it is multiplied.
template <tensor_element T>
struct tensor_scratch {
    T* filters;
    T* map;  ///< null: the map itself will do
    float* floats;

    tensor_scratch(gpu& device, convolution_geometry const& g, convolution_geometry const& whole, T const* x,
                   std::int64_t float_count = 0) {
        bool const copied = whole.in_channels != g.in_channels || !aligned_to_packs(x);
        std::size_t const filter_bytes = scratch_part(static_cast<std::size_t>(whole.weight_size()) * sizeof(T));
        std::size_t const map_bytes = copied ? scratch_part(static_cast<std::size_t>(whole.in_size()) * sizeof(T)) : 0;
        auto* const memory = static_cast<std::byte*>(
            device.context.scratch(filter_bytes + map_bytes + static_cast<std::size_t>(float_count) * sizeof(float)));
        filters = reinterpret_cast<T*>(memory);
        map = copied ? reinterpret_cast<T*>(memory + filter_bytes) : nullptr;
        floats = reinterpret_cast<float*>(memory + filter_bytes + map_bytes);
    }
};

/// x or its copy.
template <tensor_element T>
T const* map_in_blocks(cudaStream_t stream, convolution_geometry const& g, T const* x, T* copy) {
    if (copy == nullptr) return x;
    convolution_geometry const whole = in_blocks(g);
    chunk_copy map{g.batch,         g.in_height,    g.in_width,        g.in_channels,
                   whole.in_height, whole.in_width, whole.in_channels, position_blocks(g)};
    map.blocks.blank_rows = map.blocks.blank_columns = 0;
    copy_in_whole_chunks(stream, map, x, copy);
    return copy;
}
template <tensor_element T>
void filters_in_blocks(cudaStream_t stream, convolution_geometry const& g, float const* w, T* filters) {
    convolution_geometry const whole = in_blocks(g);
    chunk_copy const kernels{g.out_channels, g.kernel,     g.kernel,          g.in_channels,
                             whole.kernel,   whole.kernel, whole.in_channels, position_blocks(g)};
    copy_in_whole_chunks(stream, kernels, w, filters);
}

/// packed: filters as T in whole chunks; null: they are converted from w.
template <tensor_element T>
void tensor_convolution_forward(gpu& device, convolution_geometry const& g, T const* x, float const* w, T const* packed,
                                convolution_epilogue<T> const& epilogue, T* y) {
    tensor_scratch<T> const scratch(device, g, in_blocks(g), x, depth_split_floats(g));
    cudaStream_t const stream = device.context.stream();
    if (packed == nullptr) filters_in_blocks(stream, g, w, scratch.filters);
    x = map_in_blocks(stream, g, x, scratch.map);
    tensor_forward(stream, g, x, packed == nullptr ? scratch.filters : packed, epilogue, y, scratch.floats);
}

template <tensor_element T>
void tensor_convolution_statistics(gpu& device, convolution_geometry const& g, T const* x, float const* w,
                                   float const* bias, T* y, batch_norm_statistics_target const& target) {
    tensor_scratch<T> const scratch(device, g, in_blocks(g), x, moment_floats(g));
    cudaStream_t const stream = device.context.stream();
    filters_in_blocks(stream, g, w, scratch.filters);
    x = map_in_blocks(stream, g, x, scratch.map);
    tensor_forward_statistics<T>(stream, g, x, scratch.filters, bias, y, target, scratch.floats);
}

template <tensor_element T>
void tensor_convolution_backward_data(gpu& device, convolution_geometry const& g, T const* dy, float const* w, T* dx,
                                      store mode) {
    tensor_scratch<T> const scratch(device, g, in_whole_chunks(g), dx);
    cudaStream_t const stream = device.context.stream();
    swap_channels(stream, g, w, scratch.filters);
    if (scratch.map == nullptr) return tensor_backward_data<T>(stream, g, dy, scratch.filters, dx, mode);
    tensor_backward_data<T>(stream, g, dy, scratch.filters, scratch.map, store::write);
    channel_copy const real{.rows = std::int64_t{1} * g.batch * g.in_height * g.in_width,
                            .source_channels = whole_chunks(g.in_channels),
                            .target_channels = g.in_channels,
                            .count = g.in_channels};
    copy_channels<T>(stream, real, scratch.map, dx, mode);
}

template <tensor_element T>
void tensor_convolution_backward_weights(gpu& device, convolution_geometry const& g, T const* x, T const* dy, float* dw,
                                         float* dbias, store mode) {
    std::int64_t const rows = std::int64_t{1} * g.batch * g.out_height * g.out_width;
    tensor_scratch<T> const scratch(device, g, in_blocks(g), x,
                                    std::max(weight_gradient_floats(g), column_floats(rows, g.out_channels, 1)));
    cudaStream_t const stream = device.context.stream();
    x = map_in_blocks(stream, g, x, scratch.map);
    tensor_backward_weights(stream, g, x, dy, dw, mode, scratch.floats);
    if (dbias != nullptr) bias_gradient(stream, rows, g.out_channels, dy, dbias, mode, scratch.floats);
}

}  // namespace tempera::cuda_kernels
