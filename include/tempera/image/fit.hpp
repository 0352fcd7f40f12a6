// SPDX-License-Identifier: Apache-2.0
#pragma once
// Bringing images of any size to one: the whole image or the middle of it, resampled with antialiasing.

#include <cstdint>
#include <span>

#include <tempera/core/shape.hpp>
#include <tempera/image/raster.hpp>
#include <tempera/image/resample.hpp>

namespace tempera {

enum class image_fit : std::uint8_t {
    cover,    ///< scaled until it covers the size, the middle cut out: no image is distorted
    stretch,  ///< both sides scaled: nothing is cut off
};

/// What a decoder is asked for where the image will be fitted to `size`. A JPEG may be reduced to twice that size, which
/// resampling halves at least: reduced further, images come out sharper than others (30 dB from them where edges are hard;
/// so 43).
inline decode_request reduced_request(shape size) {
    return {.channels = size.channels, .height = 2 * size.height, .width = 2 * size.width};
}

/// The part of a decoded image that becomes an image of `size`; its sides may lie within pixels.
inline image_box fitted_box(raster const& image, shape size, image_fit fit) {
    // Of the file's size: a reduced image's last row and column may lie partly outside.
    double const height = static_cast<double>(image.height) / image.reduction;
    double const width = static_cast<double>(image.width) / image.reduction;
    double const ratio = static_cast<double>(size.width) / size.height;
    if (fit == image_fit::stretch || width / height == ratio) return {0, 0, height, width};
    if (width / height > ratio) return {0, (width - ratio * height) * 0.5, height, ratio * height};
    return {(height - width / ratio) * 0.5, 0, width / ratio, width};
}

/// `image` as an image of `size` (of as many channels) into `out`, of size.size() bytes.
inline void fit_image(raster const& image, shape size, image_fit fit, std::span<std::uint8_t> out,
                      resample_workspace& work) {
    resample(image, fitted_box(image, size, fit), size.height, size.width, out, work);
}

}  // namespace tempera
