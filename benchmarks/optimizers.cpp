// SPDX-License-Identifier: Apache-2.0
// Optimizer updates on the CPU over ResNet-50's number of parameters in tensors of 160,000 elements.
// GB/s count the bytes a step must read and write once: LARS 7 arrays (w and g twice), SGD 5, Adam 7, average 3.

#include <tempera/cpu/optimizers.hpp>

#include <benchmark/benchmark.h>

#include <vector>

namespace {

constexpr std::int64_t parameters = 25'600'000;

/// step(device, ranges, w, g, first, second) with its number of arrays read and written.
template <class Step>
void run(benchmark::State& state, double arrays, Step const& step) {
    tempera::cpu device{.threads = static_cast<int>(state.range(0))};
    std::vector<float> w(parameters, 0.1F), g(parameters, 0.01F), first(parameters), second(parameters);
    std::vector<tempera::update_range> ranges;
    for (std::int64_t at = 0; at < parameters; at += 160'000) ranges.push_back({at, 160'000, 1e-4F, true});
    for (auto _ : state) step(device, ranges, w.data(), g.data(), first.data(), second.data());
    state.counters["GB/s"] = benchmark::Counter(arrays * 4e-9 * static_cast<double>(parameters),
                                                benchmark::Counter::kIsIterationInvariantRate);
}

void lars(benchmark::State& state) {
    run(state, 7, [](tempera::cpu& device, auto const& ranges, float* w, float const* g, float* first, float*) {
        apply_lars(device, {.learning_rate = 1e-3F}, ranges, w, g, first);
    });
}
void sgd(benchmark::State& state) {
    run(state, 5, [](tempera::cpu& device, auto const& ranges, float* w, float const* g, float* first, float*) {
        apply_sgd(device, {.learning_rate = 1e-3F}, ranges, w, g, first);
    });
}
void adam(benchmark::State& state) {
    run(state, 7, [](tempera::cpu& device, auto const& ranges, float* w, float const* g, float* first, float* second) {
        apply_adam(device, {.learning_rate = 1e-3F}, ranges, w, g, first, second);
    });
}
void average(benchmark::State& state) {
    run(state, 3, [](tempera::cpu& device, auto const&, float* w, float const*, float* first, float*) {
        apply_ema(device, parameters, 0.999F, w, first);
    });
}

}  // namespace

BENCHMARK(lars)->ArgName("threads")->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(sgd)->ArgName("threads")->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(adam)->ArgName("threads")->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(average)->ArgName("threads")->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_MAIN();
