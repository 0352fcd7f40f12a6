// SPDX-License-Identifier: Apache-2.0
#pragma once
// differentiate: the forward steps (forward_steps.hpp), then for every op that leads from trained parameters to a loss
// output its backward step, in reverse. The first consumer of a value writes its gradient, later ones add;
// nothing is filled with zeros. The gradient of a + b is the incoming one for the first operand that has none
// yet, a copy for the other. A batch norm that its readers apply gets their gradients in parts (fuse.hpp).

#include <tempera/graph/forward_steps.hpp>

namespace tempera {

namespace detail {

/// Slots of what a batch_norm gets from the ops of a selective kernel that apply it.
struct branch_gradients {
    int merge = no_slot, average = no_slot, logits = no_slot, sums = no_slot;
};

class differentiator : public forward_steps {
public:
    using forward_steps::forward_steps;

    constexpr void backward() {
        for (int i = 0; i < plan_.ops.size(); ++i) gradient_[i] = again_[i] = no_slot;
        mark_leading_to_loss();
        seed_gradients();
        for (int i = plan_.ops.size() - 1; i > 0; --i)
            if (!fusion_.absorbed[i] && leads_[fusion_.result[i]] && needs_[fusion_.result[i]]) backward(i);
    }

private:
    constexpr bool is_loss_output(int i) const {
        if (options_.loss_outputs == 0) return i == plan_.outputs.size() - 1;
        return (options_.loss_outputs >> i & 1U) != 0;
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
        if (fusion_.by_readers[i]) {
            backward_norm_of_branches(i);
            return;
        }
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
        if (s.norm != no_value) {
            backward_branches(i, s, incoming);
            return;
        }
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

    /// The average only hands on its gradient, the merge writes that of the logits; the batch_norm reads both.
    constexpr void backward_branches(int i, schedule_step s, int incoming) {
        op const& o = plan_.ops[i];
        branch_gradients& to = arrived_[s.norm];
        if (o.kind == op_kind::selective_average) {
            to.average = incoming;
            return;
        }
        to.merge = incoming;
        to.logits = s.in1;
        to.sums = s.sums;
        s.in0 = ready(plan_.ops[s.norm].in0);
        s.out = no_slot;
        s.d_out = incoming;
        s.d_in1 = receive(o.in1, s.accumulate1);
        out_.steps[out_.step_count++] = s;
    }
    constexpr void backward_norm_of_branches(int i) {
        op const& o = plan_.ops[i];
        branch_gradients const& from = arrived_[i];
        if (from.merge == no_slot) return;  // only stop_gradient read it
        schedule_step s = out_.steps[forward_step_[i]];
        s.kind = step_kind::backward;
        s.trained = out_.trained[i];
        s.in0 = ready(o.in0);
        s.in1 = from.logits;
        s.sums = from.sums;
        s.d_out = from.merge;
        s.d_average = from.average;
        if (needs_[o.in0]) s.d_in0 = receive(o.in0, s.accumulate0);
        out_.steps[out_.step_count++] = s;
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
        schedule_step& s = out_.add_step(step_kind::copy, value);
        s.d_out = incoming;
        s.d_in0 = target;
        s.accumulate0 = accumulate;
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

    int gradient_[max_ops]{};
    int again_[max_ops]{};
    branch_gradients arrived_[max_ops]{};  ///< per batch_norm that its readers apply
    bool leads_[max_ops]{};                ///< a loss output lies after it
};

}  // namespace detail

constexpr void differentiate(plan_view const& plan, schedule_options const& options, fusion const& f, schedule& s) {
    detail::differentiator steps(plan, options, f, s);
    steps.forward();
    if (options.training) steps.backward();
}

}  // namespace tempera
