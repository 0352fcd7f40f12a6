// SPDX-License-Identifier: Apache-2.0
// A residual of another size.
// expect: this network is not well formed
// expect: operands_differ
// expect: add
// expect: {8, 8, 32}
// expect: {16, 16, 32}
// expect: 's', 't', 'a', 'g', 'e', '2'
#include <tempera/nn.hpp>

using namespace tempera;

inline constexpr auto network = [](value x) {
    scope const level(x, "stage", 2);
    value const y = conv{.filters = 32}(x);
    return y + conv{.filters = 32, .stride = 2}(y);
};
static_assert(plan_of<network, shape{16, 16, 3}>.parameters > 0);
