// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a parameter or statistic is for. Optimizers choose weight decay and adaptation by role.

#include <cstdint>

namespace tempera {

enum class role : std::uint8_t {
    weight,             ///< convolution (OHWI) or dense (out, in) kernel
    bias,               ///< additive, one per output channel
    scale,              ///< batch norm gamma
    offset,             ///< batch norm beta
    classifier_weight,  ///< kernel of the supervised classifier: decayed apart and not adapted by LARS
    classifier_bias,
    other,  ///< a custom op's parameter
    moving_mean,
    moving_variance,
};

constexpr char const* name_of(role r) {
    switch (r) {
        case role::weight: return "weight";
        case role::bias: return "bias";
        case role::scale: return "scale";
        case role::offset: return "offset";
        case role::classifier_weight: return "weight";
        case role::classifier_bias: return "bias";
        case role::other: return "other";
        case role::moving_mean: return "moving_mean";
        case role::moving_variance: return "moving_variance";
    }
    return "";
}

constexpr bool is_statistic(role r) { return r == role::moving_mean || r == role::moving_variance; }

}  // namespace tempera
