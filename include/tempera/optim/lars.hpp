// SPDX-License-Identifier: Apache-2.0
#pragma once
// lars: layer-wise adaptive rates (You, Gitman & Ginsburg 2017), the optimizer of SimCLRv2's pretraining.
//
//   g' = g + wd w;  trust = eta |w| / |g'|  (1 where a norm is 0);  v = m v + lr trust g';  w -= v

#include <tempera/optim/ranges.hpp>

namespace tempera {

/// Kernels are decayed and adapted. Batch-norm scales and offsets, biases and the classifier follow plain momentum with
/// the full learning rate; the classifier's kernel is decayed nevertheless, as by a loss term wd |w|^2 / 2.
struct lars {
    float momentum = 0.9F;
    float weight_decay = 1e-4F;
    float eta = 1e-3F;
    bool nesterov = false;
    bool classic_momentum = true;  ///< false: the trust ratio is taken of the update, after momentum

    static constexpr int slots = 1;

    std::vector<update_range> ranges(manifest const& tensors) const {
        require_share("lars.momentum", momentum);
        require_amount("lars.eta", eta);
        require_amount("lars.weight_decay", weight_decay);
        return ranges_of(tensors, [this](role r) {
            bool const adapted = r == role::weight || r == role::other;
            bool const decayed = adapted || r == role::classifier_weight;
            return update_range{.weight_decay = decayed ? weight_decay : 0.0F, .adapt = adapted};
        });
    }

    template <class Device>
    void operator()(Device& device, float learning_rate, std::int64_t, std::span<update_range const> ranges, float* w,
                    float const* g, std::span<float* const> state) const {
        lars_update const u{learning_rate, momentum, eta, nesterov, classic_momentum};
        apply_lars(device, u, ranges, w, g, state[0]);
    }
};

}  // namespace tempera
