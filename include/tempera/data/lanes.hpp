// SPDX-License-Identifier: Apache-2.0
#pragma once
// Four floats at a time, for pixel loops: g++ 12 vectorises none of them at -O2. Every machine has 128-bit vectors,
// so nothing is dispatched; wider ones would not pay on rows of 28 or 672 floats.

#include <cstdint>
#include <cstring>

namespace tempera::pixels {

using lanes = float __attribute__((vector_size(16)));
inline constexpr std::int64_t lane_count = 4;

inline lanes load(float const* p) {
    lanes v;
    std::memcpy(&v, p, sizeof v);
    return v;
}
inline void put(float* p, lanes v) { std::memcpy(p, &v, sizeof v); }
inline lanes broadcast(float x) { return lanes{x, x, x, x}; }

inline float larger(float a, float b) { return a > b ? a : b; }
inline float smaller(float a, float b) { return a < b ? a : b; }
inline float clipped(float x) { return x < 0.0F ? 0.0F : x > 1.0F ? 1.0F : x; }
inline lanes clipped(lanes v) {
    lanes const zero{}, one = broadcast(1.0F);
    v = v < zero ? zero : v;
    return v > one ? one : v;
}

/// y[i] = f(x[i]) for n elements; f takes lanes and float. x and y may be the same.
template <class F>
void transform(float const* x, float* y, std::int64_t n, F const& f) {
    std::int64_t i = 0;
    for (; i + lane_count <= n; i += lane_count) put(y + i, f(load(x + i)));
    for (; i < n; ++i) y[i] = f(x[i]);
}

/// y[i] = scale * x[i] for n bytes.
inline void bytes_to_floats(std::uint8_t const* x, float* y, std::int64_t n, float scale) {
    using four_bytes = std::uint8_t __attribute__((vector_size(4)));
    std::int64_t i = 0;
    for (; i + lane_count <= n; i += lane_count) {
        four_bytes v;
        std::memcpy(&v, x + i, sizeof v);
        put(y + i, __builtin_convertvector(v, lanes) * scale);
    }
    for (; i < n; ++i) y[i] = static_cast<float>(x[i]) * scale;
}

}  // namespace tempera::pixels
