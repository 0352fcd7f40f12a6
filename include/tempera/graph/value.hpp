// SPDX-License-Identifier: Apache-2.0
#pragma once
// value: the handle that network functions take and return. A value knows its shape; operations on it
// append to the trace.

#include <string_view>

#include <tempera/core/op_call.hpp>
#include <tempera/graph/trace.hpp>

namespace tempera {

class declaration;

class value {
public:
    constexpr value(trace& t, int id) : trace_(&t), id_(id) {}

    constexpr tempera::shape shape() const { return trace_->values[id_]; }
    constexpr trace& graph() const { return *trace_; }
    constexpr int id() const { return id_; }

    /// Appends a built-in op whose first input is this value.
    constexpr value emit(op o, tempera::shape out) const {
        o.in0 = id_;
        if (o.tensors == 0) o.scope = trace_->here;
        trace_->next_is_named = false;
        return {*trace_, trace_->emit(o, out)};
    }

    /// Appends a user's own op (see custom.hpp for what it must offer).
    template <class Op>
    constexpr value apply(Op const& op) const;
    template <class Op>
    constexpr value apply(Op const& op, value other) const;

private:
    trace* trace_;
    int id_;
};

/// Elementwise sum of equal shapes.
constexpr value operator+(value a, value b) {
    if (!(a.shape() == b.shape())) a.graph().fail(fault::operands_differ, op_kind::add, b.shape(), a.shape());
    op o{};
    o.kind = op_kind::add;
    o.in1 = b.id();
    return a.emit(o, a.shape());
}

/// Elementwise product of equal shapes, or of a map and a {1,1,c} gate in either order.
constexpr value operator*(value a, value b) {
    bool const equal = a.shape() == b.shape();
    if (!equal && a.shape().is_vector() && !b.shape().is_vector()) return b * a;
    op o{};
    o.in1 = b.id();
    o.kind = equal ? op_kind::multiply : op_kind::gate;
    if (!equal && !(b.shape() == shape{1, 1, a.shape().channels}))
        a.graph().fail(fault::operands_differ, o.kind, b.shape(), shape{1, 1, a.shape().channels});
    return a.emit(o, a.shape());
}

/// Enters a named level of the path for its lifetime.
class scope {
public:
    constexpr scope(value x, std::string_view name, int number = -1) : trace_(x.graph()), previous_(x.graph().here) {
        trace_.here = trace_.open(name, number);
    }
    constexpr ~scope() { trace_.here = previous_; }
    scope(scope const&) = delete;
    scope& operator=(scope const&) = delete;

private:
    trace& trace_;
    int previous_;
};

/// One named output of a network.
struct output {
    name_text name;
    value from;
};

/// The outputs of a network, in order; the last is what a loss sees by default.
struct output_list {
    output_record records[max_outputs]{};
    int count = 0;
    trace* graph = nullptr;
};

/// Declares what a network gives: outputs(output{"features", f}, output{"head", h}).
template <class... Outputs>
constexpr output_list outputs(output first, Outputs... rest) {
    output_list list{};
    list.graph = &first.from.graph();
    auto add = [&list](output const& o) {
        for (int i = 0; i < list.count; ++i)
            if (list.records[i].name == o.name)
                list.graph->fail(fault::duplicate_name, op_kind::input, o.from.shape(), o.from.shape(), o.name.text());
        if (list.count == max_outputs) {
            list.graph->fail_number(fault::too_many_outputs, op_kind::input, max_outputs + 1, max_outputs);
            return;
        }
        list.records[list.count].name = o.name;
        list.records[list.count].value = o.from.id();
        ++list.count;
    };
    add(first);
    (add(rest), ...);
    return list;
}

}  // namespace tempera
