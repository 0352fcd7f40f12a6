// SPDX-License-Identifier: Apache-2.0
#pragma once
// What tests set and read of the emulated machine: its devices, its faults, and what was done on it. One thread only.

#include <cstddef>

namespace emulation {

/// Whether a * b + c may be rounded once: nvcc lets it, g++ as our tests call it does not.
constexpr bool fuses_products = false;
/// Whether the order of threads can be set.
constexpr bool orders_threads = true;

enum class order { ascending, descending };

/// The machine that the emulated runtime reports.
struct machine {
    int devices = 1;
    int driver = 13000;  ///< 0: none installed
    int runtime = 13000;
    int compute_major = 9, compute_minor = 0;
    std::size_t memory = std::size_t{1} << 30;  ///< bytes of each device
    /// In which order blocks, and a block's threads between two barriers, run. Results must not depend on it.
    emulation::order order = emulation::order::ascending;
    /// Kernel launches that still succeed before one fails; negative: all of them.
    int launches_until_failure = -1;
    bool refuse_capture = false;  ///< streams cannot be captured
};

struct counters {
    long allocations = 0;  ///< device and pinned memory ever allocated
    long live = 0;         ///< of these not freed; streams, handles and pinned memory included
    long launches = 0;     ///< of kernels, by the host; what a graph holds counts once, when captured
    long products = 0;     ///< matrix products, likewise
    long graph_launches = 0;
    long synchronizations = 0;
    long event_waits = 0;  ///< of the host
};

machine& settings();
counters& counts();

/// Streams made from now on do their work only when something waits for it.
void defer_new_streams(bool on);

/// Sets the machine for one test and the default one afterwards.
class with {
public:
    explicit with(machine const& m) { settings() = m; }
    with(with const&) = delete;
    with& operator=(with const&) = delete;
    ~with() { settings() = machine{}; }
};

}  // namespace emulation
