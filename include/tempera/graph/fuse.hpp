// SPDX-License-Identifier: Apache-2.0
#pragma once
// fuse: batch_norm -> relu and batch_norm -> add -> relu become one step, forward and backward together, where
// the intermediate has one reader and is no output. Table of the cases:
//
//   batch_norm -> relu                 result = relu(bn(x))
//   batch_norm -> add(.., r) -> relu   result = relu(bn(x) + r), r computed before the batch norm

#include <tempera/graph/schedule.hpp>

namespace tempera {

struct fusion {
    int result[max_ops]{};    ///< per op: the value that its step writes
    int residual[max_ops]{};  ///< per batch_norm: the value added before the ReLU, or no_value
    bool relu[max_ops]{};     ///< per batch_norm: a ReLU is fused
    bool absorbed[max_ops]{}; ///< per op: part of another op's step
};

constexpr void fuse(plan_view const& p, bool enabled, fusion& f) {
    int readers[max_ops]{};
    int reader[max_ops]{};
    int const n = p.ops.size();
    for (int i = 0; i < n; ++i) {
        f.result[i] = i;
        f.residual[i] = no_value;
        for (int const in : {p.ops[i].in0, p.ops[i].in1}) {
            if (in < 0) continue;
            ++readers[in];
            reader[in] = i;
        }
    }
    for (output_record const& o : p.outputs) readers[o.value] += 2;
    if (!enabled) return;
    for (int i = 0; i < n; ++i) {
        if (p.ops[i].kind != op_kind::batch_norm || readers[i] != 1) continue;
        int next = reader[i];
        int residual = no_value;
        if (p.ops[next].kind == op_kind::add) {
            residual = p.ops[next].in0 == i ? p.ops[next].in1 : p.ops[next].in0;
            if (residual >= i || readers[next] != 1) continue;
            f.absorbed[next] = true;
            int const sum = next;
            next = reader[next];
            if (p.ops[next].kind != op_kind::relu) {
                f.absorbed[sum] = false;
                continue;
            }
        } else if (p.ops[next].kind != op_kind::relu) {
            continue;
        }
        f.absorbed[next] = true;
        f.relu[i] = true;
        f.residual[i] = residual;
        f.result[i] = next;
    }
}

}  // namespace tempera
