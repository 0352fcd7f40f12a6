// SPDX-License-Identifier: Apache-2.0
#pragma once
// exp and log in double from additions and multiplications alone, so that a crop or a blur is the same with every
// version of the C library.

#include <bit>
#include <cstdint>

namespace tempera::pixels {

/// e^x to about 1e-15 relative; 0 below -700, for x <= 700.
constexpr double exponential(double x) {
    if (x < -700.0) return 0.0;
    // x = k log 2 + r with |r| <= log(2) / 2; log 2 in two parts, the first with 20 trailing zero bits.
    double const scaled = x * 1.4426950408889634;
    auto const k = static_cast<std::int64_t>(scaled + (scaled < 0 ? -0.5 : 0.5));
    double const r = (x - static_cast<double>(k) * 0.6931471803691238) - static_cast<double>(k) * 1.9082149292705877e-10;
    double sum = 1.0;
    for (int n = 14; n >= 1; --n) sum = 1.0 + sum * r / n;
    return sum * std::bit_cast<double>(static_cast<std::uint64_t>(k + 1023) << 52);
}

/// log x for x > 0, by Newton's iteration on exponential.
constexpr double logarithm(double x) {
    auto const exponent = static_cast<std::int64_t>(std::bit_cast<std::uint64_t>(x) >> 52) - 1023;
    double y = static_cast<double>(exponent) * 0.6931471805599453;
    for (int i = 0; i < 6; ++i) y += x * exponential(-y) - 1.0;
    return y;
}

}  // namespace tempera::pixels
