// SPDX-License-Identifier: Apache-2.0
#pragma once
// Starting values of the tensors, as in the code of SimCLRv2: convolutions truncated normal of variance 1 / fan_in
// (LeCun), dense layers N(0, 0.01), scales 1 or 0, offsets and biases 0, moving variance 1.

#include <cstdint>

#include <tempera/core/philox.hpp>
#include <tempera/graph/plan.hpp>

namespace tempera {

namespace detail {

/// exp(-t), 0 <= t <= 32, by plain double arithmetic: (Taylor of exp(-t / 64)) ^ 64.
constexpr double exp_minus(double t) {
    double const x = -t / 64;
    double y = 1 + x * (1 + x / 2 * (1 + x / 3 * (1 + x / 4 * (1 + x / 5 * (1 + x / 6 * (1 + x / 7 * (1 + x / 8)))))));
    for (int i = 0; i < 6; ++i) y *= y;
    return y;
}

/// A standard normal variate within +-bound, by rejection from the uniform: no libm, the same everywhere.
constexpr double normal(philox_stream& random, double bound) {
    for (;;) {
        double const x = bound * (2.0 * (random.word() * 0x1p-32) - 1.0);
        if (random.word() * 0x1p-32 < exp_minus(x * x / 2)) return x;
    }
}

constexpr double square_root(double x) {
    double y = x > 1 ? x : 1;
    for (int i = 0; i < 64; ++i) y = (y + x / y) / 2;
    return y;
}

}  // namespace detail

/// Fills one tensor. Values depend on (seed, tensor index, element) only.
inline void initialize(tensor const& t, int index, std::uint64_t seed, float* out) {
    std::int64_t const n = t.count();
    if (t.start == initializer::constant) {
        for (std::int64_t i = 0; i < n; ++i) out[i] = t.number;
        return;
    }
    philox_stream random(seed, static_cast<std::uint32_t>(index), 0x1717U);
    bool const truncated = t.start == initializer::lecun_normal;
    // 0.8796... is the deviation of a standard normal truncated at 2, as TensorFlow corrects for it
    double const deviation = truncated ? detail::square_root(1.0 / t.number) / 0.87962566103423978 : t.number;
    for (std::int64_t i = 0; i < n; ++i)
        out[i] = static_cast<float>(deviation * detail::normal(random, truncated ? 2.0 : 6.0));
}

}  // namespace tempera
