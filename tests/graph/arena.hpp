// SPDX-License-Identifier: Apache-2.0
#pragma once
// Whether the slots of a schedule lie in its arena as they must.

#include <algorithm>
#include <cstdint>
#include <vector>

#include <tempera/graph/schedule.hpp>

#include "../catch.hpp"

namespace arena {

using namespace tempera;

/// Offsets are aligned, slots that live at the same step are apart, the arena is as long as it must be. Smaller batches
/// use the offsets of the largest.
inline void check_layout(schedule const& s, int largest) {
    for (int batch = 1; batch <= largest; ++batch) {
        std::int64_t end = 0;
        for (int i = 0; i < s.slot_count; ++i) {
            arena_slot const& a = s.slots[i];
            if (a.first < 0) continue;
            REQUIRE((a.offset >= 0 && a.offset % 64 == 0));
            end = std::max(end, a.offset + a.bytes(batch));
            for (int k = 0; k < i; ++k) {
                arena_slot const& b = s.slots[k];
                if (b.first < 0 || a.last < b.first || b.last < a.first) continue;
                REQUIRE((a.offset + a.bytes(batch) <= b.offset || b.offset + b.bytes(batch) <= a.offset));
            }
        }
        REQUIRE(end <= s.arena_bytes);
        if (batch == largest) REQUIRE(end == s.arena_bytes);
    }
}

/// Plays a schedule on an arena that knows which slot was last written at each place, without looking at lifetimes:
/// what a step reads must still be there, also after the step has written.
class played {
public:
    played(schedule const& s, int batch, int outputs)
        : schedule_(s),
          batch_(batch),
          outputs_(outputs),
          owner_(static_cast<std::size_t>(s.arena_bytes / 64), no_slot) {
        write(s.value_slot[0]);
        for (int i = 0; i < s.step_count; ++i) {
            if (i == s.forward_count) seed();
            step(s.steps[i]);
        }
        if (s.step_count == s.forward_count) seed();
        for (int i = 0; i < outputs_; ++i) {
            read(s.output_slot[i]);
            read(s.output_gradient[i]);
        }
    }

private:
    void step(schedule_step const& t) {
        bool const backward = t.kind == step_kind::backward;
        bool const runs_forward = t.kind == step_kind::forward || t.kind == step_kind::widen;
        std::vector<int> reads{t.in0, t.in1, t.d_out}, writes{t.staging};
        (backward ? reads : writes).push_back(t.out);
        (runs_forward && !t.measured ? writes : reads).push_back(t.saved);
        (t.accumulate0 ? reads : writes).push_back(t.d_in0);
        bool const adds = t.accumulate1 && t.d_in1 != t.d_in0;  // x * x: adds to what the step itself has written
        (adds ? reads : writes).push_back(t.d_in1);
        for (int const slot : reads) read(slot);
        for (int const slot : writes) write(slot);
        for (int const slot : reads) read(slot);
        for (int const slot : writes) read(slot);
    }
    /// The loss reads the outputs and writes their gradients.
    void seed() {
        for (int i = 0; i < outputs_; ++i) write(schedule_.output_gradient[i]);
        for (int i = 0; i < outputs_; ++i) read(schedule_.output_slot[i]);
    }
    template <class F>
    void each_place(int slot, F const& f) {
        if (slot == no_slot) return;
        arena_slot const& a = schedule_.slots[slot];
        REQUIRE(a.offset >= 0);
        for (std::int64_t at = a.offset; at < a.offset + a.bytes(batch_); at += 64)
            f(owner_[static_cast<std::size_t>(at / 64)]);
    }
    void write(int slot) {
        each_place(slot, [slot](int& owner) { owner = slot; });
    }
    void read(int slot) {
        bool kept = true;
        each_place(slot, [&](int owner) { kept = kept && owner == slot; });
        REQUIRE(kept);
    }

    schedule const& schedule_;
    int batch_, outputs_;
    std::vector<int> owner_;
};

}  // namespace arena
