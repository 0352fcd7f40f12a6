// SPDX-License-Identifier: Apache-2.0
#pragma once
// One axis of a convolution where taps are distances: lines, or samples, lie further apart than they are long, and what lies
// between is zero. With strides a map falls into phases of every stride-th position, each with taps of its own.

#include <algorithm>
#include <cstdint>

#include <tempera/cpu/gemm.hpp>

namespace tempera::cpu_kernels {

/// Tap t of result i lies at i * step + begin + t of the map, which is position i + distance(t) of phase(t).
struct tap_axis {
    int step, begin;
    std::int64_t room = 0;  ///< positions from one line to the next, or lines from one sample to the next

    tap_axis(int size, int results, int taps, int step_, int begin_) : step(step_), begin(begin_) {
        std::int64_t const before = -distance(0), after = results + distance(taps - 1) - size / step;
        room = std::max<std::int64_t>(ceil_divide(size, step) + std::max({before, after, std::int64_t{0}}), results);
    }
    int phase(int tap) const { return ((tap + begin) % step + step) % step; }
    std::int64_t distance(int tap) const { return (tap + begin - phase(tap)) / step; }
};

}  // namespace tempera::cpu_kernels
