// SPDX-License-Identifier: Apache-2.0
#pragma once
// Catalogue, optional: augmented views of byte images that lie in the device's memory. The decisions come from the host,
// which draws them (data/distortion.hpp).
//
//   view i = distort(drawn[i].decisions) of images[drawn[i].image]: crop, resize, flip; every color step, clipped to
//            [0, 1]; grayscale, clipped; blur, clipped

#include <array>
#include <cstdint>

namespace tempera {

/// Rows y .. y + height - 1, columns x .. x + width - 1 of an image.
struct crop_box {
    int y = 0, x = 0, height = 0, width = 0;

    friend bool operator==(crop_box const&, crop_box const&) = default;
};

enum class resize_rule : std::uint8_t { half_pixel, legacy };

enum class color_operation : std::uint8_t { brightness, contrast, saturation, hue, brightness_shift };

struct color_step {
    color_operation operation = color_operation::brightness;
    float value = 1;
};

/// The random decisions of one view, drawn first, then carried out without further chance.
struct distortion {
    crop_box crop{};  ///< the whole image where nothing is cropped
    bool flip = false;
    int color_steps = 0;  ///< how many of `colors` there are
    std::array<color_step, 4> colors{};
    bool grayscale = false;
    float sigma = 0;  ///< of the blur; 0: none
    int blur_radius = 0;
};

/// A view to be made: of which image, and how.
struct drawn_view {
    std::int32_t image = 0;
    distortion decisions{};
};

/// Images {source_height, source_width, channels}, views {height, width, channels}.
struct distortion_geometry {
    int views = 0;
    int source_height = 0, source_width = 0, channels = 0;
    int height = 0, width = 0;
    resize_rule rule = resize_rule::half_pixel;
};

/// A device that makes views itself has a class `images`, which keeps byte images in its memory: constructed from the device,
/// a shape and a count; fits(device, shape, count), put(first, images), and (drawn, height, width, rule) -> views.
template <class D>
concept distorts_views = requires {
    typename D::images;
};

}  // namespace tempera
