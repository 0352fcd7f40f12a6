// SPDX-License-Identifier: Apache-2.0
#pragma once
// Sample arrays for kernel tests: reproducible values, widening to double, comparison.

#include <tempera/core/philox.hpp>
#include <tempera/core/precision.hpp>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

namespace sample {

/// n uniform values in [low, high), rounded to T.
template <class T>
std::vector<T> uniform(std::int64_t n, std::uint64_t seed, float low = -1.0F, float high = 1.0F) {
    tempera::philox_stream random(seed);
    std::vector<T> out;
    out.reserve(static_cast<std::size_t>(n));
    for (std::int64_t i = 0; i < n; ++i) out.push_back(static_cast<T>(random.uniform(low, high)));
    return out;
}

/// n integers in [low, high], exact in T when they are small.
template <class T>
std::vector<T> integers(std::int64_t n, std::uint64_t seed, int low, int high) {
    tempera::philox_stream random(seed);
    std::vector<T> out;
    out.reserve(static_cast<std::size_t>(n));
    for (std::int64_t i = 0; i < n; ++i)
        out.push_back(static_cast<T>(
            static_cast<float>(low + static_cast<int>(random.below(static_cast<std::uint32_t>(high - low + 1))))));
    return out;
}

template <class T>
std::vector<double> widen(std::vector<T> const& x) {
    std::vector<double> out;
    out.reserve(x.size());
    for (T const v : x) out.push_back(static_cast<double>(static_cast<float>(v)));
    return out;
}

/// max |a - b| / max(1e-30, max |b|); infinite when a holds a NaN or the sizes differ.
template <class T>
double difference(std::vector<T> const& a, std::vector<double> const& reference) {
    if (a.size() != reference.size()) return INFINITY;
    double largest = 1e-30, worst = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        largest = std::fmax(largest, std::fabs(reference[i]));
        double const d = std::fabs(static_cast<double>(static_cast<float>(a[i])) - reference[i]);
        worst = std::isnan(d) ? INFINITY : std::fmax(worst, d);
    }
    return worst / largest;
}

template <class T>
bool same_bits(std::vector<T> const& a, std::vector<T> const& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

/// What one rounding to T may change, with room for a few float32 roundings before it.
template <class T>
inline constexpr double tolerance = std::is_same_v<T, float> ? 3e-6 : 4.2e-3;

inline std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

}  // namespace sample
