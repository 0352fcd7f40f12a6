// SPDX-License-Identifier: Apache-2.0
#pragma once
// The multiply-add peak of a device, measured beside a benchmark: same run, same threads, same instruction set.

#include <benchmark/benchmark.h>

#include <tempera/cpu/peak.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <ctime>

namespace tempera::bench {

/// Two threads, or what TEMPERA_THREADS says.
inline int threads() {
    char const* const text = std::getenv("TEMPERA_THREADS");
    return text != nullptr ? std::atoi(text) : 2;
}

/// Wall time of the fastest call, and processor time (of all threads) of all calls: the clock of a process moves too
/// coarsely to tell single calls apart.
struct call_times {
    double wall = 1e30;
    double processor = 0;
    int calls = 0;

    double per_call() const { return processor / calls; }

    template <class F>
    void measure(F const& call) {
        auto const begin = std::chrono::steady_clock::now();
        std::clock_t const clock = std::clock();
        call();
        processor += static_cast<double>(std::clock() - clock) / CLOCKS_PER_SEC;
        ++calls;
        wall = std::min(wall, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
    }
};

/// Adds GFLOP/s and two fractions of the peak of the kernels that ran, which is taken now, to a finished benchmark: of_peak by wall time, and
/// of_peak_busy by the time the threads really had a core, which other programs on the machine disturb less.
inline void count_arithmetic(benchmark::State& state, cpu& device, std::int64_t multiply_adds, call_times const& times,
                             cpu_kernels::gemm_tiles const& kernels) {
    double const peak = cpu_kernels::measured_peak(device, kernels);
    constexpr std::int64_t steps = 3'000'000;
    call_times alone;
    for (int round = 0; round < 5; ++round) {
        alone.measure([&] { benchmark::DoNotOptimize(kernels.spin(steps)); });
    }
    double const peak_busy = 1e-9 * static_cast<double>(steps * kernels.flops_per_spin) / alone.per_call();
    double const work = 2e-9 * static_cast<double>(multiply_adds);
    state.counters["GFLOP/s"] = work / times.wall;
    state.counters["of_peak"] = work / times.wall / peak;
    state.counters["of_peak_busy"] = work / times.per_call() / peak_busy;
    state.SetLabel(kernels.name);
}

inline void count_arithmetic(benchmark::State& state, cpu& device, std::int64_t multiply_adds,
                             call_times const& times) {
    count_arithmetic(state, device, multiply_adds, times, cpu_kernels::gemm_kernels_of<float>(device.level()));
}

}  // namespace tempera::bench
