// SPDX-License-Identifier: Apache-2.0
#pragma once
// warmup_cosine: the learning rate of every published run (Loshchilov & Hutter 2017, with linear warm-up):
//
//   step < warmup:  peak step / warmup         then:  peak (1 + cos(pi (step - warmup) / (total - warmup))) / 2

#include <cmath>
#include <cstdint>
#include <numbers>

#include <tempera/core/error.hpp>

namespace tempera {

/// Step 0 of a warm-up has rate 0; from total_steps on the rate is 0.
struct warmup_cosine {
    float peak = 0;
    std::int64_t warmup_steps = 0;
    std::int64_t total_steps = 0;

    /// Throws error unless 0 <= warmup_steps < total_steps and step >= 0.
    float operator()(std::int64_t step) const {
        if (warmup_steps < 0 || warmup_steps >= total_steps) {
            throw error("warmup_cosine", "0 <= warmup_steps < total_steps", {warmup_steps, " of ", total_steps},
                        "shorten the warm-up or train for more steps");
        }
        if (step < 0) throw error("warmup_cosine", "a step from 0", step, "count steps from 0");
        if (step < warmup_steps) {
            return static_cast<float>(static_cast<double>(peak) * static_cast<double>(step) /
                                      static_cast<double>(warmup_steps));
        }
        if (step >= total_steps) return 0;
        double const done = static_cast<double>(step - warmup_steps) / static_cast<double>(total_steps - warmup_steps);
        return static_cast<float>(0.5 * static_cast<double>(peak) * (1 + std::cos(std::numbers::pi * done)));
    }
};

}  // namespace tempera
