// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which weight decay applies to which tensor, by role; and the concept of an optimizer.

#include <concepts>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include <tempera/core/error.hpp>
#include <tempera/core/manifest.hpp>
#include <tempera/device/optimizers.hpp>

namespace tempera {

/// A copyable configuration that updates ranges of the flat parameter block:
///   O::slots                                            blocks of state as large as the parameters, zero at first
///   o.ranges(manifest)                                  which tensors to update, and what applies to each; throws
///                                                       error for settings out of range
///   o(device, learning_rate, step, ranges, w, g, state) one update of w from g, all in device memory; step counts from 0,
///                                                       state holds O::slots pointers
template <class O, class Device>
concept Optimizer = std::copyable<O> &&
    requires(O const& o, Device& device, manifest const& m, std::span<update_range const> ranges, float* w,
             float const* g, std::span<float* const> state) {
    { O::slots } -> std::convertible_to<int>;
    { o.ranges(m) } -> std::convertible_to<std::vector<update_range>>;
    o(device, 0.1F, std::int64_t{0}, ranges, w, g, state);
};

/// Throws error unless a setting such as "adam.beta1" lies in [0, 1), or is finite and not negative.
inline void require_share(char const* setting, float value) {
    if (!(value >= 0 && value < 1)) throw error(setting, "at least 0 and below 1", value, "correct this setting");
}
inline void require_amount(char const* setting, float value) {
    if (!(value >= 0 && value < std::numeric_limits<float>::infinity()))
        throw error(setting, "a finite number, at least 0", value, "correct this setting");
}

/// Update ranges of the trained parameters, with rule(role) -> update_range giving weight_decay and adapt.
template <class Rule>
std::vector<update_range> ranges_of(manifest const& tensors, Rule const& rule) {
    std::vector<update_range> out;
    for (manifest_entry const& t : tensors) {
        if (!t.trained || is_statistic(t.role)) continue;
        update_range r = rule(t.role);
        r.offset = t.offset;
        r.count = t.count;
        out.push_back(r);
    }
    return out;
}

/// Weight decay as a loss term over everything but batch-norm scale and offset: SGD and Adam of the authors' code.
inline std::vector<update_range> decay_all_but_norms(manifest const& tensors, float weight_decay) {
    return ranges_of(tensors, [weight_decay](role r) {
        bool const normalization = r == role::scale || r == role::offset;
        return update_range{.weight_decay = normalization ? 0.0F : weight_decay, .adapt = false};
    });
}

}  // namespace tempera
