// SPDX-License-Identifier: Apache-2.0
#pragma once
// Weighted sums of losses are losses: 0.5f * a + b; for losses of other namespaces weighted(0.5f, a) and sum(a, b).
//
//   value = sum_k weight_k value_k         accuracy and entropy are those of the first term

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

#include <tempera/device/memory.hpp>
#include <tempera/loss/loss_concept.hpp>

namespace tempera {

/// Device memory for the gradients of a loss that can only write. Kept from call to call; a copy starts empty.
class gradient_scratch {
public:
    gradient_scratch() = default;
    gradient_scratch(gradient_scratch const&) {}
    gradient_scratch& operator=(gradient_scratch const&) { return *this; }

    /// What to pass to a loss that only writes, so that `gradients` can be made complete afterwards: null data for
    /// outputs it does not read (set to zero here when mode is write); scratch memory for the others when mode is
    /// accumulate.
    template <class L, class Device>
    gradient_views views(Device& device, L const& loss, output_views const& outputs, gradient_views const& gradients,
                         store mode) {
        entries_.assign(gradients.begin(), gradients.end());
        std::int64_t count = 0;
        for (std::size_t i = 0; i < entries_.size(); ++i) {
            view<float>& g = entries_[i].values;
            if (g.data == nullptr) continue;
            if (reads_output(loss, outputs, i)) {
                count += g.size();
            } else {
                if (mode == store::write) fill(device, g.size(), 0.0F, g.data);
                g.data = nullptr;
            }
        }
        if (mode == store::accumulate) {
            if (device_ != &device || memory_.size() < count) {
                memory_ = buffer<float>(device, count);
                device_ = &device;
            }
            float* next = memory_.data();
            for (auto& e : entries_) {
                if (e.values.data == nullptr) continue;
                e.values.data = next;
                next += e.values.size();
            }
        }
        return gradient_views{entries_};
    }

private:
    buffer<float> memory_;
    void const* device_ = nullptr;
    std::vector<gradient_views::entry> entries_;
};

/// A loss inside a sum. One that is no AccumulatingLoss adds its gradient by way of device memory that the term keeps
/// from its first use on: such a sum must not outlive the device, nor be called by several threads at once.
template <class L>
struct loss_term {
    L loss;
    mutable gradient_scratch scratch{};

    template <class Device>
    loss_value operator()(Device& device, output_views const& outputs, targets const& target,
                          gradient_views const& gradients, float weight, store mode) const {
        if constexpr (AccumulatingLoss<L, Device>) {
            return loss(device, outputs, target, gradients, weight, mode);
        } else {
            gradient_views const own = scratch.views(device, loss, outputs, gradients, mode);
            loss_value const value = loss(device, outputs, target, own);
            for (std::size_t i = 0; i < own.size(); ++i) {
                view<float> const g = own[i].values;
                if (g.data == nullptr) continue;
                scale(device, g.size(), weight, g.data);
                if (mode == store::write) continue;
                copy(device, g.size(), static_cast<float const*>(g.data), gradients[i].values.data, store::accumulate);
            }
            return value;
        }
    }
};

template <class L>
struct weighted_loss {
    float weight = 1;
    loss_term<L> term;

    template <class Device>
    requires Loss<L, Device> loss_value operator()(Device& device, output_views const& outputs, targets const& target,
                                                   gradient_views const& gradients, float outer = 1,
                                                   store mode = store::write) const {
        loss_value value = term(device, outputs, target, gradients, outer * weight, mode);
        value.loss *= weight;
        return value;
    }

    bool reads(output_views const& outputs, std::size_t i) const { return reads_output(term.loss, outputs, i); }
};

template <class A, class B>
struct sum_of_losses {
    loss_term<A> first;
    loss_term<B> second;

    template <class Device>
    requires Loss<A, Device> && Loss<B, Device> loss_value operator()(Device& device, output_views const& outputs,
                                                                      targets const& target,
                                                                      gradient_views const& gradients, float weight = 1,
                                                                      store mode = store::write) const {
        loss_value value = first(device, outputs, target, gradients, weight, mode);
        value.loss += second(device, outputs, target, gradients, weight, store::accumulate).loss;
        return value;
    }

    bool reads(output_views const& outputs, std::size_t i) const {
        return reads_output(first.loss, outputs, i) || reads_output(second.loss, outputs, i);
    }
};

template <class L>
inline constexpr bool has_loss_operators<weighted_loss<L>> = true;
template <class A, class B>
inline constexpr bool has_loss_operators<sum_of_losses<A, B>> = true;

/// weight times a loss, for any loss.
template <class L>
weighted_loss<L> weighted(float weight, L loss) {
    return weighted_loss<L>{weight, {std::move(loss)}};
}

/// The sum of two losses, for any losses.
template <class A, class B>
sum_of_losses<A, B> sum(A a, B b) {
    return sum_of_losses<A, B>{{std::move(a)}, {std::move(b)}};
}

template <class L>
requires has_loss_operators<L> weighted_loss<L>
operator*(float weight, L const& loss) { return weighted(weight, loss); }
template <class L>
requires has_loss_operators<L> weighted_loss<L>
operator*(L const& loss, float weight) { return weighted(weight, loss); }
template <class A, class B>
requires((has_loss_operators<A> && std::is_class_v<B>) ||
         (std::is_class_v<A> && has_loss_operators<B>)) sum_of_losses<A, B>
operator+(A const& a, B const& b) { return sum(a, b); }

}  // namespace tempera
