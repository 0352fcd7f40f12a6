// SPDX-License-Identifier: Apache-2.0
#pragma once
// picture: an image inside a page, as a PNG (ISO/IEC 15948) in a data URI; the pixels are stored, not compressed.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tempera/core/error.hpp>
#include <tempera/core/view.hpp>

namespace tempera {

/// Gray (1 channel) or RGB (3) pixels, row by row.
struct picture {
    int height = 0;
    int width = 0;
    int channels = 1;
    std::vector<std::uint8_t> pixels;

    picture() = default;
    picture(int h, int w, int c, std::vector<std::uint8_t> values)
        : height(h), width(w), channels(c), pixels(std::move(values)) {
        if (h < 1 || w < 1 || h > 4096 || w > 4096 || (c != 1 && c != 3) ||
            pixels.size() != static_cast<std::size_t>(h) * static_cast<std::size_t>(w) * static_cast<std::size_t>(c))
            throw error("picture", "1 or 3 channels of 1x1 to 4096x4096 pixels",
                        {h, "x", w, "x", c, " with ", pixels.size(), " values"},
                        "give height, width, channels and as many values");
    }
    /// The first image of a batch of {n,h,w,1 or 3} bytes in host memory.
    explicit picture(view<std::uint8_t const> image)
        : picture(image.dims.h, image.dims.w, image.dims.c,
                  std::vector<std::uint8_t>(image.data, image.data + image.dims.sample().size())) {}
    /// The first image of a batch of floats in [0, 1]; what lies outside is clipped.
    explicit picture(view<float const> image) : picture(image.dims.h, image.dims.w, image.dims.c, bytes_of(image)) {}

private:
    static std::vector<std::uint8_t> bytes_of(view<float const> image) {
        std::vector<std::uint8_t> out(static_cast<std::size_t>(image.dims.sample().size()));
        for (std::size_t i = 0; i < out.size(); ++i) {
            float const value = image.data[i];
            out[i] = static_cast<std::uint8_t>(255 * (value > 0 ? std::min(value, 1.0F) : 0.0F) + 0.5F);
        }
        return out;
    }
};

namespace report_detail {

/// PNG wants every number with its highest byte first.
inline void append_number(std::string& out, std::uint32_t n) {
    for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>((n >> shift) & 0xffU);
}

/// CRC-32 of PNG, annex D.
inline std::uint32_t crc32(std::string_view bytes) {
    static constexpr auto table = [] {
        std::array<std::uint32_t, 256> t{};
        for (std::uint32_t i = 0; i < 256; ++i) {
            std::uint32_t crc = i;
            for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1U) != 0 ? 0xEDB88320U : 0U);
            t[i] = crc;
        }
        return t;
    }();
    std::uint32_t crc = 0xffffffffU;
    for (char const c : bytes) crc = table[(crc ^ static_cast<unsigned char>(c)) & 0xffU] ^ (crc >> 8);
    return ~crc;
}

inline void append_chunk(std::string& out, std::string const& type_and_data) {
    append_number(out, static_cast<std::uint32_t>(type_and_data.size() - 4));
    out += type_and_data;
    append_number(out, crc32(type_and_data));
}

/// The bytes of a PNG file.
inline std::string png(picture const& image) {
    std::size_t const row = static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.channels);
    std::string raw;  // each row starts with its filter: 0, none
    for (std::size_t y = 0; y < static_cast<std::size_t>(image.height); ++y) {
        raw += '\0';
        raw.append(reinterpret_cast<char const*>(image.pixels.data()) + y * row, row);
    }
    std::string stream = "\x78\x01";  // zlib, then stored blocks of up to 65,535 bytes (RFC 1950, RFC 1951)
    std::uint32_t a = 1, b = 0;       // Adler-32
    for (std::size_t begin = 0; begin < raw.size(); begin += 65'535) {
        std::size_t const size = std::min<std::size_t>(raw.size() - begin, 65'535);
        stream += begin + size == raw.size() ? '\1' : '\0';
        for (std::size_t const length : {size, ~size}) {
            stream += static_cast<char>(length & 0xffU);
            stream += static_cast<char>((length >> 8) & 0xffU);
        }
        stream.append(raw, begin, size);
    }
    for (char const c : raw) {
        a = (a + static_cast<unsigned char>(c)) % 65'521U;
        b = (b + a) % 65'521U;
    }
    append_number(stream, (b << 16) | a);

    std::string header = "IHDR";
    append_number(header, static_cast<std::uint32_t>(image.width));
    append_number(header, static_cast<std::uint32_t>(image.height));
    header += '\10';                              // bits per channel
    header += image.channels == 3 ? '\2' : '\0';  // RGB or gray
    header.append(3, '\0');                       // compression, filter, no interlace
    std::string out = "\x89PNG\r\n\x1a\n";
    append_chunk(out, header);
    append_chunk(out, "IDAT" + stream);
    append_chunk(out, "IEND");
    return out;
}

/// Base64 (RFC 4648).
inline std::string base64(std::string_view bytes) {
    constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        std::uint32_t word = 0;
        for (std::size_t k = 0; k < 3; ++k)
            word = word << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0U);
        for (std::size_t k = 0; k < 4; ++k) out += i + k <= bytes.size() ? digits[(word >> (18 - 6 * k)) & 63U] : '=';
    }
    return out;
}

inline std::string data_uri(picture const& image) { return "data:image/png;base64," + base64(png(image)); }

}  // namespace report_detail

}  // namespace tempera
