// SPDX-License-Identifier: Apache-2.0
// The multiply-add peak of one thread and of all, in registers. Command: peak

#include "peak.hpp"

using namespace tempera;

static void peak(benchmark::State& state) {
    cpu device{.threads = static_cast<int>(state.range(0))};
    auto const& kernels = cpu_kernels::gemm_kernels_of<float>(device.level());
    double best = 0;
    for (auto _ : state) best = std::max(best, cpu_kernels::measured_peak(device, kernels));
    state.counters["GFLOP/s"] = best;
    state.SetLabel(std::string(name_of(device.level())));
}
BENCHMARK(peak)->ArgName("threads")->Arg(1)->Arg(2)->Iterations(5)->UseRealTime()->Unit(benchmark::kMillisecond);

BENCHMARK_MAIN();
