// SPDX-License-Identifier: Apache-2.0
#pragma once
// CRC-64/XZ (reflected polynomial 0xC96C5795D7870F42, ECMA-182), eight bytes at a time by tables: finds every burst of
// errors up to 64 bits long, hence every flipped bit.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace tempera {

namespace crc64_detail {

using tables = std::array<std::array<std::uint64_t, 256>, 8>;

constexpr tables make_tables() {
    tables t{};
    for (std::uint64_t i = 0; i < 256; ++i) {
        std::uint64_t crc = i;
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1U) != 0 ? 0xC96C5795D7870F42U : 0U);
        t[0][i] = crc;
    }
    for (std::size_t k = 1; k < 8; ++k)
        for (std::size_t i = 0; i < 256; ++i) t[k][i] = t[0][t[k - 1][i] & 0xffU] ^ (t[k - 1][i] >> 8);
    return t;
}

inline constexpr tables table = make_tables();

}  // namespace crc64_detail

/// A running checksum: add bytes in any pieces, then ask for value().
class crc64 {
public:
    void add(std::span<std::byte const> bytes) {
        auto const& t = crc64_detail::table;
        auto const* p = bytes.data();
        std::size_t n = bytes.size();
        std::uint64_t crc = state_;
        for (; n >= 8; n -= 8, p += 8) {
            std::uint64_t word = crc;
            for (std::size_t k = 0; k < 8; ++k) word ^= std::to_integer<std::uint64_t>(p[k]) << (8 * k);
            crc = t[7][word & 0xffU] ^ t[6][(word >> 8) & 0xffU] ^ t[5][(word >> 16) & 0xffU] ^
                  t[4][(word >> 24) & 0xffU] ^ t[3][(word >> 32) & 0xffU] ^ t[2][(word >> 40) & 0xffU] ^
                  t[1][(word >> 48) & 0xffU] ^ t[0][word >> 56];
        }
        for (; n > 0; --n, ++p) crc = t[0][(crc ^ std::to_integer<std::uint64_t>(*p)) & 0xffU] ^ (crc >> 8);
        state_ = crc;
    }
    void add(std::string_view text) { add(std::as_bytes(std::span(text.data(), text.size()))); }

    std::uint64_t value() const { return ~state_; }

private:
    std::uint64_t state_ = ~std::uint64_t{0};
};

}  // namespace tempera
