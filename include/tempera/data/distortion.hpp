// SPDX-License-Identifier: Apache-2.0
#pragma once
// Drawing the decisions of a view, and carrying them out. So a view can be written down, repeated, made elsewhere (on a
// GPU), and compared with the reference's.

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include <tempera/core/philox.hpp>
#include <tempera/core/view.hpp>
#include <tempera/data/augmentation.hpp>
#include <tempera/data/blur.hpp>
#include <tempera/data/color.hpp>
#include <tempera/data/crop.hpp>
#include <tempera/data/resize.hpp>
#include <tempera/device/distortion.hpp>

namespace tempera {

/// Sigma that the images of one view of a batch share; used where blur.per_batch is set.
inline float draw_batch_sigma(augmentation const& a, philox_stream stream) {
    return stream.uniform(a.blur.sigma_min, a.blur.sigma_max);
}

/// Decides for one view of an image of shape `source`.
inline distortion draw_distortion(augmentation const& a, shape source, philox_stream stream, float batch_sigma = 1) {
    shape const out = augmented_shape(a, source);
    distortion d;
    d.crop = draw_crop(a.crop, source.height, source.width,
                       static_cast<float>(out.width) / static_cast<float>(out.height), stream);
    d.flip = stream.uniform() < a.flip;
    jitter_settings const& j = a.jitter;
    if (stream.uniform() < j.probability) {
        std::array<int, 4> order{0, 1, 2, 3};
        if (j.random_order)
            for (std::uint32_t i = 3; i > 0; --i) std::swap(order[i], order[stream.below(i + 1)]);
        auto const add = [&d](color_operation operation, float value) {
            d.colors[static_cast<std::size_t>(d.color_steps++)] = {operation, value};
        };
        for (int const which : order) {
            if (which == 0 && j.brightness > 0) {
                if (j.additive) add(color_operation::brightness_shift, stream.uniform(-j.brightness, j.brightness));
                else
                    add(color_operation::brightness,
                        stream.uniform(j.brightness < 1 ? 1 - j.brightness : 0.0F, 1 + j.brightness));
            }
            if (which == 1 && j.contrast > 0)
                add(color_operation::contrast, stream.uniform(1 - j.contrast, 1 + j.contrast));
            if (which == 2 && j.saturation > 0)
                add(color_operation::saturation, stream.uniform(1 - j.saturation, 1 + j.saturation));
            if (which == 3 && j.hue > 0) add(color_operation::hue, stream.uniform(-j.hue, j.hue));
        }
    }
    d.grayscale = stream.uniform() < a.grayscale;
    if (stream.uniform() < a.blur.probability) {
        d.sigma = a.blur.per_batch ? batch_sigma : stream.uniform(a.blur.sigma_min, a.blur.sigma_max);
        d.blur_radius = a.blur.radius >= 0 ? a.blur.radius : blur_radius(out.height);
    }
    return d;
}

/// Memory that distorting reuses from image to image: one per thread.
struct distortion_workspace {
    std::vector<float> crop;
    resize_workspace resize;
    blur_workspace blur;

    /// Takes at once all the memory that images of shape `source` will need.
    void reserve(augmentation const& a, shape source) {
        shape const out = augmented_shape(a, source);
        crop.reserve(static_cast<std::size_t>(source.size()));
        resize.reserve(source, out);
        if (a.blur.probability > 0) blur.reserve(out, a.blur.radius >= 0 ? a.blur.radius : blur_radius(out.height));
    }
};

/// Carries out the decisions: image {1, h, w, c} of bytes to out {1, h', w', c} of floats in [0, 1]. Resizes where
/// the crop is not of the size of `out`.
inline void distort(distortion const& d, resize_rule rule, view<std::uint8_t const> image, view<float> out,
                    distortion_workspace& work) {
    constexpr float unit = 1.0F / 255.0F;
    int const channels = image.dims.c;
    bool const resized = d.crop.height != out.dims.h || d.crop.width != out.dims.w;
    std::int64_t const row_size = std::int64_t{1} * d.crop.width * channels;
    if (resized) work.crop.resize(static_cast<std::size_t>(row_size * d.crop.height));
    float* const target = resized ? work.crop.data() : out.data;
    for (int y = 0; y < d.crop.height; ++y)
        pixels::bytes_to_floats(image.data + (std::int64_t{1} * (d.crop.y + y) * image.dims.w + d.crop.x) * channels,
                                target + y * row_size, row_size, unit);
    if (resized)
        resize_bicubic({work.crop.data(), {1, d.crop.height, d.crop.width, channels}}, out, rule, d.flip, work.resize);
    else if (d.flip) flip_horizontally(out);

    for (int i = 0; i < d.color_steps; ++i) {
        adjust(out, d.colors[static_cast<std::size_t>(i)].operation, d.colors[static_cast<std::size_t>(i)].value);
        clip(out);
    }
    if (d.grayscale) to_grayscale(out);
    clip(out);
    if (d.sigma > 0) {
        gaussian_blur(out, d.blur_radius, d.sigma, work.blur);
        clip(out);
    }
}

/// Draws and distorts: one augmented view.
inline void augment(augmentation const& a, view<std::uint8_t const> image, view<float> out, philox_stream stream,
                    distortion_workspace& work, float batch_sigma = 1) {
    distort(draw_distortion(a, image.dims.sample(), stream, batch_sigma), a.resize, image, out, work);
}

}  // namespace tempera
