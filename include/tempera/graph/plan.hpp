// SPDX-License-Identifier: Apache-2.0
#pragma once
// The plan of a network: ops, value shapes, tensors, names, costs. A constant that depends on the
// network and its input shape only. plan<N> owns exactly sized arrays; plan_view is the run-time handle.

#include <cstdint>

#include <tempera/core/list.hpp>
#include <tempera/core/manifest.hpp>
#include <tempera/graph/custom.hpp>
#include <tempera/graph/op.hpp>
#include <tempera/graph/prune.hpp>
#include <tempera/graph/trace.hpp>
#include <tempera/graph/value.hpp>

namespace tempera {

struct plan_sizes {
    int ops = 0, tensors = 0, scopes = 0, outputs = 0, customs = 0;
};

/// What passes, executors and printers read. Points into a plan that outlives it.
struct plan_view {
    list_view<op> ops{};
    list_view<shape> values{};  ///< value i is made by op i; value 0 is the input
    list_view<tensor> tensors{};
    list_view<scope_node> scopes{};
    list_view<output_record> outputs{};
    list_view<custom_record> customs{};
    std::int64_t parameters = 0;     ///< trainable elements
    std::int64_t statistics = 0;     ///< moving means and variances
    std::int64_t multiply_adds = 0;  ///< of one sample's forward pass, convolutions and dense layers

    constexpr shape input() const { return values[0]; }

    /// "encoder.stage2.block0.conv1"
    constexpr path_text path_of(int scope) const { return tempera::path_of(scopes, scope); }
    /// "encoder.stage2.block0.conv1.weight"; a custom op's tensors are numbered: ".parameter0".
    constexpr manifest_entry entry(int index) const {
        tensor const& t = tensors[index];
        manifest_entry e{};
        e.name = path_of(t.scope);
        if (e.name.length > 0) e.name.push('.');
        if (t.role == role::other) {
            e.name.push("parameter");
            e.name.push_number(t.ordinal);
        } else {
            e.name.push(name_of(t.role));
        }
        e.dims = t.dims;
        e.rank = t.rank;
        e.role = t.role;
        e.offset = t.offset;
        e.count = t.count();
        return e;
    }
};

template <plan_sizes N>
struct plan {
    fixed_list<op, N.ops> ops{};
    fixed_list<shape, N.ops> values{};
    fixed_list<tensor, N.tensors> tensors{};
    fixed_list<scope_node, N.scopes> scopes{};
    fixed_list<output_record, N.outputs> outputs{};
    fixed_list<custom_record, N.customs> customs{};
    std::int64_t parameters = 0;
    std::int64_t statistics = 0;
    std::int64_t multiply_adds = 0;

    constexpr plan_view view() const {
        return plan_view{ops, values, tensors, scopes, outputs, customs, parameters, statistics, multiply_adds};
    }
    constexpr operator plan_view() const { return view(); }

    /// Every tensor by name, shape, role and offset.
    constexpr fixed_list<manifest_entry, N.tensors> manifest() const {
        fixed_list<manifest_entry, N.tensors> entries{};
        for (int i = 0; i < N.tensors; ++i) entries[i] = view().entry(i);
        return entries;
    }
};

constexpr plan_sizes sizes_of(trace const& t) {
    return {t.op_count, t.tensor_count, t.scope_count, t.output_count, t.custom_count};
}

/// Copies a pruned trace to a target with the members of plan, sized as sizes_of says; numbers the offsets and sums the costs.
template <class Plan>
constexpr void copy_trace(trace const& t, Plan& p) {
    auto copy = [](auto const* from, auto& to) {
        for (auto& x : to) x = *from++;
    };
    copy(t.ops, p.ops);
    copy(t.values, p.values);
    copy(t.tensors, p.tensors);
    copy(t.scopes, p.scopes);
    copy(t.outputs, p.outputs);
    copy(t.customs, p.customs);
    p.parameters = p.statistics = p.multiply_adds = 0;
    for (tensor& x : p.tensors) {
        std::int64_t& total = is_statistic(x.role) ? p.statistics : p.parameters;
        x.offset = total;
        total += x.count();
    }
    for (op const& o : p.ops) p.multiply_adds += o.multiply_adds;
}

/// Runs a network function on an input of a shape. The trace is pruned; its diagnosis is in t.bad.
template <class Network>
constexpr void trace_network(trace& t, Network const& network, shape sample) {
    t.emit(op{}, shape{t.positive(sample.height, op_kind::input), t.positive(sample.width, op_kind::input),
                       t.positive(sample.channels, op_kind::input)});
    auto const result = network(value{t, 0});
    if constexpr (requires { result.records; }) {
        for (int i = 0; i < result.count; ++i) t.outputs[i] = result.records[i];
        t.output_count = result.count;
    } else {
        t.outputs[0].name = name_text("output");
        t.outputs[0].value = result.id();
        t.output_count = 1;
    }
    prune(t);
}

}  // namespace tempera
