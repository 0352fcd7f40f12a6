// SPDX-License-Identifier: Apache-2.0
#pragma once
// The multiply-add peak of a device, measured beside a benchmark: same run, same threads, same instruction set.

#include <benchmark/benchmark.h>

#include <tempera/cpu/gemm.hpp>

#include <cstdint>
#include <cstdlib>

namespace tempera::bench {

/// Two threads, or what TEMPERA_THREADS says.
inline int threads() {
    char const* const text = std::getenv("TEMPERA_THREADS");
    return text != nullptr ? std::atoi(text) : 2;
}

/// Adds GFLOP/s and the fraction of the peak, taken now, to a finished benchmark.
inline void count_arithmetic(benchmark::State& state, cpu& device, std::int64_t multiply_adds, double best_seconds) {
    auto const& kernels = cpu_kernels::gemm_kernels_of(device.level());
    double const peak = cpu_kernels::measured_peak(device, kernels);
    double const reached = 2e-9 * static_cast<double>(multiply_adds) / best_seconds;
    state.counters["GFLOP/s"] = reached;
    state.counters["peak"] = peak;
    state.counters["of_peak"] = reached / peak;
    state.SetLabel(kernels.name);
}

}  // namespace tempera::bench
