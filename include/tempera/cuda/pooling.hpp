// SPDX-License-Identifier: Apache-2.0
#pragma once
// Catalogue: pooling on the device (contract in device/pooling.hpp, kernels in pooling.cuh, global_average.cuh).

#include <cstdint>

#include <tempera/cuda/gpu.hpp>
#include <tempera/cuda/launch.hpp>

namespace tempera {

template <gpu_element T>
void max_pool_forward(gpu& device, pool_geometry const& g, T const* x, T* y, std::uint8_t* argmax) {
    cuda_kernels::max_pool_forward(device.context.stream(), g, x, y, argmax);
}
template <gpu_element T>
void max_pool_backward(gpu& device, pool_geometry const& g, std::uint8_t const* argmax, T const* dy, T* dx,
                       store mode) {
    cuda_kernels::max_pool_backward(device.context.stream(), g, argmax, dy, dx, mode);
}

template <gpu_element T>
void average_pool_forward(gpu& device, pool_geometry const& g, T const* x, T* y) {
    cuda_kernels::average_pool_forward(device.context.stream(), g, x, y);
}
template <gpu_element T>
void average_pool_backward(gpu& device, pool_geometry const& g, T const* dy, T* dx, store mode) {
    cuda_kernels::average_pool_backward(device.context.stream(), g, dy, dx, mode);
}

template <gpu_element T>
void global_average_pool_forward(gpu& device, int batch, std::int64_t positions, int channels, T const* x, float* y) {
    cuda_kernels::global_average_pool_forward(device.context.stream(), batch, positions, channels, x, y);
}
template <gpu_element T>
void global_average_pool_backward(gpu& device, int batch, std::int64_t positions, int channels, float const* dy, T* dx,
                                  store mode) {
    cuda_kernels::global_average_pool_backward(device.context.stream(), batch, positions, channels, dy, dx, mode);
}

}  // namespace tempera
