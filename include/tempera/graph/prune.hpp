// SPDX-License-Identifier: Apache-2.0
#pragma once
// prune: drops the ops that no output needs, and numbers what is left. Tensors of dropped ops go with them.

#include <tempera/graph/trace.hpp>

namespace tempera {

/// In place; values keep the order in which they were made.
constexpr void prune(trace& t) {
    int place[max_ops]{};  // 0: dropped; otherwise 1 + the new number
    place[0] = 1;                      // the input stays
    for (int i = 0; i < t.output_count; ++i) place[t.outputs[i].value] = 1;
    for (int i = t.op_count - 1; i > 0; --i) {
        if (place[i] == 0) continue;
        if (t.ops[i].in0 >= 0) place[t.ops[i].in0] = 1;
        if (t.ops[i].in1 >= 0) place[t.ops[i].in1] = 1;
    }
    int ops = 0, tensors = 0;
    for (int i = 0; i < t.op_count; ++i) {
        if (place[i] == 0) continue;
        op& o = t.ops[i];
        for (int k = 0; k < o.tensors; ++k) t.tensors[tensors + k] = t.tensors[o.tensor + k];
        o.tensor = tensors;
        tensors += o.tensors;
        if (o.in0 >= 0) o.in0 = place[o.in0] - 1;
        if (o.in1 >= 0) o.in1 = place[o.in1] - 1;
        o.out = ops;
        if (ops != i) {
            t.ops[ops] = o;
            t.values[ops] = t.values[i];
        }
        place[i] = ++ops;
    }
    for (int i = 0; i < t.output_count; ++i) t.outputs[i].value = place[t.outputs[i].value] - 1;
    t.op_count = ops;
    t.tensor_count = tensors;
}

}  // namespace tempera
