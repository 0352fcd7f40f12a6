// SPDX-License-Identifier: Apache-2.0
#pragma once
// forward_steps: one step for every op that is left after fusion (fuse.hpp), in order, with the slots of what it reads,
// writes and keeps for the backward pass; outputs at lower precision are widened at the end.

#include <tempera/graph/fuse.hpp>
#include <tempera/graph/schedule.hpp>

namespace tempera::detail {

class forward_steps {
public:
    constexpr forward_steps(plan_view const& plan, schedule_options const& o, fusion const& f, schedule& s)
        : plan_(plan), options_(o), fusion_(f), out_(s) {}

    constexpr void forward() {
        make_value_slots();
        for (int i = 1; i < plan_.ops.size(); ++i)
            if (!fusion_.absorbed[i]) forward(i);
        widen_outputs();
        out_.forward_count = out_.step_count;
    }

protected:
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
            saved_[i] = no_slot;
            sums_[i] = no_slot;
        }
        out_.value_slot[0] = new_slot_like(0);
        for (int i = 1; i < plan_.ops.size(); ++i) {
            if (fusion_.absorbed[i] || fusion_.by_readers[i]) continue;
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
        needs_[result] =
            o.kind != op_kind::stop_gradient && (out_.trained[i] || needs_[o.in0] || (second >= 0 && needs_[second]));
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
        if (is_selective(o.kind)) read_branches(i, s);
        if (options_.precision != precision::float32 && plan_.values[i].is_vector() &&
            !plan_.values[o.in0].is_vector() && o.kind != op_kind::global_average_pool &&
            o.kind != op_kind::selective_average && o.kind != op_kind::custom)
            s.staging = out_.add_slot(plan_.values[i].size() * bytes_of(options_.precision), 0);
        forward_step_[i] = out_.step_count - 1;
    }

    static constexpr bool is_selective(op_kind k) {
        return k == op_kind::selective_average || k == op_kind::selective_merge;
    }

    /// A step of a selective kernel reads its value, or what its batch_norm would read.
    constexpr void read_branches(int i, schedule_step& s) {
        op const& o = plan_.ops[i];
        if (o.kind == op_kind::selective_average)
            sums_[o.in0] = out_.add_slot(plan_.values[o.in0].channels * 16, 0);  // four floats a channel
        int const norm = s.norm = fusion_.norm[i];
        if (o.kind == op_kind::selective_average || norm != no_value) s.sums = sums_[o.in0];
        if (norm == no_value) return;
        s.in0 = slot_of(plan_.ops[norm].in0);
        s.saved = saved_[norm];
        s.mode = out_.steps[forward_step_[norm]].mode;
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

    plan_view const& plan_;
    schedule_options const& options_;
    fusion const& fusion_;
    schedule& out_;
    int forward_step_[max_ops]{};
    bool needs_[max_ops]{};  ///< a trained parameter lies before it

private:
    int saved_[max_ops]{};
    int sums_[max_ops]{};  ///< per value that a selective kernel reads
};

}  // namespace tempera::detail
