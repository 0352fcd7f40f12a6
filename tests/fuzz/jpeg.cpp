// SPDX-License-Identifier: Apache-2.0
// Any bytes as a JPEG image: refused with an error, or decoded to as many pixels as its size says.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include <tempera/image/jpeg.hpp>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    for (int const channels : {1, 3}) {
        tempera::raster out;
        try {
            tempera::decode_jpeg(std::span(data, size), "input", {.channels = channels, .most_pixels = 1 << 18}, out);
            if (out.size.channels != channels || out.size.height != out.height || out.size.width != out.width)
                std::abort();
            if (out.pixels.size() != static_cast<std::size_t>(out.size.size())) std::abort();
        } catch (tempera::error const&) {
        }
    }
    return 0;
}
