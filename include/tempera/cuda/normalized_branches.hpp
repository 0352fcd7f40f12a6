// SPDX-License-Identifier: Apache-2.0
#pragma once
// Catalogue: selective kernels that normalize their branches as they read them, on the device (formulas in
// device/normalized_branches.hpp).

#include <tempera/cuda/gpu.hpp>
#include <tempera/cuda/launch.hpp>

namespace tempera {

template <gpu_element T>
void normalized_average(gpu& device, selective_geometry const& g, normalized_branches<T> const& from, float* sums,
                        float* average) {
    float* const scratch = device.context.float_scratch(cuda_kernels::branch_floats<T>(g));
    cuda_kernels::normalized_average(device.context.stream(), g, from, sums, average, scratch);
}

template <gpu_element T>
void normalized_merge(gpu& device, selective_geometry const& g, normalized_branches<T> const& from, float const* logits,
                      T* y) {
    cuda_kernels::normalized_merge(device.context.stream(), g, from, logits, y);
}

template <gpu_element T>
void normalized_merge_backward(gpu& device, selective_geometry const& g, normalized_branches<T> const& from,
                               float const* logits, T const* dy, float* sums, float* dlogits, store dlogits_store) {
    float* const scratch = device.context.float_scratch(cuda_kernels::branch_floats<T>(g));
    cuda_kernels::normalized_merge_backward(device.context.stream(), g, from, logits, dy, sums, dlogits, dlogits_store,
                                            scratch);
}

template <gpu_element T>
void normalized_branches_backward(gpu& device, selective_geometry const& g, normalized_branches<T> const& from,
                                  bool batch_statistics, float const* logits, T const* dy, float const* daverage,
                                  float const* sums, batch_norm_gradients<T> const& out) {
    float* const scratch = device.context.float_scratch(cuda_kernels::column_floats(g.batch, 2 * g.filters, 2) +
                                                        std::int64_t{4} * g.filters);
    cuda_kernels::normalized_branches_backward(device.context.stream(), g, from, batch_statistics, logits, dy, daverage,
                                               sums, out, scratch);
}

}  // namespace tempera
