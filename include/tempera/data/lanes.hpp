// SPDX-License-Identifier: Apache-2.0
#pragma once
// Four floats at a time, for pixel loops: g++ 12 vectorizes none of them at -O2. Every machine has 128-bit vectors,
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

// For one float and for lanes alike: V is either, comparisons of lanes choose lane by lane.

template <class V>
V larger(V a, V b) {
    return a > b ? a : b;
}
template <class V>
V smaller(V a, V b) {
    return a < b ? a : b;
}
template <class V>
V clipped(V v) {
    return smaller(larger(v, V{}), V{} + 1.0F);
}

/// y[i] = f(x[i]) for n elements; f takes lanes and float. x and y may be the same.
template <class F>
void transform(float const* x, float* y, std::int64_t n, F const& f) {
    std::int64_t i = 0;
    for (; i + lane_count <= n; i += lane_count) put(y + i, f(load(x + i)));
    for (; i < n; ++i) y[i] = f(x[i]);
}

/// f(r, g, b) for the pixels of n floats, three to a pixel; f takes references to lanes (four pixels) or floats.
template <class F>
void for_each_rgb(float* x, std::int64_t n, F const& f) {
    std::int64_t i = 0;
    for (; i + 3 * lane_count <= n; i += 3 * lane_count) {
        lanes const u = load(x + i), v = load(x + i + 4), w = load(x + i + 8);  // rgbr gbrg brgb
        lanes r = __builtin_shufflevector(__builtin_shufflevector(u, v, 0, 3, 6, 6), w, 0, 1, 2, 5);
        lanes g = __builtin_shufflevector(__builtin_shufflevector(u, v, 1, 4, 7, 7), w, 0, 1, 2, 6);
        lanes b = __builtin_shufflevector(__builtin_shufflevector(u, v, 2, 5, 5, 5), w, 0, 1, 4, 7);
        f(r, g, b);
        lanes const rg = __builtin_shufflevector(r, g, 0, 4, 1, 5), rg_high = __builtin_shufflevector(r, g, 2, 6, 3, 7);
        put(x + i, __builtin_shufflevector(rg, b, 0, 1, 4, 2));
        put(x + i + 4, __builtin_shufflevector(__builtin_shufflevector(rg, b, 3, 5, 5, 5), rg_high, 0, 1, 4, 5));
        put(x + i + 8, __builtin_shufflevector(rg_high, b, 6, 2, 3, 7));
    }
    for (; i < n; i += 3) f(x[i], x[i + 1], x[i + 2]);
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
