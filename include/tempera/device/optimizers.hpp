// SPDX-License-Identifier: Apache-2.0
#pragma once
// Catalogue: optimizer updates over ranges of the flat parameter block, float32, one pass each.

#include <cstdint>
#include <span>

namespace tempera {

/// One tensor's range in the parameter, gradient and slot blocks, with what applies to it.
struct update_range {
    std::int64_t offset = 0;
    std::int64_t count = 0;
    float weight_decay = 0;  ///< added to the gradient as weight_decay * w
    bool adapt = true;       ///< LARS: scale the step by the trust ratio
};

/// You, Gitman & Ginsburg 2017. trust(x) = eta |w| / |x|, or 1 where the range does not adapt or a norm is 0.
///   classic      r = lr trust(g);  v = m v + r g;  w -= nesterov ? m v + r g : v
///   not classic  v = m v + g;  u = nesterov ? m v + g : v;  w -= lr trust(u) u
struct lars_update {
    float learning_rate = 0;
    float momentum = 0.9F;
    float eta = 1e-3F;
    bool nesterov = false;
    bool classic_momentum = true;
};

/// The LARS formulas with trust = 1: whether the slot holds steps (classic) or gradients matters when the
/// learning rate changes.
struct sgd_update {
    float learning_rate = 0;
    float momentum = 0.9F;
    bool nesterov = true;
    bool classic_momentum = true;
};

/// Kingma & Ba 2015, in the order of computation at the end of their section 2 (epsilon is their "epsilon hat"):
///   m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
///   w -= lr sqrt(1 - beta2^step) / (1 - beta1^step) m / (sqrt(v) + epsilon)
struct adam_update {
    float learning_rate = 0;
    float beta1 = 0.9F, beta2 = 0.999F, epsilon = 1e-7F;
    std::int64_t step = 1;  ///< counts from 1
};

/// In all of them g stands for the gradient plus weight_decay w. Ranges do not overlap.
///
/// apply_lars(device, u, ranges, w, g, momentum)
/// apply_sgd(device, u, ranges, w, g, momentum)
/// apply_adam(device, u, ranges, w, g, first, second)
/// apply_ema(device, n, decay, w, average)                average = decay average + (1 - decay) w
template <class D>
concept provides_optimizers = requires(D& device, std::span<update_range const> ranges, float* w, float const* g,
                                       float* slot, lars_update const& l, sgd_update const& s, adam_update const& a) {
    apply_lars(device, l, ranges, w, g, slot);
    apply_sgd(device, s, ranges, w, g, slot);
    apply_adam(device, a, ranges, w, g, slot, slot);
    apply_ema(device, std::int64_t{1}, 0.999F, g, slot);
};

}  // namespace tempera
