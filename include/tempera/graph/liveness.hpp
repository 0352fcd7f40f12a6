// SPDX-License-Identifier: Apache-2.0
#pragma once
// liveness: from which step to which a slot is in use. Outputs and their gradients stay to the end, since the
// caller reads them after the step.

#include <tempera/graph/schedule.hpp>

namespace tempera {

constexpr void liveness(plan_view const& plan, schedule& s) {
    auto use = [&s](int slot_index, int time) {
        if (slot_index == no_slot) return;
        arena_slot& x = s.slots[slot_index];
        if (x.first < 0 || time < x.first) x.first = time;
        if (time > x.last) x.last = time;
    };
    use(s.value_slot[0], 0);
    for (int i = 0; i < s.step_count; ++i) {
        schedule_step const& t = s.steps[i];
        for (int const each :
             {t.in0, t.in1, t.out, t.saved, t.sums, t.staging, t.d_out, t.d_in0, t.d_in1, t.d_average})
            use(each, i);
    }
    int const end = s.step_count > 0 ? s.step_count - 1 : 0;
    for (int i = 0; i < plan.outputs.size(); ++i) {
        use(s.output_slot[i], end);
        if (s.output_gradient[i] == no_slot) continue;
        use(s.output_gradient[i], s.forward_count > 0 ? s.forward_count - 1 : 0);
        use(s.output_gradient[i], end);
    }
}

}  // namespace tempera
