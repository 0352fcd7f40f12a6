// SPDX-License-Identifier: Apache-2.0
#pragma once
// measured_peak: what functions that multiply are compared with, multiply-adds in registers on all threads.

#include <algorithm>
#include <chrono>
#include <cstdint>

#include <tempera/cpu/gemm.hpp>

namespace tempera::cpu_kernels {

/// GFLOP/s of multiply-adds in registers on all threads of a device, the best of a few short rounds.
inline double measured_peak(cpu& device, gemm_tiles const& kernels) {
    constexpr std::int64_t steps = 400'000;
    double best = 0;
    for (int round = 0; round < 5; ++round) {
        auto const begin = std::chrono::steady_clock::now();
        device.for_chunks(device.thread_count(), [&](std::int64_t, int) {
            volatile float sink = kernels.spin(steps);
            static_cast<void>(sink);
        });
        double const seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
        double const operations = 1.0 * steps * kernels.flops_per_spin * device.thread_count();
        best = std::max(best, 1e-9 * operations / seconds);
    }
    return best;
}

/// The peak for a verbose line: measured once per device, 0 when nothing is printed.
inline double peak_to_print(cpu& device, gemm_tiles const& kernels) {
    if (!device.verbose()) return 0;
    auto const turn = device.exclusive();
    double& peak = device.engine.peak[kernels.pair - 1];
    if (peak == 0) peak = measured_peak(device, kernels);
    return peak;
}

}  // namespace tempera::cpu_kernels
