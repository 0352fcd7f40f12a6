// SPDX-License-Identifier: Apache-2.0
// NT-Xent on the CPU: rows (both views together) x channels, value alone and with the gradient.
// GFLOP/s count 2 rows^2 channels for the value and 6 rows^2 channels with the gradient: the products of the plain
// algorithm, which computes the similarities once and stores them.

#include <tempera/core/philox.hpp>
#include <tempera/cpu/contrastive.hpp>

#include <benchmark/benchmark.h>

#include <vector>

namespace {

void nt_xent(benchmark::State& state) {
    int const rows = static_cast<int>(state.range(0));
    int const channels = static_cast<int>(state.range(1));
    bool const gradient = state.range(2) != 0;
    tempera::cpu device{.threads = static_cast<int>(state.range(3))};
    tempera::philox_stream random(1);
    std::vector<float> h(static_cast<std::size_t>(rows) * static_cast<std::size_t>(channels)), dh(h.size());
    for (float& x : h) x = random.uniform(-1, 1);
    for (auto _ : state) {
        auto const value = tempera::contrastive_cross_entropy(device, {rows / 2, channels, 0.1F, true}, h.data(), 1,
                                                              gradient ? dh.data() : nullptr, tempera::store::write);
        benchmark::DoNotOptimize(value.loss);
    }
    double const flop = (gradient ? 6.0 : 2.0) * rows * rows * channels;
    state.counters["GFLOP/s"] = benchmark::Counter(flop * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

}  // namespace

BENCHMARK(nt_xent)
    ->ArgNames({"rows", "channels", "gradient", "threads"})
    ->ArgsProduct({{256, 1024, 8192}, {128}, {0, 1}, {1, 2}})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();
BENCHMARK_MAIN();
