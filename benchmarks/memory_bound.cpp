// SPDX-License-Identifier: Apache-2.0
// Bytes per second of every memory-bound function of the catalogue on the CPU, beside a STREAM triad of the same
// threads in the same run. Counted is what a function must move: every array it reads once, every array it writes
// once (twice where it accumulates); the reads that a cache makes before it writes a line are not counted.
//
//   memory_bound                                  all cores
//   TEMPERA_THREADS=1 memory_bound                one thread
//   TEMPERA_ISA=portable memory_bound --benchmark_filter=batch_norm
//   memory_bound --benchmark_enable_random_interleaving=true --benchmark_repetitions=5
//
// Column "of_triad": bytes per second divided by the triad's, best of three, measured at the start.

#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <type_traits>
#include <vector>

#include <tempera/cpu/bandwidth.hpp>
#include <tempera/cpu/batch_norm.hpp>
#include <tempera/cpu/cpu.hpp>
#include <tempera/cpu/dropout.hpp>
#include <tempera/cpu/gate.hpp>
#include <tempera/cpu/l2_normalize.hpp>
#include <tempera/cpu/pointwise.hpp>
#include <tempera/cpu/pooling.hpp>
#include <tempera/cpu/selective.hpp>

namespace {

using namespace tempera;

cpu& device() {
    static char const* const threads = std::getenv("TEMPERA_THREADS");
    static cpu instance{.threads = threads == nullptr ? 0 : std::atoi(threads)};
    return instance;
}

double triad_at_start = 0;

/// Maps large enough for every case, filled once with numbers around zero.
template <class T>
struct maps {
    static constexpr std::int64_t size = std::int64_t{32} * 112 * 112 * 64;
    buffer<T> x{device(), size}, y{device(), size}, dy{device(), size}, dx{device(), size};
    buffer<float> mean{device(), 1 << 17}, variance{device(), 1 << 17}, scale{device(), 1 << 17}, offset{device(), 1 << 17};
    buffer<std::uint8_t> argmax{device(), size / 4};

    maps() {
        for (auto* const b : {&x, &y, &dy, &dx})
            for (std::int64_t i = 0; i < size; ++i)
                b->data()[i] = T(static_cast<float>((i * 40503 & 0xffff) - 32768) * 0x1p-15F);
        for (auto* const b : {&mean, &variance, &scale, &offset}) fill(device(), 1 << 17, 0.5F, b->data());
        fill(device(), size / 16, 0.0F, reinterpret_cast<float*>(argmax.data()));
    }
};
template <class T>
maps<T>& arrays() {
    static maps<T> instance;
    return instance;
}

template <class F>
void add(std::string const& name, double bytes, F f) {
    benchmark::RegisterBenchmark(name.c_str(), [bytes, f](benchmark::State& state) {
        auto const start = std::chrono::steady_clock::now();
        for (auto _ : state) f();
        std::chrono::duration<double> const time = std::chrono::steady_clock::now() - start;
        double const rate = bytes * static_cast<double>(state.iterations()) / time.count();
        state.counters["GB/s"] = rate * 1e-9;
        state.counters["of_triad"] = rate / triad_at_start;
    })->UseRealTime()->Unit(benchmark::kMicrosecond)->MinTime(0.2);
}

template <class T>
void batch_norm(std::string const& size, std::int64_t rows, int channels) {
    std::string const name = (std::is_same_v<T, float> ? "float/" : "bf16/") + size + "/batch_norm_";
    double const map = static_cast<double>(rows * channels) * sizeof(T);
    batch_norm_geometry const g{rows, channels};
    static auto& m = arrays<T>();
    static batch_norm_state const state{m.mean.data(), m.variance.data(), m.scale.data(), m.offset.data()};
    add(name + "statistics", map, [=] {
        batch_norm_statistics(device(), g, m.x.data(), m.mean.data(), m.variance.data());
    });
    add(name + "apply_relu", 2 * map, [=] {
        batch_norm_apply(device(), g, state, m.x.data(), static_cast<T const*>(nullptr), true, m.y.data());
    });
    add(name + "apply_residual_relu", 3 * map, [=] {
        batch_norm_apply(device(), g, state, m.x.data(), m.dy.data(), true, m.y.data());
    });
    auto const gradients = [](T* dresidual) {
        batch_norm_gradients<T> out;
        out.dx = m.dx.data();
        out.dresidual = dresidual;
        out.dscale = m.scale.data() + 65536;
        out.doffset = m.offset.data() + 65536;
        return out;
    };
    add(name + "backward_relu", 7 * map, [=] {
        batch_norm_backward(device(), g, state, true, m.x.data(), m.y.data(), m.dy.data(), gradients(nullptr));
    });
    add(name + "backward_moving", 2 * map, [=] {
        batch_norm_gradients<T> out;
        out.dx = m.dx.data();
        batch_norm_backward(device(), g, state, false, m.x.data(), static_cast<T const*>(nullptr), m.dy.data(), out);
    });
    add(name + "backward_residual_relu", 7 * map, [=] {
        batch_norm_backward(device(), g, state, true, m.x.data(), m.y.data(), m.dy.data(), gradients(m.dy.data()));
    });
}

template <class T>
void others() {
    std::string const name = std::is_same_v<T, float> ? "float/" : "bf16/";
    static auto& m = arrays<T>();
    std::int64_t const n = maps<T>::size;
    double const map = static_cast<double>(n) * sizeof(T);
    add(name + "relu_forward", 2 * map, [=] { relu_forward(device(), n, m.x.data(), m.y.data()); });
    add(name + "relu_backward", 3 * map,
        [=] { relu_backward(device(), n, m.y.data(), m.dy.data(), m.dx.data(), store::write); });
    add(name + "sigmoid_forward", 2 * map, [=] { sigmoid_forward(device(), n, m.x.data(), m.dx.data()); });
    add(name + "add_forward", 3 * map, [=] { add_forward(device(), n, m.x.data(), m.dy.data(), m.dx.data()); });
    add(name + "multiply_backward_accumulate", 4 * map,
        [=] { multiply_backward(device(), n, m.x.data(), m.dy.data(), m.dx.data(), store::accumulate); });
    add(name + "fill", map, [=] { fill(device(), n, 0.5F, m.dx.data()); });
    add(name + "dropout", 2 * map,
        [=] { apply_dropout(device(), n, 0.5F, random_stream{}, m.x.data(), m.dx.data(), store::write); });

    pool_geometry const stem{32, 112, 112, 56, 56, 64, 3, 2, 0, 0};
    double const small = map / 4;
    add(name + "max_pool_forward", map + small + small / sizeof(T),
        [=] { max_pool_forward(device(), stem, m.x.data(), m.y.data(), m.argmax.data()); });
    add(name + "max_pool_backward", map + small + small / sizeof(T), [=] {
        max_pool_backward(device(), stem, static_cast<std::uint8_t const*>(m.argmax.data()), m.dy.data(), m.dx.data(),
                          store::write);
    });
    pool_geometry const halve{32, 56, 56, 28, 28, 256, 2, 2, 0, 0};
    add(name + "average_pool_forward", map + small,
        [=] { average_pool_forward(device(), halve, m.x.data(), m.y.data()); });
    add(name + "average_pool_backward", map + small,
        [=] { average_pool_backward(device(), halve, m.dy.data(), m.dx.data(), store::write); });
    add(name + "global_average_pool_forward", map,
        [=] { global_average_pool_forward(device(), 32, 3136, 256, m.x.data(), m.scale.data()); });
    add(name + "global_average_pool_backward", map,
        [=] { global_average_pool_backward(device(), 32, 3136, 256, m.offset.data(), m.dx.data(), store::write); });

    gate_geometry const gate{32, 3136, 256};
    add(name + "gate_forward", 2 * map,
        [=] { gate_forward(device(), gate, m.x.data(), m.offset.data(), m.dx.data()); });
    add(name + "gate_backward", 3 * map, [=] {
        gate_backward(device(), gate, m.x.data(), m.offset.data(), m.dy.data(), m.dx.data(), store::write, m.scale.data(),
                      store::write);
    });
    selective_geometry const merge{32, 3136, 128};
    add(name + "selective_merge_forward", 1.5 * map,
        [=] { selective_merge_forward(device(), merge, m.x.data(), m.offset.data(), m.y.data()); });
    add(name + "selective_merge_backward", 2.5 * map, [=] {
        selective_merge_backward(device(), merge, m.x.data(), m.offset.data(), m.dy.data(), m.dx.data(), store::write,
                                 m.scale.data(), store::write);
    });
    std::int64_t const rows = n / 512;
    static buffer<float> norms(device(), n / 512);
    add(name + "l2_normalize_forward", 2 * map,
        [=] { l2_normalize_forward(device(), rows, 512, m.x.data(), m.y.data(), norms.data()); });
    add(name + "l2_normalize_backward", 3 * map, [=] {
        l2_normalize_backward(device(), rows, 512, m.y.data(), norms.data(), m.dy.data(), m.dx.data(), store::write);
    });
}

template <class T>
void all() {
    batch_norm<T>("32x56x56x256", 32 * 56 * 56, 256);
    batch_norm<T>("128x32x32x64", 128 * 32 * 32, 64);
    batch_norm<T>("32x112x112x24", 32 * 112 * 112, 24);
    batch_norm<T>("32x7x7x2048", 32 * 7 * 7, 2048);
    batch_norm<T>("64x1x1x2048", 64, 2048);
    others<T>();
}

}  // namespace

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    triad_at_start = measured_bandwidth(device());
    std::printf("%d threads, %s, triad %.2f GB/s\n", device().thread_count(),
                std::string(name_of(device().level())).c_str(), triad_at_start * 1e-9);
    all<float>();
    all<bf16>();
    benchmark::RunSpecifiedBenchmarks();
    std::printf("triad at the end %.2f GB/s\n", measured_bandwidth(device()) * 1e-9);
}
