// SPDX-License-Identifier: Apache-2.0
#pragma once
// A custom op that copies its input and remembers the gradient that arrives: how tests see d loss / d input.

#include <vector>

#include <tempera/graph/custom.hpp>

struct input_gradient_probe {
    static constexpr tempera::device_set devices = tempera::on_cpu;
    static inline std::vector<float> seen;

    constexpr tempera::shape infer(tempera::input_shapes in, tempera::declaration& declare) const {
        declare.parameter(1, 1.0F);  // so that the gradient is asked for
        return in[0];
    }
    static void forward(tempera::op_call& call) {
        auto const x = call.input<float>();
        auto const y = call.output<float>();
        for (std::int64_t i = 0; i < x.size(); ++i) y[i] = x[i];
    }
    static void backward(tempera::op_call& call) {
        auto const g = call.output_gradient<float>();
        seen.assign(g.data, g.data + g.size());
    }
};
