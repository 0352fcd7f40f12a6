// SPDX-License-Identifier: Apache-2.0
// Philox4x32-10 against the published known-answer vectors of Random123, and the draws of a stream.

#include <array>
#include <cmath>
#include <cstdint>
#include <set>
#include <vector>

#include "../catch.hpp"

#include <tempera/core/philox.hpp>

using namespace tempera;
using words = std::array<std::uint32_t, 4>;

TEST_CASE("philox gives the published vectors", "[core][philox]") {
    CHECK(philox({0, 0}, {0, 0, 0, 0}) == words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
    constexpr std::uint32_t ones = 0xffffffff;
    CHECK(philox({ones, ones}, {ones, ones, ones, ones}) == words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
    // Digits of pi.
    CHECK(philox({0xa4093822, 0x299f31d0}, {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}) ==
          words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
    static_assert(philox({0, 0}, {0, 0, 0, 0})[0] == 0x6627e8d5);
}

TEST_CASE("a philox stream gives the blocks of its key and counter in order", "[core][philox]") {
    philox_stream stream(0x1122334455667788U, 5, 6, 7);
    for (std::uint32_t block = 0; block < 3; ++block) {
        words const expected = philox({0x55667788U, 0x11223344U}, {block, 5, 6, 7});
        for (std::uint32_t const word : expected) CHECK(stream.word() == word);
    }
}

TEST_CASE("streams with different names differ", "[core][philox]") {
    std::set<std::uint32_t> seen;
    for (std::uint64_t seed : {0U, 1U})
        for (std::uint32_t a : {0U, 1U})
            for (std::uint32_t b : {0U, 1U})
                for (std::uint32_t c : {0U, 1U}) seen.insert(philox_stream(seed, a, b, c).word());
    CHECK(seen.size() == 16);
}

TEST_CASE("uniform draws are even and stay in their range", "[core][philox]") {
    philox_stream stream(1);
    constexpr int count = 100'000, bins = 20;
    std::vector<int> uniform(bins), below(bins);
    for (int i = 0; i < count; ++i) {
        float const u = stream.uniform();
        REQUIRE((u >= 0.0F && u < 1.0F));
        ++uniform[static_cast<std::size_t>(u * bins)];
        std::uint32_t const n = stream.below(bins);
        REQUIRE(n < bins);
        ++below[n];
        float const v = stream.uniform(-2.0F, 3.0F);
        REQUIRE((v >= -2.0F && v < 3.0F));
    }
    // Chi-square with 19 degrees of freedom: above 43.8 once in a thousand times.
    auto const chi_square = [](std::vector<int> const& seen) {
        double const expected = static_cast<double>(count) / bins;
        double sum = 0;
        for (int n : seen) sum += (n - expected) * (n - expected) / expected;
        return sum;
    };
    CHECK(chi_square(uniform) < 43.8);
    CHECK(chi_square(below) < 43.8);
}
