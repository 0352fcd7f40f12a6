// SPDX-License-Identifier: Apache-2.0
#pragma once
// The words of tests/emulation/emulation.hpp on a real GPU, where nothing can be set and nothing is counted. Tests that
// are about settings or counts carry the tag [emulated] and are left out there.

namespace emulation {

/// Whether the order of threads can be set.
constexpr bool orders_threads = false;
/// Whether a * b + c may be rounded once.
constexpr bool fuses_products = true;

enum class order { ascending, descending };

struct machine {
    int devices = 1, driver = 0, compute_major = 0, compute_minor = 0;
    unsigned long memory = 0;
    emulation::order order = emulation::order::ascending;
    int launches_until_failure = -1;
    bool refuse_capture = false;
};
struct counters {
    long allocations = 0, live = 0, launches = 0, products = 0, graph_launches = 0, synchronizations = 0, event_waits = 0;
};
inline counters counts() { return {}; }
inline void defer_new_streams(bool) {}

class with {
public:
    explicit with(machine const&) {}
    with(with const&) = delete;
    with& operator=(with const&) = delete;
    ~with() {}
};

}  // namespace emulation
