// SPDX-License-Identifier: Apache-2.0
// Two parts of one scope with the same name.
// expect: duplicate_name
// expect: 't', 'r', 'u', 'n', 'k', '.', 't', 'w', 'i', 'n'
#include <tempera/nn.hpp>

using namespace tempera;

inline constexpr auto network = named("trunk", [](value x) {
    x = named("twin", conv{.filters = 8})(x);
    return named("twin", conv{.filters = 8})(x);
});
static_assert(plan_of<network, shape{8, 8, 3}>.parameters > 0);
