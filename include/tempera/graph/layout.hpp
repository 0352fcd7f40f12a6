// SPDX-License-Identifier: Apache-2.0
#pragma once
// layout: byte offsets of the slots in one arena, best fit over the time line; memory of a slot whose last step
// has passed is given to later ones. Offsets are multiples of 64.

#include <tempera/graph/schedule.hpp>

namespace tempera {

namespace detail {

/// Free stretches of the arena, by offset.
class free_list {
public:
    constexpr std::int64_t take(std::int64_t bytes) {
        int best = -1;
        for (int i = 0; i < count_; ++i)
            if (holes_[i].bytes >= bytes && (best < 0 || holes_[i].bytes < holes_[best].bytes)) best = i;
        if (best < 0) {
            // grow the last stretch when it ends the arena, else open a new one
            bool const tail = count_ > 0 && holes_[count_ - 1].offset + holes_[count_ - 1].bytes == end_;
            std::int64_t const offset = tail ? holes_[count_ - 1].offset : end_;
            if (tail) --count_;
            end_ = offset + bytes;
            return offset;
        }
        std::int64_t const offset = holes_[best].offset;
        holes_[best].offset += bytes;
        holes_[best].bytes -= bytes;
        if (holes_[best].bytes == 0) remove(best);
        return offset;
    }

    constexpr void give(std::int64_t offset, std::int64_t bytes) {
        int i = 0;
        while (i < count_ && holes_[i].offset < offset) ++i;
        bool const joins_left = i > 0 && holes_[i - 1].offset + holes_[i - 1].bytes == offset;
        bool const joins_right = i < count_ && offset + bytes == holes_[i].offset;
        if (joins_left) {
            holes_[i - 1].bytes += bytes;
            if (joins_right) {
                holes_[i - 1].bytes += holes_[i].bytes;
                remove(i);
            }
        } else if (joins_right) {
            holes_[i].offset = offset;
            holes_[i].bytes += bytes;
        } else {
            for (int k = count_; k > i; --k) holes_[k] = holes_[k - 1];
            holes_[i] = hole{offset, bytes};
            ++count_;
        }
    }

    constexpr std::int64_t end() const { return end_; }

private:
    struct hole {
        std::int64_t offset = 0;
        std::int64_t bytes = 0;
    };
    constexpr void remove(int i) {
        for (int k = i; k + 1 < count_; ++k) holes_[k] = holes_[k + 1];
        --count_;
    }

    hole holes_[max_slots + 1]{};
    int count_ = 0;
    std::int64_t end_ = 0;
};

}  // namespace detail

constexpr void layout(std::int64_t batch, schedule& s) {
    // slots by their first step, and by their last
    int starting[max_steps + 1]{};
    int ending[max_steps + 1]{};
    int next_start[max_slots]{};
    int next_end[max_slots]{};
    for (int i = 0; i <= s.step_count; ++i) starting[i] = ending[i] = no_slot;
    for (int i = s.slot_count - 1; i >= 0; --i) {
        arena_slot const& x = s.slots[i];
        if (x.first < 0) continue;
        next_start[i] = starting[x.first];
        starting[x.first] = i;
        next_end[i] = ending[x.last];
        ending[x.last] = i;
    }
    detail::free_list memory{};
    for (int t = 0; t <= s.step_count; ++t) {
        for (int i = starting[t]; i != no_slot; i = next_start[i]) s.slots[i].offset = memory.take(s.slots[i].bytes(batch));
        for (int i = ending[t]; i != no_slot; i = next_end[i]) memory.give(s.slots[i].offset, s.slots[i].bytes(batch));
    }
    s.arena_bytes = memory.end();
}

}  // namespace tempera
