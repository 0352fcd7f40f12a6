// SPDX-License-Identifier: Apache-2.0
#pragma once
// sgd: stochastic gradient descent with momentum (Nesterov 1983; Sutskever et al. 2013), SimCLRv2's linear evaluation.
//
//   v = m v + lr g;  w -= nesterov ? m v + lr g : v            g stands for the gradient plus wd w

#include <tempera/optim/ranges.hpp>

namespace tempera {

/// Weight decay applies to everything but batch-norm scales and offsets.
struct sgd {
    float momentum = 0.9F;
    bool nesterov = true;
    float weight_decay = 0;
    bool classic_momentum = true;  ///< false: v = m v + g; w -= lr (nesterov ? m v + g : v), the form of PyTorch

    static constexpr int slots = 1;

    std::vector<update_range> ranges(manifest const& tensors) const {
        require_share("sgd.momentum", momentum);
        require_amount("sgd.weight_decay", weight_decay);
        return decay_all_but_norms(tensors, weight_decay);
    }

    template <class Device>
    void operator()(Device& device, float learning_rate, std::int64_t, std::span<update_range const> ranges, float* w,
                    float const* g, std::span<float* const> state) const {
        sgd_update const u{learning_rate, momentum, nesterov, classic_momentum};
        apply_sgd(device, u, ranges, w, g, state[0]);
    }
};

}  // namespace tempera
