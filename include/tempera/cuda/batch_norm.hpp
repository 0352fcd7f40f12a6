// SPDX-License-Identifier: Apache-2.0
#pragma once
// Catalogue: batch normalization on the device (formulas in device/batch_norm.hpp, kernels in batch_norm.cuh).

#include <type_traits>

#include <tempera/cuda/gpu.hpp>
#include <tempera/cuda/launch.hpp>

namespace tempera {

template <gpu_element T>
void batch_norm_statistics(gpu& device, batch_norm_geometry const& g, T const* x,
                           batch_norm_statistics_target const& target) {
    float* const scratch = device.context.float_scratch(cuda_kernels::batch_norm_floats(g));
    cuda_kernels::batch_norm_statistics(device.context.stream(), g, x, target, scratch);
}
template <gpu_element T>
void batch_norm_statistics(gpu& device, batch_norm_geometry const& g, T const* x, float* mean, float* variance) {
    batch_norm_statistics(device, g, x, {.mean = mean, .variance = variance});
}

inline void batch_norm_moving(gpu& device, int channels, float decay, float factor, float const* mean,
                              float const* variance, float* moving_mean, float* moving_variance) {
    cuda_kernels::batch_norm_moving(device.context.stream(), channels, decay, factor, mean, variance, moving_mean,
                                    moving_variance);
}

template <gpu_element T>
void batch_norm_apply(gpu& device, batch_norm_geometry const& g, batch_norm_state const& state, T const* x,
                      std::type_identity_t<T> const* residual, bool fused_relu, T* y) {
    cuda_kernels::batch_norm_apply(device.context.stream(), g, state, x, residual, fused_relu, y);
}

template <gpu_element T>
void batch_norm_backward(gpu& device, batch_norm_geometry const& g, batch_norm_state const& state,
                         bool batch_statistics, T const* x, std::type_identity_t<T> const* y, T const* dy,
                         batch_norm_gradients<T> const& gradients) {
    float* const scratch = device.context.float_scratch(cuda_kernels::batch_norm_floats(g));
    cuda_kernels::batch_norm_backward(device.context.stream(), g, state, batch_statistics, x, y, dy, gradients,
                                      scratch);
}

}  // namespace tempera
