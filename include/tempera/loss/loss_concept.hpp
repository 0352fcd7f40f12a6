// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a loss is: a copyable class that turns outputs into a value and gradients.
//
//   loss_value operator()(Device&, output_views const&, targets const&, gradient_views const&) const
//
// It writes d loss / d output into the gradient views of the outputs it reads, and zero into the others; the stages of
// pipeline/ begin with zeros everywhere. `gradients` is empty (value only) or has one view per output, in the same
// order; a view whose data is null is not wanted, and asking for it by name throws error. A loss reads the last output unless it has a member
// `bool reads(output_views const&, std::size_t i) const` that says otherwise; only outputs named in
// model_options::loss_outputs, by default the last one, take gradients.

#include <concepts>
#include <cstddef>

#include <tempera/core/loss_value.hpp>
#include <tempera/device/store.hpp>

namespace tempera {

template <class L, class Device>
concept Loss = std::copyable<L> && requires(L const& loss, Device& device, output_views const& outputs,
                                            targets const& target, gradient_views const& gradients) {
    { loss(device, outputs, target, gradients) } -> std::convertible_to<loss_value>;
};

/// A loss that can multiply its gradient by a weight and add it to what is there: loss(device, outputs, targets,
/// gradients, weight, store). The value it returns is not multiplied. To gradients of outputs that it does not read it
/// writes zero, or adds nothing. Sums of such losses need no memory of their own.
template <class L, class Device>
concept AccumulatingLoss = Loss<L, Device> && requires(L const& loss, Device& device, output_views const& outputs,
                                                       targets const& target, gradient_views const& gradients) {
    { loss(device, outputs, target, gradients, 1.0F, store::accumulate) } -> std::convertible_to<loss_value>;
};

/// Whether a loss depends on output i.
template <class L>
bool reads_output(L const& loss, output_views const& outputs, std::size_t i) {
    if constexpr (requires {
                      { loss.reads(outputs, i) } -> std::convertible_to<bool>;
                  }) {
        return loss.reads(outputs, i);
    } else {
        return i + 1 == outputs.size();
    }
}

/// True for losses that the operators * and + combine without being asked through weighted() and sum().
template <class L>
inline constexpr bool has_loss_operators = false;

}  // namespace tempera
