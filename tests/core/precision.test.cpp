// SPDX-License-Identifier: Apache-2.0
// bf16 and half: every value, and every boundary between two neighbours, against arithmetic in double.

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "../catch.hpp"

#include <tempera/core/precision.hpp>

using namespace tempera;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

/// The value that the bits of a format stand for: 1 sign bit, `exponent_bits`, the rest fraction.
double value_of(std::uint32_t bits, int exponent_bits) {
    int const fraction_bits = 15 - exponent_bits, bias = (1 << (exponent_bits - 1)) - 1;
    auto const exponent = static_cast<int>((bits & 0x7fffU) >> fraction_bits);
    double const fraction = static_cast<double>(bits & ((1U << fraction_bits) - 1U));
    double const sign = (bits & 0x8000U) != 0 ? -1.0 : 1.0;
    if (exponent == (1 << exponent_bits) - 1) return fraction == 0 ? sign * static_cast<double>(infinity) : std::nan("");
    if (exponent == 0) return sign * std::ldexp(fraction, 1 - bias - fraction_bits);
    return sign * std::ldexp(1.0 + std::ldexp(fraction, -fraction_bits), exponent - bias);
}

template <class Format>
Format of_bits(std::uint32_t bits) {
    Format f;
    f.bits = static_cast<std::uint16_t>(bits);
    return f;
}

template <class Format>
void check_format(int exponent_bits) {
    std::uint32_t const infinite = ((1U << exponent_bits) - 1U) << (15 - exponent_bits);
    int wrong = 0;
    for (std::uint32_t bits = 0; bits < 0x10000U; ++bits) {
        double const expected = value_of(bits, exponent_bits);
        auto const widened = static_cast<float>(of_bits<Format>(bits));
        auto const back = Format(widened);
        bool good = std::isnan(expected) ? std::isnan(widened) && std::isnan(static_cast<float>(back))
                                         : static_cast<double>(widened) == expected && back.bits == bits &&
                                               std::signbit(widened) == std::signbit(expected);
        wrong += good ? 0 : 1;
    }
    CHECK(wrong == 0);

    // Between every two neighbours: the middle goes to the even one, everything else to the nearer one. The largest
    // value's upper neighbour is where the next power of two would be.
    int misrounded = 0;
    for (std::uint32_t low = 0; low < infinite; ++low) {
        double const next = low + 1 == infinite ? 2 * value_of(low, exponent_bits) - value_of(low - 1, exponent_bits)
                                                : value_of(low + 1, exponent_bits);
        auto const middle = static_cast<float>((value_of(low, exponent_bits) + next) / 2);
        std::uint32_t const even = (low & 1U) == 0 ? low : low + 1;
        for (std::uint32_t const sign : {0U, 0x8000U}) {
            float const m = sign != 0 ? -middle : middle;
            misrounded += Format(m).bits == (even | sign) ? 0 : 1;
            misrounded += Format(std::nextafter(m, 0.0F)).bits == (low | sign) ? 0 : 1;
            misrounded += Format(std::nextafter(m, sign != 0 ? -infinity : infinity)).bits == ((low + 1) | sign) ? 0 : 1;
        }
    }
    CHECK(misrounded == 0);

    CHECK(Format(infinity).bits == infinite);
    CHECK(Format(-infinity).bits == (infinite | 0x8000U));
    CHECK(Format(std::numeric_limits<float>::max()).bits == infinite);
    // A signalling NaN whose fraction lies in the bits that are cut off must not become an infinity.
    CHECK(std::isnan(static_cast<float>(Format(std::bit_cast<float>(0x7f800001U)))));
    CHECK(std::isnan(static_cast<float>(Format(std::bit_cast<float>(0xff800001U)))));
    CHECK(Format(-0.0F).bits == 0x8000U);
    CHECK(Format(std::numeric_limits<float>::denorm_min()).bits == 0);
}

}  // namespace

TEST_CASE("half stores every value and rounds to nearest even", "[core][precision]") {
    check_format<half>(5);
    CHECK(half(65504.0F).bits == 0x7bff);
    CHECK(half(65519.996F).bits == 0x7bff);
    CHECK(half(65520.0F).bits == 0x7c00);
    CHECK(half(0x1p-24F).bits == 1);
    CHECK(half(0x1p-25F).bits == 0);
    static_assert(static_cast<float>(half(0.333251953125F)) == 0.333251953125F);
}

TEST_CASE("bf16 stores every value and rounds to nearest even", "[core][precision]") {
    check_format<bf16>(8);
    CHECK(bf16(1.00390625F).bits == 0x3f80);  // 1 + 2^-8, the middle
    CHECK(bf16(1.01171875F).bits == 0x3f82);  // 1 + 3 2^-8, the other way
    static_assert(static_cast<float>(bf16(3.140625F)) == 3.140625F);
}

TEST_CASE("bytes of an element", "[core][precision]") {
    STATIC_REQUIRE(bytes_of(precision::float32) == sizeof(storage_t<precision::float32>));
    STATIC_REQUIRE(bytes_of(precision::bfloat16) == sizeof(storage_t<precision::bfloat16>));
    STATIC_REQUIRE(bytes_of(precision::float16) == sizeof(storage_t<precision::float16>));
}
