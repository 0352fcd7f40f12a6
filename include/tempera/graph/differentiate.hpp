// SPDX-License-Identifier: Apache-2.0
#pragma once
// differentiate: the forward steps in order, then for every op that leads from trained parameters to a loss
// output its backward step, in reverse. The first consumer of a value writes its gradient, later ones add;
// nothing is filled with zeros. The gradient of a + b is the incoming one for the first operand that has none
// yet, a copy for the other.

#include <tempera/graph/fuse.hpp>
#include <tempera/graph/schedule.hpp>

namespace tempera {

namespace detail {

/// Builds the steps of one schedule.
class differentiator {
public:
    constexpr differentiator(plan_view const& plan, schedule_options const& o, fusion const& f, schedule& s)
        : plan_(plan), options_(o), fusion_(f), out_(s) {}

    constexpr void run() {
        make_value_slots();
        for (int i = 1; i < plan_.ops.size(); ++i)
            if (!fusion_.absorbed[i]) forward(i);
        widen_outputs();
        out_.forward_count = out_.step_count;
        if (!options_.training) return;
        mark_leading_to_loss();
        seed_gradients();
        for (int i = plan_.ops.size() - 1; i > 0; --i)
            if (!fusion_.absorbed[i] && leads_[fusion_.result[i]] && needs_[fusion_.result[i]]) backward(i);
    }

private:
    constexpr std::int64_t element_bytes(int value) const {
        return plan_.values[value].is_vector() ? 4 : bytes_of(options_.precision);
    }
    constexpr int new_slot_like(int value) {
        return out_.add_slot(plan_.values[value].size() * element_bytes(value), 0);
    }

    /// A fused step writes its result only; stop_gradient is its input.
    constexpr void make_value_slots() {
        for (int i = 0; i < plan_.ops.size(); ++i) {
            out_.value_slot[i] = no_slot;
            gradient_[i] = no_slot;
            saved_[i] = no_slot;
            again_[i] = no_slot;
        }
        out_.value_slot[0] = new_slot_like(0);
        for (int i = 1; i < plan_.ops.size(); ++i) {
            if (fusion_.absorbed[i]) continue;
            int const result = fusion_.result[i];
            out_.value_slot[result] =
                plan_.ops[i].kind == op_kind::stop_gradient ? out_.value_slot[plan_.ops[i].in0] : new_slot_like(result);
        }
    }

    constexpr int slot_of(int value) const { return value < 0 ? no_slot : out_.value_slot[value]; }
    constexpr int second_input(int i) const { return fusion_.relu[i] ? fusion_.residual[i] : plan_.ops[i].in1; }

    constexpr void forward(int i) {
        op const& o = plan_.ops[i];
        int const result = fusion_.result[i];
        frozen const* const freeze =
            o.tensors > 0 && options_.frozen.count > 0 ? options_.frozen.find(plan_.path_of(o.scope).text()) : nullptr;
        bool const has_parameters = o.kind == op_kind::batch_norm ? o.flag || o.flag2 : o.tensors > 0;
        out_.trained[i] = options_.training && has_parameters && freeze == nullptr;
        int const second = second_input(i);
        needs_[result] = o.kind != op_kind::stop_gradient &&
                         (out_.trained[i] || needs_[o.in0] || (second >= 0 && needs_[second]));
        if (o.kind == op_kind::stop_gradient) return;

        bn const mode = !options_.training ? bn::moving : freeze != nullptr ? freeze->mode : bn::batch;
        saved_[i] = saved_slot(i, mode);
        schedule_step& s = out_.add_step(step_kind::forward, i);
        s.in0 = slot_of(o.in0);
        s.in1 = slot_of(second);
        s.out = slot_of(result);
        s.saved = saved_[i];
        s.relu = fusion_.relu[i];
        s.residual = fusion_.relu[i] && second >= 0;
        s.mode = mode;
        if (options_.precision != precision::float32 && plan_.values[i].is_vector() && !plan_.values[o.in0].is_vector() &&
            o.kind != op_kind::global_average_pool && o.kind != op_kind::custom)
            s.staging = out_.add_slot(plan_.values[i].size() * bytes_of(options_.precision), 0);
        forward_step_[i] = out_.step_count - 1;
    }

    /// What the op keeps from forward to backward.
    constexpr int saved_slot(int i, bn mode) {
        op const& o = plan_.ops[i];
        shape const out = plan_.values[i];
        bool const training = options_.training;
        switch (o.kind) {
            case op_kind::batch_norm:
                return mode == bn::moving ? no_slot : out_.add_slot(0, std::int64_t{8} * out.channels);
            case op_kind::max_pool: return training && needs_[i] ? out_.add_slot(out.size(), 0) : no_slot;
            case op_kind::drop_block: return training ? out_.add_slot(out.size() * 4, 0) : no_slot;
            case op_kind::l2_normalize: return out_.add_slot(out.positions() * 4, 0);
            case op_kind::custom: {
                custom_record const& c = plan_.customs[o.custom];
                return c.saved_per_sample + c.saved_fixed > 0 ? out_.add_slot(c.saved_per_sample * 4, c.saved_fixed * 4)
                                                              : no_slot;
            }
            default: return no_slot;
        }
    }

    constexpr bool is_loss_output(int i) const {
        if (options_.loss_outputs == 0) return i == plan_.outputs.size() - 1;
        return (options_.loss_outputs >> i & 1U) != 0;
    }
    constexpr bool is_wide(int value) const {
        return options_.precision == precision::float32 || plan_.values[value].is_vector();
    }

    constexpr void widen_outputs() {
        for (int i = 0; i < plan_.outputs.size(); ++i) {
            int const v = plan_.outputs[i].value;
            out_.output_slot[i] = out_.value_slot[v];
            out_.output_gradient[i] = no_slot;
            if (is_wide(v)) continue;
            out_.output_slot[i] = out_.add_slot(plan_.values[v].size() * 4, 0);
            schedule_step& s = out_.add_step(step_kind::widen, v);
            s.in0 = out_.value_slot[v];
            s.out = out_.output_slot[i];
        }
    }

    constexpr void mark_leading_to_loss() {
        for (int i = 0; i < plan_.outputs.size(); ++i)
            if (is_loss_output(i)) leads_[plan_.outputs[i].value] = true;
        for (int i = plan_.ops.size() - 1; i > 0; --i) {
            op const& o = plan_.ops[i];
            if (!leads_[i] || o.kind == op_kind::stop_gradient) continue;
            leads_[o.in0] = true;
            if (o.in1 >= 0) leads_[o.in1] = true;
        }
    }

    /// A second output of the same value, or a map at lower precision, has a gradient slot of its own.
    constexpr void seed_gradients() {
        for (int i = 0; i < plan_.outputs.size(); ++i) {
            int const v = plan_.outputs[i].value;
            if (!is_loss_output(i)) continue;
            if (is_wide(v) && gradient_[v] == no_slot) {
                gradient_[v] = out_.output_gradient[i] = new_slot_like(v);
                continue;
            }
            out_.output_gradient[i] = out_.add_slot(plan_.values[v].size() * 4, 0);
            bool accumulate = false;
            int const target = receive(v, accumulate);
            schedule_step& s = out_.add_step(is_wide(v) ? step_kind::copy : step_kind::narrow, v);
            s.d_out = out_.output_gradient[i];
            s.d_in0 = target;
            s.accumulate0 = accumulate;
            if (!is_wide(v) && accumulate)
                s.staging = out_.add_slot(plan_.values[v].size() * bytes_of(options_.precision), 0);
        }
    }

    /// The gradient slot of a value, and whether something is in it already.
    constexpr int receive(int value, bool& accumulate) {
        accumulate = gradient_[value] != no_slot;
        if (!accumulate) gradient_[value] = new_slot_like(value);
        return gradient_[value];
    }

    constexpr void backward(int i) {
        op const& o = plan_.ops[i];
        int const result = fusion_.result[i];
        int const incoming = gradient_[result];
        if (incoming == no_slot) return;  // only stop_gradient read it
        int const second = second_input(i);
        if (o.kind == op_kind::add) {
            pass_through(o.in0, i, incoming);
            pass_through(o.in1, i, incoming);
            return;
        }
        schedule_step s = out_.steps[forward_step_[i]];
        s.kind = step_kind::backward;
        s.trained = out_.trained[i];
        if (reads_input(i)) s.in0 = ready(o.in0);
        else s.in0 = no_slot;
        if (reads_second(o.kind)) s.in1 = ready(second);
        else s.in1 = no_slot;
        if (reads_result(i)) s.out = ready(result);
        else s.out = no_slot;
        s.d_out = incoming;
        if (needs_[o.in0]) s.d_in0 = receive(o.in0, s.accumulate0);
        if (second >= 0 && needs_[second]) s.d_in1 = receive(second, s.accumulate1);
        out_.steps[out_.step_count++] = s;
        if (o.kind == op_kind::custom) separate_accumulation(out_.step_count - 1);
    }

    /// A custom op only writes: where its input has a gradient already, it writes a slot that is then added.
    constexpr void separate_accumulation(int index) {
        schedule_step& s = out_.steps[index];
        op const& o = plan_.ops[s.op];
        for (int k = 0; k < 2; ++k) {
            bool& accumulate = k == 0 ? s.accumulate0 : s.accumulate1;
            int& target = k == 0 ? s.d_in0 : s.d_in1;
            if (!accumulate) continue;
            int const value = k == 0 ? o.in0 : o.in1;
            schedule_step& add = out_.add_step(step_kind::copy, value);
            add.d_in0 = target;
            add.accumulate0 = true;
            add.d_out = target = new_slot_like(value);
            accumulate = false;
        }
    }

    constexpr void pass_through(int value, int i, int incoming) {
        if (!needs_[value]) return;
        if (gradient_[value] == no_slot) {
            bool shared = false;  // the other operand may have taken the incoming slot already
            for (int const other : {plan_.ops[i].in0, plan_.ops[i].in1})
                shared = shared || (other != value && gradient_[other] == incoming);
            if (!shared) {
                gradient_[value] = incoming;
                return;
            }
        }
        bool accumulate = false;
        int const target = receive(value, accumulate);
        schedule_step& s = out_.add_step(step_kind::copy, i);
        s.d_out = incoming;
        s.d_in0 = target;
        s.accumulate0 = accumulate;
        s.op = value;
    }

    constexpr bool reads_input(int i) const {
        switch (plan_.ops[i].kind) {
            case op_kind::conv:
            case op_kind::dense: return out_.trained[i];
            case op_kind::batch_norm:
            case op_kind::multiply:
            case op_kind::gate:
            case op_kind::selective_merge:
            case op_kind::custom: return true;
            default: return false;
        }
    }
    static constexpr bool reads_second(op_kind k) {
        return k == op_kind::multiply || k == op_kind::gate || k == op_kind::selective_merge || k == op_kind::custom;
    }
    constexpr bool reads_result(int i) const {
        switch (plan_.ops[i].kind) {
            case op_kind::batch_norm: return fusion_.relu[i] && fusion_.residual[i] != no_value;  // else by its input
            case op_kind::relu:
            case op_kind::sigmoid:
            case op_kind::l2_normalize:
            case op_kind::custom: return true;
            default: return false;
        }
    }

    /// The slot that holds a forward value during the backward pass; with recompute, a normalized activation
    /// is computed again before its first reader.
    constexpr int ready(int value) {
        if (value < 0) return no_slot;
        if (!options_.recompute) return slot_of(value);
        if (again_[value] != no_slot) return again_[value];
        int producer = value;
        if (plan_.ops[value].kind == op_kind::relu && fusion_.absorbed[value]) producer = plan_.ops[value].in0;
        if (plan_.ops[producer].kind != op_kind::batch_norm || fusion_.result[producer] != value ||
            fusion_.residual[producer] != no_value)
            return slot_of(value);
        again_[value] = new_slot_like(value);
        schedule_step s = out_.steps[forward_step_[producer]];
        s.kind = step_kind::recompute;
        s.in0 = ready(plan_.ops[producer].in0);
        s.out = again_[value];
        out_.steps[out_.step_count++] = s;
        return again_[value];
    }

    plan_view const& plan_;
    schedule_options const& options_;
    fusion const& fusion_;
    schedule& out_;
    int gradient_[max_ops]{};
    int saved_[max_ops]{};
    int again_[max_ops]{};
    int forward_step_[max_ops]{};
    bool needs_[max_ops]{};  ///< a trained parameter lies before it
    bool leads_[max_ops]{};  ///< a loss output lies after it
};

}  // namespace detail

constexpr void differentiate(plan_view const& plan, schedule_options const& options, fusion const& f, schedule& s) {
    detail::differentiator(plan, options, f, s).run();
}

}  // namespace tempera
