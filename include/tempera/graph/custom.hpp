// SPDX-License-Identifier: Apache-2.0
#pragma once
// A user's own op: a trivially copyable struct of at most 64 bytes, empty or without padding, with
//
//   constexpr shape infer(input_shapes in, declaration& declare) const;   // output shape; declares tensors
//   static constexpr device_set devices = on_cpu;
//   static void forward(op_call&);   static void backward(op_call&);
//
// No registration, no macro: x.apply(my_op{...}) in any network function.

#include <array>
#include <bit>
#include <concepts>
#include <type_traits>

#include <tempera/graph/value.hpp>

namespace tempera {

/// Shapes of a custom op's inputs.
struct input_shapes {
    shape shapes[max_custom_inputs]{};
    int count = 1;
    constexpr shape operator[](int i) const { return shapes[i]; }
};

/// What infer() declares: parameters and floats kept from forward to backward.
class declaration {
public:
    constexpr declaration(trace& t, op& o, custom_record& record) : trace_(&t), op_(&o), record_(&record) {}

    /// A float32 parameter vector of `count` elements starting at `start`. Optimizers treat it as a kernel: it is decayed, and
    /// adapted by lars (role::other).
    constexpr void parameter(int count, float start) {
        tensor t{};
        t.role = role::other;
        t.number = start;
        t.dims = std::array<int, 4>{trace_->positive(count, op_kind::custom), 1, 1, 1};
        add(t);
    }
    /// A dense kernel (out, in), LeCun-normal at the start.
    constexpr void weight(int out, int in) {
        tensor t{};
        t.role = role::other;
        t.start = initializer::lecun_normal;
        t.number = static_cast<float>(in);
        t.dims = std::array<int, 4>{trace_->positive(out, op_kind::custom), 1, 1, trace_->positive(in, op_kind::custom)};
        t.rank = 2;
        add(t);
    }
    /// Floats kept from forward to backward: per_sample * batch + fixed.
    constexpr void saved(std::int64_t per_sample, std::int64_t fixed = 0) {
        record_->saved_per_sample = per_sample;
        record_->saved_fixed = fixed;
    }
    /// Records that the inputs do not fit: the first fault becomes the network's diagnosis.
    constexpr void reject(shape got, shape expected) {
        trace_->fail(fault::operands_differ, op_kind::custom, got, expected);
    }

private:
    constexpr void add(tensor t) {
        if (op_->tensors == max_custom_tensors) {
            trace_->fail_number(fault::too_many_tensors, op_kind::custom, max_custom_tensors + 1, max_custom_tensors);
            return;
        }
        if (op_->tensors == 0) op_->scope = trace_->open_layer(op_kind::custom);
        t.ordinal = op_->tensors;
        trace_->declare(*op_, t);
    }

    trace* trace_;
    op* op_;
    custom_record* record_;
};

template <class Op>
concept CustomOp = std::is_trivially_copyable_v<Op> && requires(Op const& op, input_shapes in, declaration& d, op_call& c) {
    { op.infer(in, d) } -> std::same_as<shape>;
    { Op::devices } -> std::convertible_to<device_set>;
    Op::forward(c);
    Op::backward(c);
};

namespace detail {

/// A constant expression unless the op has padding, which holds no value, or pointers.
template <class Op>
constexpr bool reads_every_byte() {
    auto const bytes = std::bit_cast<std::array<unsigned char, sizeof(Op)>>(Op{});
    unsigned sum = 0;
    for (std::size_t i = 0; i < sizeof(Op); ++i) sum += bytes[i];
    return sum < 256 * sizeof(Op);
}
/// Of an op without default values the bytes that it is given tell.
template <class Op>
concept without_padding = std::is_empty_v<Op> || !std::is_default_constructible_v<Op> ||
                          requires { typename std::bool_constant<reads_every_byte<Op>()>; };

template <class Op>
constexpr value apply_custom(value a, int second, input_shapes const& in, Op const& custom) {
    static_assert(CustomOp<Op>,
                  "a custom op is trivially copyable and has infer(input_shapes, declaration&) const -> shape, "
                  "static devices, static forward(op_call&) and backward(op_call&)");
    static_assert(std::is_empty_v<Op> || sizeof(Op) <= 64, "a custom op holds at most 64 bytes");
    trace& t = a.graph();
    op o{};
    o.kind = op_kind::custom;
    o.in1 = second;
    o.scope = t.here;
    if (t.custom_count == max_customs)
        t.fail_number(fault::too_many_ops_raise_TEMPERA_MAX_OPS, o.kind, max_customs + 1, max_customs);
    else ++t.custom_count;
    o.custom = t.custom_count - 1;
    custom_record record{};
    record.table = op_table{&Op::forward, &Op::backward, Op::devices};
    if constexpr (!std::is_empty_v<Op>) {
        if (!without_padding<Op> && std::is_constant_evaluated()) {  // at run time any bytes will do
            t.fail(fault::padding_in_custom_op, o.kind, shape{}, shape{});
            return a.emit(o, in[0]);
        }
        auto const bytes = std::bit_cast<std::array<unsigned char, sizeof(Op)>>(custom);
        for (std::size_t i = 0; i < sizeof(Op); ++i) record.state[i] = bytes[i];
        record.bytes = static_cast<int>(sizeof(Op));
    }
    declaration declare{t, o, record};
    shape const out = custom.infer(in, declare);
    t.customs[o.custom] = record;
    return a.emit(o, shape{t.positive(out.height, o.kind), t.positive(out.width, o.kind), t.positive(out.channels, o.kind)});
}

}  // namespace detail

template <class Op>
constexpr value value::apply(Op const& custom) const {
    input_shapes in{};
    in.shapes[0] = shape();
    return detail::apply_custom(*this, no_value, in, custom);
}

template <class Op>
constexpr value value::apply(Op const& custom, value other) const {
    input_shapes in{};
    in.shapes[0] = shape();
    in.shapes[1] = other.shape();
    in.count = 2;
    return detail::apply_custom(*this, other.id(), in, custom);
}

}  // namespace tempera
