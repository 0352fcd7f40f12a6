// SPDX-License-Identifier: Apache-2.0
#pragma once
// Catalogue: optimizer updates on the device, all ranges in one or two launches (optimizers.cuh).

#include <cstdint>
#include <span>

#include <tempera/cuda/gpu.hpp>
#include <tempera/cuda/launch.hpp>

namespace tempera {

inline void apply_lars(gpu& device, lars_update const& u, std::span<update_range const> ranges, float* w,
                       float const* g, float* momentum) {
    update_pieces const pieces = device.context.pieces(ranges);
    float* const scratch = device.context.float_scratch(cuda_kernels::lars_floats(pieces));
    cuda_kernels::apply_lars(device.context.stream(), u, device.context.step.update(), pieces, w, g, momentum, scratch);
}

inline void apply_sgd(gpu& device, sgd_update const& u, std::span<update_range const> ranges, float* w, float const* g,
                      float* momentum) {
    cuda_kernels::apply_sgd(device.context.stream(), u, device.context.step.update(), device.context.pieces(ranges), w,
                            g, momentum);
}

inline void apply_adam(gpu& device, adam_update const& u, std::span<update_range const> ranges, float* w,
                       float const* g, float* first, float* second) {
    update_pieces const pieces = device.context.pieces(ranges);
    float* const scratch = device.context.float_scratch(1);
    cuda_kernels::apply_adam(device.context.stream(), u, device.context.step.update(), pieces, w, g, first, second,
                             scratch);
}

inline void apply_ema(gpu& device, std::int64_t n, float decay, float const* w, float* average) {
    cuda_kernels::apply_ema(device.context.stream(), n, decay, w, average);
}

}  // namespace tempera
