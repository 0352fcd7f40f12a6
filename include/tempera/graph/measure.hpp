// SPDX-License-Identifier: Apache-2.0
#pragma once
// measure: where the device can, the convolution that writes a map takes the batch statistics that normalize it, so that
// nobody reads the map for them alone.

#include <tempera/graph/schedule.hpp>

namespace tempera {

constexpr void measure(plan_view const& p, schedule_options const& options, schedule& s) {
    if (!options.fuse || !convolutions_take_statistics(options.device, options.precision)) return;
    int step_of[max_ops]{};
    for (int i = 0; i < s.forward_count; ++i) {
        schedule_step& t = s.steps[i];
        if (t.kind != step_kind::forward) continue;
        op const& o = p.ops[t.op];
        step_of[t.op] = i;
        if (o.kind != op_kind::batch_norm || t.mode == bn::moving || p.ops[o.in0].kind != op_kind::conv) continue;
        schedule_step& conv = s.steps[step_of[o.in0]];
        bool const of_maps = !p.values[p.ops[o.in0].in0].is_vector() && !p.values[o.in0].is_vector();
        if (!of_maps || conv.saved != no_slot)
            continue;  // vectors are float32; another reader's statistics lie elsewhere
        conv.saved = t.saved;
        conv.mode = t.mode;
        conv.norm = t.op;
        t.measured = true;
    }
}

}  // namespace tempera
