// SPDX-License-Identifier: Apache-2.0
#pragma once
// communicator: how several processes that train one model exchange what they computed.

#include <concepts>

#include <tempera/core/view.hpp>

namespace tempera {

/// rank() of size() processes; every process makes the same calls in the same order.
///   all_reduce_sum(device, x)         x = the sum of all processes' x, the same bits everywhere
///   all_gather(device, mine, all)     all = every process's mine bit by bit, in order of rank; size() times as large
template <class C, class Device>
concept Communicator = requires(C& c, Device& device, view<float> x, view<float const> mine) {
    { c.rank() } -> std::convertible_to<int>;
    { c.size() } -> std::convertible_to<int>;
    c.all_reduce_sum(device, x);
    c.all_gather(device, mine, x);
};

}  // namespace tempera
