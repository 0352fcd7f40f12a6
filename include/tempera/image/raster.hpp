// SPDX-License-Identifier: Apache-2.0
#pragma once
// raster: an image as a decoder gives it, 8-bit gray or RGB of any size, and what decoders are asked for.

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <tempera/core/error.hpp>
#include <tempera/core/shape.hpp>

namespace tempera {

/// Rows without gaps, top first; {height, width, 1} gray or {height, width, 3} red, green, blue.
struct raster {
    shape size{0, 0, 0};
    std::vector<std::uint8_t> pixels;
    /// The file's image is of this height and width; `size` is smaller by `reduction` (rounded up) where a JPEG was reduced.
    int height = 0, width = 0;
    int reduction = 1;
};

struct decode_request {
    int channels = 3;  ///< 1: gray, 3: RGB
    /// A JPEG may be decoded at a half, a quarter or an eighth of its size, at least of this one; 0: at its own.
    int height = 0, width = 0;
    /// Larger images are refused before memory is taken: 2^29 bytes of RGB, Pillow's limit too.
    std::int64_t most_pixels = 178'956'970;
};

namespace raster_detail {

/// Checks what a file claims, and notes it.
inline void begin(raster& out, std::int64_t height, std::int64_t width, decode_request const& request,
                  std::string const& where) {
    if (request.channels != 1 && request.channels != 3)
        throw error(where, "1 or 3 channels to be asked for", request.channels, "take 1 for gray, 3 for colour");
    if (height < 1 || width < 1 || height > request.most_pixels / width)
        throw error(where, {"an image of 1 to ", request.most_pixels, " pixels"}, {height, " x ", width},
                    "scale it down by another program, or leave the file out");
    out.height = static_cast<int>(height);
    out.width = static_cast<int>(width);
    out.reduction = 1;
}

inline void resize(raster& out, std::int64_t height, std::int64_t width, int channels) {
    out.size = {static_cast<int>(height), static_cast<int>(width), channels};
    out.pixels.resize(static_cast<std::size_t>(out.size.size()));
}

/// RGB to gray in place, rounded as Pillow does: ITU-R 601-2, (299 R + 587 G + 114 B) / 1000 in units of 2^-16.
inline void make_gray(raster& out) {
    std::uint8_t const* from = out.pixels.data();
    std::uint8_t* to = out.pixels.data();
    for (std::int64_t i = 0; i < out.size.positions(); ++i, from += 3)
        *to++ = static_cast<std::uint8_t>((from[0] * 19595U + from[1] * 38470U + from[2] * 7471U + 0x8000U) >> 16U);
    resize(out, out.size.height, out.size.width, 1);
}

}  // namespace raster_detail

}  // namespace tempera
