// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the tests of the GPU device share: values on the emulated device and back, and how far results may be off.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include <emulation.hpp>  // tests/emulation, or tests/on_gpu
#include <tempera/core/philox.hpp>
#include <tempera/cuda.hpp>

#include "../catch.hpp"

namespace lab {

using tempera::bf16;
using tempera::buffer;
using tempera::gpu;
using tempera::half;
using tempera::store;
using tempera::view;

/// Half a unit in the last place of T relative to 1, times a few operations.
template <class T>
constexpr double tolerance = std::is_same_v<T, float> ? 2e-6 : std::is_same_v<T, half> ? 1.1e-3 : 8e-3;

/// Values in [-1, 1), every one representable in T.
template <class T>
std::vector<T> random_values(std::int64_t count, std::uint32_t stream) {
    tempera::philox_stream draws(7, stream);
    std::vector<T> values(static_cast<std::size_t>(count));
    for (auto& v : values) v = static_cast<T>(draws.uniform(-1, 1));
    return values;
}

template <class T>
buffer<T> on_device(gpu& device, std::vector<T> const& values) {
    buffer<T> memory(device, static_cast<std::int64_t>(values.size()));
    device.upload(view<T const>{values.data(), {static_cast<int>(values.size())}}, memory);
    return memory;
}

template <class T>
std::vector<T> from_device(gpu& device, buffer<T>& memory) {
    std::vector<T> values(static_cast<std::size_t>(memory.size()));
    device.download(memory.view(), view<T>{values.data(), {static_cast<int>(values.size())}});
    return values;
}

template <class T>
std::vector<double> exact(std::vector<T> const& values) {
    std::vector<double> out;
    for (T v : values) out.push_back(static_cast<double>(static_cast<float>(v)));
    return out;
}

/// max |found - expected| / max |expected|; infinite where a found value is not finite.
template <class T>
double difference(std::vector<T> const& found, std::vector<double> const& expected) {
    REQUIRE(found.size() == expected.size());
    double worst = 0;
    double largest = 0;
    for (std::size_t i = 0; i < found.size(); ++i) {
        double const value = static_cast<double>(static_cast<float>(found[i]));
        double const off = std::abs(value - expected[i]);
        worst = std::isfinite(off) ? std::max(worst, off) : HUGE_VAL;
        largest = std::max(largest, std::abs(expected[i]));
    }
    return worst == 0 ? 0 : worst / std::max(largest, 1e-30);
}

/// Runs the rest of a test case for both orders in which the emulation runs threads, once with warpgroups and once without;
/// under the address sanitizer, which is slow and asks another question, for one of them.
inline emulation::machine any_order() {
    emulation::machine m;
    if constexpr (!emulation::orders_threads) return m;
#if defined(__SANITIZE_ADDRESS__) && !defined(TEMPERA_SLOW_TESTS)
    return m;
#endif
    m.order = GENERATE(emulation::order::ascending, emulation::order::descending);
    m.compute_major = m.order == emulation::order::ascending ? 9 : 8;
    return m;
}

}  // namespace lab
