// SPDX-License-Identifier: Apache-2.0
#pragma once
// Catalogue: the merge of selective kernels on the device (formulas in device/selective.hpp).

#include <tempera/cuda/gpu.hpp>
#include <tempera/cuda/launch.hpp>

namespace tempera {

template <gpu_element T>
void selective_merge_forward(gpu& device, selective_geometry const& g, T const* x, float const* logits, T* y) {
    cuda_kernels::selective_merge_forward(device.context.stream(), g, x, logits, y);
}

template <gpu_element T>
void selective_merge_backward(gpu& device, selective_geometry const& g, T const* x, float const* logits, T const* dy,
                              T* dx, store dx_store, float* dlogits, store dlogits_store) {
    float* const scratch =
        device.context.float_scratch(cuda_kernels::position_floats<T>(g.batch, g.positions, g.filters));
    cuda_kernels::selective_merge_backward(device.context.stream(), g, x, logits, dy, dx, dx_store, dlogits,
                                           dlogits_store, scratch);
}

}  // namespace tempera
