// SPDX-License-Identifier: Apache-2.0
#pragma once
// Element types: the precision of activations, and the storage formats bf16 and half.
// Arithmetic is always float32; these types only store.

#include <bit>
#include <cstdint>

namespace tempera {

/// Precision of activations. Weights, statistics, losses and optimizer state stay float32.
enum class precision : std::uint8_t { float32, bfloat16, float16 };

/// Storage format bfloat16: the upper half of a float32, rounded to nearest even.
struct bf16 {
    std::uint16_t bits = 0;

    bf16() = default;
    constexpr explicit bf16(float x) {
        auto const u = std::bit_cast<std::uint32_t>(x);
        bool const nan = (u & 0x7fffffffU) > 0x7f800000U;
        bits = static_cast<std::uint16_t>(nan ? (u >> 16) | 0x40U : (u + 0x7fffU + ((u >> 16) & 1U)) >> 16);
    }
    constexpr explicit operator float() const {
        return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
    }
    friend constexpr bool operator==(bf16, bf16) = default;
};

/// Storage format IEEE binary16.
struct half {
    std::uint16_t bits = 0;

    half() = default;
    constexpr explicit half(float x) {
        auto const u = std::bit_cast<std::uint32_t>(x);
        auto const sign = static_cast<std::uint32_t>((u >> 16) & 0x8000U);
        auto const magnitude = u & 0x7fffffffU;
        std::uint32_t out = 0;
        if (magnitude > 0x7f800000U) {
            out = 0x7e00U;
        } else if (magnitude >= 0x47800000U) {
            out = 0x7c00U;
        } else if (magnitude < 0x33000000U) {
            out = 0;
        } else if (magnitude < 0x38800000U) {  // subnormal: shift the full significand into place
            int const shift = 126 - static_cast<int>(magnitude >> 23);
            std::uint32_t const significand = (magnitude & 0x7fffffU) | 0x800000U;
            std::uint32_t const kept = significand >> shift;
            std::uint32_t const rest = significand & ((1U << shift) - 1U);
            std::uint32_t const middle = 1U << (shift - 1);
            out = kept + ((rest > middle || (rest == middle && (kept & 1U))) ? 1U : 0U);
        } else {
            std::uint32_t const rebased = magnitude - 0x38000000U;
            out = (rebased + 0xfffU + ((rebased >> 13) & 1U)) >> 13;
        }
        bits = static_cast<std::uint16_t>(sign | out);
    }
    constexpr explicit operator float() const {
        std::uint32_t const sign = static_cast<std::uint32_t>(bits & 0x8000U) << 16;
        std::uint32_t const exponent = (bits >> 10) & 0x1fU;
        std::uint32_t const fraction = bits & 0x3ffU;
        if (exponent == 0x1fU) return std::bit_cast<float>(sign | 0x7f800000U | (fraction << 13));
        if (exponent != 0) return std::bit_cast<float>(sign | ((exponent + 112U) << 23) | (fraction << 13));
        float const value = static_cast<float>(fraction) * 0x1p-24F;
        return sign != 0 ? -value : value;
    }
    friend constexpr bool operator==(half, half) = default;
};

template <precision P>
struct storage;
template <>
struct storage<precision::float32> {
    using type = float;
};
template <>
struct storage<precision::bfloat16> {
    using type = bf16;
};
template <>
struct storage<precision::float16> {
    using type = half;
};

/// The element type that stores activations of a precision.
template <precision P>
using storage_t = typename storage<P>::type;

constexpr int bytes_of(precision p) { return p == precision::float32 ? 4 : 2; }

}  // namespace tempera
