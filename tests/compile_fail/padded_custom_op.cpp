// SPDX-License-Identifier: Apache-2.0
// A custom op with padding behind a bool: its bytes cannot be kept in a plan.
// expect: padding_in_custom_op
// expect: 'a', 'f', 't', 'e', 'r', ' ', 'c', 'o', 'n', 'v', '1'
#include <tempera/nn.hpp>

using namespace tempera;

struct padded {
    int count = 1;
    bool doubled = false;
    static constexpr device_set devices = on_cpu;
    constexpr shape infer(input_shapes in, declaration&) const { return in[0]; }
    static void forward(op_call&) {}
    static void backward(op_call&) {}
};
inline constexpr auto network = [](value x) { return conv{.filters = 3}(x).apply(padded{}); };
static_assert(plan_of<network, shape{8, 8, 3}>.parameters > 0);
