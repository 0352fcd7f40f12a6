// SPDX-License-Identifier: Apache-2.0
#pragma once
// ema: an exponential moving average of a block of parameters; of a whole model: pipeline/moving_average.hpp.
//
//   average = decay average + (1 - decay) w

#include <cstdint>
#include <string>

#include <tempera/core/error.hpp>
#include <tempera/device/optimizers.hpp>

namespace tempera {

struct ema {
    float decay = 0.999F;

    /// Updates the block `average`, which starts as a copy of w. Both have n elements.
    /// Throws error for a decay outside [0, 1].
    template <class Device>
    void operator()(Device& device, std::int64_t n, float const* w, float* average) const {
        check();
        apply_ema(device, n, decay, w, average);
    }

    /// Throws error for a decay outside [0, 1].
    void check() const {
        if (!(decay >= 0 && decay <= 1)) throw error("ema", "a decay from 0 to 1", decay, "the published value is 0.999");
    }
};

}  // namespace tempera
