// SPDX-License-Identifier: Apache-2.0
#pragma once
// Decoding JPEG or PNG, whichever the bytes are: file names do not always tell the truth (one .JPEG of ImageNet is a PNG).

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <tempera/core/error.hpp>
#include <tempera/image/jpeg.hpp>
#include <tempera/image/png.hpp>
#include <tempera/image/raster.hpp>

namespace tempera {

/// Decodes the image in `bytes` into `out`, as decode_jpeg and decode_png do. Throws error for other kinds of file too.
inline void decode_image(std::span<std::uint8_t const> bytes, std::string const& where, decode_request const& request,
                         raster& out) {
    auto const begins = [&](std::string_view with) {
        return bytes.size() >= with.size() &&
               std::equal(with.begin(), with.end(), bytes.begin(),
                          [](char a, std::uint8_t b) { return static_cast<std::uint8_t>(a) == b; });
    };
    if (begins("\xff\xd8\xff")) return decode_jpeg(bytes, where, request, out);
    if (begins("\x89PNG\r\n\x1a\n")) return decode_png(bytes, where, request, out);
    char const* const found = bytes.empty()                           ? "an empty file"
                              : begins("GIF8")                        ? "a GIF image"
                              : begins("RIFF")                        ? "a RIFF file (WebP)"
                              : begins("BM")                          ? "a BMP image"
                              : begins("II*") || begins({"MM\0*", 4}) ? "a TIFF image"
                                                                      : "another kind of file";
    throw error(where, "a JPEG or PNG image", found, "convert the file, or leave it out");
}

}  // namespace tempera
