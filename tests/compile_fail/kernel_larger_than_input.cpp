// SPDX-License-Identifier: Apache-2.0
// A 9x9 window on a 3x3 map.
// expect: kernel_larger_than_input
// expect: conv
// expect: {3, 3, 4}
// expect: {4, 4, 4}
// expect: 'c', 'o', 'n', 'v', '1'
#include <tempera/nn.hpp>

using namespace tempera;

inline constexpr auto network = [](value x) { return conv{.filters = 8, .kernel = 9}(x); };
static_assert(plan_of<network, shape{3, 3, 4}>.parameters > 0);
