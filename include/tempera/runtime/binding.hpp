// SPDX-License-Identifier: Apache-2.0
#pragma once
// binding: the memory that one run of a schedule works on, and where each slot and tensor lies in it.

#include <cstddef>
#include <cstdint>

#include <tempera/graph/schedule.hpp>

namespace tempera {

struct binding {
    plan_view plan{};
    schedule const* steps = nullptr;
    std::byte* arena = nullptr;
    float* parameters = nullptr;
    float* gradients = nullptr;
    float* statistics = nullptr;
    void const* input = nullptr;  ///< the caller's batch where it needs no conversion, else null
    int batch = 0;
    bool training = false;  ///< random masks are drawn
    bool unbiased_variance = false;
    int processes = 1;                     ///< that have as many rows of the batch each
    bool keeps_statistics = false;         ///< moving statistics stay as they are
    std::uint64_t seed = 0;                ///< of dropout and DropBlock
    std::uint32_t run = 0;                 ///< counts forward passes: fresh random masks each time
    bool accumulate = false;               ///< parameter gradients are added to what is there
    float const* const* packed = nullptr;  ///< per op: filters in the device's form; null: pack them anew

    template <class T>
    T* at(int slot) const {
        if (slot == no_slot) return nullptr;
        if (slot == steps->value_slot[0] && input != nullptr)
            return const_cast<T*>(static_cast<T const*>(input));  // forward steps only read it
        return reinterpret_cast<T*>(arena + steps->slots[slot].offset);
    }
    /// Tensor k of an op: parameters first, then statistics.
    float* tensor_of(op const& o, int k) const {
        tensor const& t = plan.tensors[o.tensor + k];
        return (is_statistic(t.role) ? statistics : parameters) + t.offset;
    }
    float* gradient_of(op const& o, int k) const { return gradients + plan.tensors[o.tensor + k].offset; }
};

}  // namespace tempera
