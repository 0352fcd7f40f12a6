// SPDX-License-Identifier: Apache-2.0
#pragma once
// adam: adaptive moments (Kingma & Ba 2015), bias-corrected, epsilon added as in the last paragraph of their section 2.
//
//   m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;  w -= lr sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + epsilon)

#include <tempera/optim/ranges.hpp>

namespace tempera {

/// Weight decay is part of the gradient (not decoupled) and applies to everything but batch-norm scales and offsets.
struct adam {
    float beta1 = 0.9F;
    float beta2 = 0.999F;
    float epsilon = 1e-7F;
    float weight_decay = 0;

    static constexpr int slots = 2;

    std::vector<update_range> ranges(manifest const& tensors) const {
        require_share("adam.beta1", beta1);
        require_share("adam.beta2", beta2);
        require_amount("adam.epsilon", epsilon);
        require_amount("adam.weight_decay", weight_decay);
        return decay_all_but_norms(tensors, weight_decay);
    }

    template <class Device>
    void operator()(Device& device, float learning_rate, std::int64_t step, std::span<update_range const> ranges,
                    float* w, float const* g, std::span<float* const> state) const {
        adam_update const u{learning_rate, beta1, beta2, epsilon, step + 1};
        apply_adam(device, u, ranges, w, g, state[0], state[1]);
    }
};

}  // namespace tempera
