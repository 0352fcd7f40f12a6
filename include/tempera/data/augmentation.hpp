// SPDX-License-Identifier: Apache-2.0
#pragma once
// augmentation: what is done at random to an image, in the order of the reference (SimCLR, appendix A; SimCLRv2,
// section 2): crop and resize, flip, color jitter, grayscale, blur. And the settings that the stages use.

#include <cstdint>

#include <tempera/core/error.hpp>
#include <tempera/core/shape.hpp>
#include <tempera/data/crop.hpp>
#include <tempera/data/resize.hpp>

namespace tempera {

/// Brightness, contrast, saturation and hue, in random order, each clipped to [0, 1]. A zero switches one off.
struct jitter_settings {
    float probability = 0;  ///< of the whole of it
    float brightness = 0;   ///< factor from max(0, 1 - b) to 1 + b, or with `additive` a shift from -b to b
    float contrast = 0;     ///< factor from 1 - c to 1 + c about the mean of each channel
    float saturation = 0;   ///< factor from 1 - s to 1 + s; images of one channel stay as they are
    float hue = 0;          ///< shift from -h to h, in turns; images of one channel stay as they are
    bool additive = false;  ///< brightness of SimCLR (v1)
    bool random_order = true;
};

struct blur_settings {
    float probability = 0;  ///< of each image
    float sigma_min = 0.1F, sigma_max = 2.0F;
    int radius = -1;         ///< of the filter; -1: half a tenth of the image's height
    bool per_batch = false;  ///< one sigma for a view of a batch, as the reference draws it, instead of one an image
};

/// The default does nothing but turn bytes into floats from 0 to 1.
struct augmentation {
    int height = 0, width = 0;  ///< of the result; 0: as the source
    crop_settings crop{};
    resize_rule resize = resize_rule::half_pixel;
    float flip = 0;  ///< probability
    jitter_settings jitter{};
    float grayscale = 0;  ///< probability; images of one channel stay as they are
    blur_settings blur{};
};

/// Pretraining. strength: of the color jitter, 1 for ImageNet, 0.5 for CIFAR; blur: its probability, 0.5 for ImageNet,
/// 0 for small images.
struct simclr_augmentation {
    int height = 0, width = 0;
    float strength = 1.0F;
    float blur = 0.5F;
    float area_min = 0.08F;
    crop_rule crop = crop_rule::tensorflow;
    resize_rule resize = resize_rule::half_pixel;

    constexpr operator augmentation() const {
        return {.height = height,
                .width = width,
                .crop = {.rule = crop, .area_min = area_min},
                .resize = resize,
                .flip = 0.5F,
                .jitter = {.probability = 0.8F,
                           .brightness = 0.8F * strength,
                           .contrast = 0.8F * strength,
                           .saturation = 0.8F * strength,
                           .hue = 0.2F * strength},
                .grayscale = 0.2F,
                .blur = {.probability = blur}};
    }
};

/// Fine-tuning, linear evaluation, distillation and supervised training.
struct crop_and_flip {
    int height = 0, width = 0;
    float area_min = 0.08F;
    crop_rule crop = crop_rule::tensorflow;
    resize_rule resize = resize_rule::half_pixel;

    constexpr operator augmentation() const {
        return {.height = height,
                .width = width,
                .crop = {.rule = crop, .area_min = area_min},
                .resize = resize,
                .flip = 0.5F};
    }
};

/// Evaluation of images that are larger than the network's input. Up to 32 x 32 the reference takes them as they are:
/// the default augmentation.
struct center_crop {
    int height = 0, width = 0;
    float proportion = 0.875F;
    resize_rule resize = resize_rule::half_pixel;

    constexpr operator augmentation() const {
        return {.height = height,
                .width = width,
                .crop = {.rule = crop_rule::center, .proportion = proportion},
                .resize = resize};
    }
};

/// Whether two views of an image can differ.
constexpr bool distorts(augmentation const& a) {
    bool const crops = a.crop.rule != crop_rule::none && a.crop.rule != crop_rule::center;
    return crops || a.flip > 0 || a.jitter.probability > 0 || a.grayscale > 0 || a.blur.probability > 0;
}

/// The shape of the result for a source image.
constexpr shape augmented_shape(augmentation const& a, shape source) {
    return {a.height > 0 ? a.height : source.height, a.width > 0 ? a.width : source.width, source.channels};
}

/// Throws error when a setting is out of its range or does not fit images of `source`.
inline void check(augmentation const& a, shape source) {
    auto const require = [](bool good, char const* what, char const* expected, phrase const& found) {
        if (!good) throw error({"augmentation: ", what}, expected, found, "correct this setting");
    };
    auto const chance = [&](float p, char const* what) {
        require(p >= 0 && p <= 1, what, "a probability from 0 to 1", p);
    };
    auto const strength = [&](float s, float most, char const* what, char const* expected) {
        require(s >= 0 && s <= most, what, expected, s);
    };
    require(a.height >= 0 && a.width >= 0 && a.height <= 1 << 15 && a.width <= 1 << 15, "size", "sides from 0 to 32768",
            {a.height, " x ", a.width});
    crop_settings const& c = a.crop;
    require(c.area_min > 0 && c.area_min <= c.area_max && c.area_max <= 1, "crop area", "0 < area_min <= area_max <= 1",
            {c.area_min, " to ", c.area_max});
    require(c.aspect_min > 0 && c.aspect_min <= c.aspect_max, "crop aspect", "0 < aspect_min <= aspect_max",
            {c.aspect_min, " to ", c.aspect_max});
    require(c.min_object_covered >= 0 && c.min_object_covered <= 1, "min_object_covered", "a fraction from 0 to 1",
            c.min_object_covered);
    require(c.attempts >= 1, "attempts", "at least 1", c.attempts);
    require(c.proportion > 0 && c.proportion <= 1, "proportion", "a fraction above 0 and at most 1", c.proportion);
    if (c.rule == crop_rule::none && !(c == crop_settings{}))
        throw error("augmentation: crop", "a .rule beside the other settings of .crop",
                    "crop_rule::none, which crops nothing", "name the rule, or set .crop = {} to crop nothing");
    chance(a.flip, "flip");
    chance(a.jitter.probability, "jitter");
    chance(a.grayscale, "grayscale");
    chance(a.blur.probability, "blur");
    strength(a.jitter.brightness, 10, "brightness", "0 to 10");
    strength(a.jitter.contrast, 1, "contrast", "0 to 1");
    strength(a.jitter.saturation, 1, "saturation", "0 to 1");
    strength(a.jitter.hue, 0.5F, "hue", "0 to 0.5");
    require(a.blur.sigma_min > 0 && a.blur.sigma_min <= a.blur.sigma_max, "blur sigma", "0 < sigma_min <= sigma_max",
            {a.blur.sigma_min, " to ", a.blur.sigma_max});
    require(a.blur.radius >= -1 && a.blur.radius <= 1 << 10, "blur radius", "-1 to 1024", a.blur.radius);
    bool const colors = a.grayscale > 0 || (a.jitter.probability > 0 && (a.jitter.saturation > 0 || a.jitter.hue > 0));
    require(!colors || source.channels == 1 || source.channels == 3, "saturation, hue and grayscale",
            "images of 1 or 3 channels", {source.channels, " channels"});
}

}  // namespace tempera
