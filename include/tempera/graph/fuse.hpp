// SPDX-License-Identifier: Apache-2.0
#pragma once
// fuse: an op, a sum with a residual and a ReLU become one step where the intermediates have one reader and are no
// output. Table of the cases:
//
//   | op                  | where                       | forward, alone or with an addition before the ReLU |
//   | batch_norm          | everywhere, backward too    | relu(bn(x)), relu(bn(x) + r)                       |
//   | conv, dense         | inference                   | relu(conv(x)), relu(conv(x) + r)                   |
//
// r is computed before the op.

#include <tempera/graph/schedule.hpp>

namespace tempera {

struct fusion {
    int result[max_ops]{};    ///< per op: the value that its step writes
    int residual[max_ops]{};  ///< per op with a fused ReLU: the value added before it, or no_value
    bool relu[max_ops]{};     ///< per op: a ReLU is fused
    bool absorbed[max_ops]{}; ///< per op: part of another op's step
};

namespace detail {
/// Whether the step of an op can go on to a ReLU.
constexpr bool takes_relu(plan_view const& p, schedule_options const& options, op const& o) {
    if (o.kind == op_kind::batch_norm) return true;
    if (o.kind != op_kind::conv && o.kind != op_kind::dense) return false;
    bool const one_type = p.values[o.in0].is_vector() == p.values[o.out].is_vector();  // vectors are float32
    return !options.training && one_type;
}
}  // namespace detail

constexpr void fuse(plan_view const& p, schedule_options const& options, fusion& f) {
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
    if (!options.fuse) return;
    for (int i = 0; i < n; ++i) {
        if (readers[i] != 1 || !detail::takes_relu(p, options, p.ops[i])) continue;
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
