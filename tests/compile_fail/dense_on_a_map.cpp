// SPDX-License-Identifier: Apache-2.0
// A dense layer takes vectors; a map is pooled first.
// expect: expects_a_vector
// expect: dense
// expect: {8, 8, 3}
// expect: {1, 1, 3}
// expect: 'd', 'e', 'n', 's', 'e', '1'
#include <tempera/nn.hpp>

using namespace tempera;

inline constexpr auto network = [](value x) { return dense{.units = 10}(x); };
static_assert(plan_of<network, shape{8, 8, 3}>.parameters > 0);
