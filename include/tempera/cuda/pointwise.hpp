// SPDX-License-Identifier: Apache-2.0
#pragma once
// Catalogue: element by element functions on the device (contract in device/pointwise.hpp).

#include <cstdint>
#include <type_traits>

#include <tempera/cuda/gpu.hpp>
#include <tempera/cuda/launch.hpp>

namespace tempera {

template <gpu_element T>
void relu_forward(gpu& device, std::int64_t n, T const* x, T* y) {
    cuda_kernels::relu_forward(device.context.stream(), n, x, y);
}
template <gpu_element T>
void relu_backward(gpu& device, std::int64_t n, T const* y, T const* dy, T* dx, store mode) {
    cuda_kernels::relu_backward(device.context.stream(), n, y, dy, dx, mode);
}

template <gpu_element T>
void sigmoid_forward(gpu& device, std::int64_t n, T const* x, T* y) {
    cuda_kernels::sigmoid_forward(device.context.stream(), n, x, y);
}
template <gpu_element T>
void sigmoid_backward(gpu& device, std::int64_t n, T const* y, T const* dy, T* dx, store mode) {
    cuda_kernels::sigmoid_backward(device.context.stream(), n, y, dy, dx, mode);
}

template <gpu_element T>
void add_forward(gpu& device, std::int64_t n, T const* a, T const* b, T* y) {
    cuda_kernels::add_forward(device.context.stream(), n, a, b, y);
}

template <gpu_element T>
void multiply_forward(gpu& device, std::int64_t n, T const* a, T const* b, T* y) {
    cuda_kernels::multiply(device.context.stream(), n, a, b, y, store::write);
}
template <gpu_element T>
void multiply_backward(gpu& device, std::int64_t n, T const* other, T const* dy, T* dx, store mode) {
    cuda_kernels::multiply(device.context.stream(), n, other, dy, dx, mode);
}

template <gpu_element T>
void copy(gpu& device, std::int64_t n, T const* x, T* y, store mode) {
    cuda_kernels::copy(device.context.stream(), n, x, y, mode);
}
template <gpu_element T>
void fill(gpu& device, std::int64_t n, float value, T* y) {
    cuda_kernels::fill(device.context.stream(), n, value, y);
}
template <gpu_element T>
void scale(gpu& device, std::int64_t n, float factor, T* y) {
    cuda_kernels::scale(device.context.stream(), n, factor, y);
}

/// One of the two is float.
template <gpu_element From, gpu_element To>
requires(std::is_same_v<From, float> || std::is_same_v<To, float>) void convert(gpu& device, std::int64_t n,
                                                                                From const* x, To* y) {
    cuda_kernels::convert(device.context.stream(), n, x, y);
}

template <gpu_element T>
void copy_channels(gpu& device, channel_copy const& c, T const* x, T* y, store mode) {
    cuda_kernels::copy_channels(device.context.stream(), c, x, y, mode);
}

template <gpu_element T>
void gate_forward(gpu& device, gate_geometry const& g, T const* x, float const* gate, T* y) {
    cuda_kernels::gate_forward(device.context.stream(), g, x, gate, y);
}
template <gpu_element T>
void gate_backward(gpu& device, gate_geometry const& g, T const* x, float const* gate, T const* dy,
                   std::type_identity_t<T>* dx, store dx_store, float* dgate, store dgate_store) {
    std::int64_t const sums =
        dgate == nullptr ? 0 : cuda_kernels::position_floats<T>(g.batch, g.positions, g.channels);
    float* const scratch = device.context.float_scratch(sums);
    cuda_kernels::gate_backward(device.context.stream(), g, x, gate, dy, dx, dx_store, dgate, dgate_store, scratch);
}

/// Throws error unless 0 <= rate < 1.
template <gpu_element T>
void apply_dropout(gpu& device, std::int64_t n, float rate, random_stream const& random, T const* x, T* y, store mode) {
    if (!(rate >= 0 && rate < 1))
        throw error("dropout", "a rate of at least 0 and below 1", rate, "correct dropout{.rate}");
    cuda_kernels::dropout(device.context.stream(), n, rate, random, device.context.step.replay, x, y, mode);
}
inline void drop_block_mask(gpu& device, drop_block_geometry const& g, random_stream const& random, float* mask) {
    float* const scratch = device.context.float_scratch(1 + cuda_kernels::mask_parts);
    cuda_kernels::drop_block_mask(device.context.stream(), g, random, device.context.step.replay, mask, scratch);
}
template <gpu_element T>
void mask_elements(gpu& device, std::int64_t n, float const* mask, T const* x, T* y, store mode) {
    cuda_kernels::mask_elements(device.context.stream(), n, mask, x, y, mode);
}

template <gpu_element T>
void l2_normalize_forward(gpu& device, std::int64_t rows, int channels, T const* x, T* y, float* inverse_norm) {
    cuda_kernels::l2_normalize_forward(device.context.stream(), rows, channels, x, y, inverse_norm);
}
template <gpu_element T>
void l2_normalize_backward(gpu& device, std::int64_t rows, int channels, T const* y, float const* inverse_norm,
                           T const* dy, T* dx, store mode) {
    cuda_kernels::l2_normalize_backward(device.context.stream(), rows, channels, y, inverse_norm, dy, dx, mode);
}

}  // namespace tempera
