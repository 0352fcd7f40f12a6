// SPDX-License-Identifier: Apache-2.0
#pragma once
// What tests set and read of the emulated machine: its devices, its faults, and what was done on it. One thread only.

#include <cstddef>

namespace emulation {

enum class order { ascending, descending };

/// The machine that the emulated runtime reports.
struct machine {
    int devices = 1;
    int driver = 13000;   ///< 0: none installed
    int runtime = 13000;
    int compute_major = 9, compute_minor = 0;
    std::size_t memory = std::size_t{1} << 30;  ///< bytes of each device
    /// In which order blocks, and a block's threads between two barriers, run. Results must not depend on it.
    emulation::order order = emulation::order::ascending;
    /// Kernel launches that still succeed before one fails; negative: all of them.
    int launches_until_failure = -1;
};

struct counters {
    long allocations = 0;  ///< device memory ever allocated
    long live = 0;         ///< of these not freed; streams, handles and pinned memory included
    long launches = 0;
    long products = 0;     ///< matrix products
    long synchronizations = 0;
};

machine& settings();
counters& counts();

/// Sets the machine for one test and the default one afterwards.
class with {
public:
    explicit with(machine const& m) { settings() = m; }
    with(with const&) = delete;
    with& operator=(with const&) = delete;
    ~with() { settings() = machine{}; }
};

}  // namespace emulation
