// SPDX-License-Identifier: Apache-2.0
// Matrix products: GFLOP/s of the best repetition and its fraction of the peak. Command: matmul

#include "peak.hpp"

#include <tempera/cpu/matmul.hpp>

#include <vector>

using namespace tempera;

static void product(benchmark::State& state) {
    cpu device{.threads = bench::threads()};
    int const n = static_cast<int>(state.range(0));
    matmul_geometry const g{n, n, n, (state.range(1) & 1) != 0, (state.range(1) & 2) != 0};
    std::vector<float> const a(static_cast<std::size_t>(n) * static_cast<std::size_t>(n), 0.5F);
    std::vector<float> c(a.size());
    bench::call_times times;
    for (auto _ : state) {
        times.measure([&] { matmul(device, g, a.data(), a.data(), c.data(), store::write); });
    }
    bench::count_arithmetic(state, device, std::int64_t{1} * n * n * n, times);
}
BENCHMARK(product)
    ->ArgNames({"n", "transposed"})
    ->ArgsProduct({{64, 256, 512, 1024, 2048}, {0, 1, 2}})
    ->MinTime(0.2)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

BENCHMARK_MAIN();
