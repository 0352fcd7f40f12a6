// SPDX-License-Identifier: Apache-2.0
#pragma once
// fuse: an op, a sum with a residual and a ReLU become one step where the intermediates have one reader and are no
// output. Table of the cases:
//
//   | op                  | where                       | forward, alone or with an addition before the ReLU |
//   | batch_norm          | everywhere, backward too    | relu(bn(x)), relu(bn(x) + r)                       |
//   | conv, dense         | inference                   | relu(conv(x)), relu(conv(x) + r)                   |
//
// r is computed before the op. And relu(bn(x)) that only the two ops of a selective kernel read is no step at all: they
// read x and normalize it themselves, backward too (device/normalized_branches.hpp).

#include <tempera/graph/schedule.hpp>

namespace tempera {

struct fusion {
    int result[max_ops]{};    ///< per op: the value that its step writes
    int residual[max_ops]{};  ///< per op with a fused ReLU: the value added before it, or no_value
    bool relu[max_ops]{};     ///< per op: a ReLU is fused
    bool absorbed[max_ops]{}; ///< per op: part of another op's step
    int norm[max_ops]{};      ///< per op of a selective kernel: the batch_norm that it applies itself, or no_value
    bool by_readers[max_ops]{};  ///< per batch_norm: its readers apply it
};

namespace detail {
/// Whether the step of an op can go on to a ReLU.
constexpr bool takes_relu(plan_view const& p, schedule_options const& options, op const& o) {
    if (o.kind == op_kind::batch_norm) return true;
    if (o.kind != op_kind::conv && o.kind != op_kind::dense) return false;
    bool const one_type = p.values[o.in0].is_vector() == p.values[o.out].is_vector();  // vectors are float32
    return !options.training && one_type;
}

/// Lets the ops of selective kernels apply the batch norm and ReLU before them, which have no other reader.
constexpr void normalize_in_readers(plan_view const& p, int const (&readers)[max_ops], fusion& f) {
    int norm_of[max_ops]{};  // per value: 1 + the batch_norm whose step writes it
    int average[max_ops]{};  // per value: the selective_average that reads it
    for (int i = 1; i < p.ops.size(); ++i) {
        op const& o = p.ops[i];
        if (o.kind == op_kind::batch_norm && f.relu[i] && f.residual[i] == no_value) norm_of[f.result[i]] = 1 + i;
        if (o.kind == op_kind::selective_average) average[o.in0] = i;
        if (o.kind != op_kind::selective_merge) continue;
        int const norm = norm_of[o.in0] - 1;
        if (norm < 0 || average[o.in0] == 0 || readers[o.in0] != 2) continue;
        int from = o.in1;  // the logits must be made of that average alone: both gradients then reach the norm
        while (from > average[o.in0]) from = p.ops[from].kind == op_kind::stop_gradient ? 0 : p.ops[from].in0;
        if (from != average[o.in0]) continue;
        f.norm[i] = f.norm[average[o.in0]] = norm;
        f.by_readers[norm] = true;
    }
}
}  // namespace detail

constexpr void fuse(plan_view const& p, schedule_options const& options, fusion& f) {
    int readers[max_ops]{};
    int reader[max_ops]{};
    int const n = p.ops.size();
    for (int i = 0; i < n; ++i) {
        f.result[i] = i;
        f.residual[i] = no_value;
        f.norm[i] = no_value;
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
        int sum = no_value;
        if (p.ops[next].kind == op_kind::add) {
            sum = next;
            residual = p.ops[sum].in0 == i ? p.ops[sum].in1 : p.ops[sum].in0;
            if (residual >= i || readers[sum] != 1) continue;
            next = reader[sum];
        }
        if (p.ops[next].kind != op_kind::relu) continue;
        if (sum != no_value) f.absorbed[sum] = true;
        f.absorbed[next] = true;
        f.relu[i] = true;
        f.residual[i] = residual;
        f.result[i] = next;
    }
    detail::normalize_in_readers(p, readers, f);
}

}  // namespace tempera
