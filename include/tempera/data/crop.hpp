// SPDX-License-Identifier: Apache-2.0
#pragma once
// Where to crop: TensorFlow's distorted bounding box (the paper's), torchvision's RandomResizedCrop, the central crop
// of evaluation.
//
//   rule         crop height and width                                       position
//   tensorflow   aspect uniform; height uniform among the integers that      uniform, the last one excluded
//                the areas allow; width = round(height aspect)
//   torchvision  area uniform, log aspect uniform; both sides rounded        uniform
//   center       `proportion` of the side that is cut less, with the         the middle, odd rests one pixel
//                aspect of the output                                        down and right

#include <algorithm>
#include <cmath>
#include <cstdint>

#include <tempera/core/philox.hpp>
#include <tempera/data/exponential.hpp>
#include <tempera/device/distortion.hpp>

namespace tempera {

enum class crop_rule : std::uint8_t { none, tensorflow, torchvision, center };

struct crop_settings {
    crop_rule rule = crop_rule::none;         ///< to be set with the others: none takes the whole image
    float area_min = 0.08F, area_max = 1.0F;  ///< fractions of the image's area
    /// width / height; the tensorflow rule multiplies both by the aspect of the output.
    float aspect_min = 3.0F / 4.0F, aspect_max = 4.0F / 3.0F;
    float min_object_covered = 0.1F;  ///< tensorflow: a crop covers at least this fraction of the image
    int attempts = 100;               ///< tensorflow: then the whole image; torchvision: then a central crop
    float proportion = 0.875F;        ///< center: fraction of the side that is cut less

    friend constexpr bool operator==(crop_settings const&, crop_settings const&) = default;
};

/// Draws like tf.image.sample_distorted_bounding_box with the whole image as the one object.
inline crop_box draw_crop_tensorflow(crop_settings const& s, int height, int width, float output_aspect,
                                     philox_stream& stream) {
    auto const round = [](float x) { return static_cast<int>(std::lrint(x)); };
    float const whole = static_cast<float>(height) * static_cast<float>(width);
    float const least = s.area_min * whole, most = s.area_max * whole;
    for (int attempt = 0; attempt < s.attempts; ++attempt) {
        float const aspect = stream.uniform(s.aspect_min * output_aspect, s.aspect_max * output_aspect);
        auto const width_of = [&](int h) { return round(static_cast<float>(h) * aspect); };

        // Heights whose areas lie in the range, cut to those that fit into the image.
        int low = round(std::sqrt(least / aspect));
        int high = round(std::sqrt(most / aspect));
        if (width_of(high) > width) {
            high = static_cast<int>((static_cast<double>(width) + 0.5 - 1e-7) / static_cast<double>(aspect));
            if (width_of(high) > width) --high;
        }
        high = std::min(high, height);
        low = std::min(low, high);
        crop_box box;
        box.height =
            low < high ? low + static_cast<int>(stream.below(static_cast<std::uint32_t>(high - low + 1))) : low;
        box.width = width_of(box.height);

        // Rounding may have left the range: one row more, or one less, is tried before the draw is given up.
        auto const area = [&] { return static_cast<float>(box.height) * static_cast<float>(box.width); };
        if (area() < least) box.width = width_of(++box.height);
        if (area() > most) box.width = width_of(--box.height);
        if (area() < least || area() > most || box.width > width || box.height > height || box.width < 1 ||
            box.height < 1)
            continue;
        if (box.height < height)
            box.y = static_cast<int>(stream.below(static_cast<std::uint32_t>(height - box.height)));
        if (box.width < width) box.x = static_cast<int>(stream.below(static_cast<std::uint32_t>(width - box.width)));
        if (area() / whole >= s.min_object_covered) return box;
    }
    return {0, 0, height, width};
}

/// Draws like torchvision.transforms.RandomResizedCrop, whose attempts are 10.
inline crop_box draw_crop_torchvision(crop_settings const& s, int height, int width, philox_stream& stream) {
    double const whole = static_cast<double>(height) * width;
    double const log_range = pixels::logarithm(static_cast<double>(s.aspect_max) / static_cast<double>(s.aspect_min));
    for (int attempt = 0; attempt < s.attempts; ++attempt) {
        double const area = whole * static_cast<double>(stream.uniform(s.area_min, s.area_max));
        double const aspect =
            static_cast<double>(s.aspect_min) * pixels::exponential(log_range * static_cast<double>(stream.uniform()));
        crop_box box;
        box.width = static_cast<int>(std::lrint(std::sqrt(area * aspect)));
        box.height = static_cast<int>(std::lrint(std::sqrt(area / aspect)));
        if (box.width < 1 || box.height < 1 || box.width > width || box.height > height) continue;
        box.y = static_cast<int>(stream.below(static_cast<std::uint32_t>(height - box.height + 1)));
        box.x = static_cast<int>(stream.below(static_cast<std::uint32_t>(width - box.width + 1)));
        return box;
    }
    // The largest central crop whose aspect is in the range.
    crop_box box{0, 0, height, width};
    float const aspect = static_cast<float>(width) / static_cast<float>(height);
    if (aspect < s.aspect_min)
        box.height = std::min(height, static_cast<int>(std::lrint(static_cast<float>(width) / s.aspect_min)));
    else if (aspect > s.aspect_max)
        box.width = std::min(width, static_cast<int>(std::lrint(static_cast<float>(height) * s.aspect_max)));
    box.y = (height - box.height) / 2;
    box.x = (width - box.width) / 2;
    return box;
}

/// The central crop of the reference's evaluation.
inline crop_box center_box(int height, int width, float output_aspect, float proportion) {
    auto const h = static_cast<float>(height), w = static_cast<float>(width);
    auto const round = [](float x) { return std::max(1, static_cast<int>(std::lrint(x))); };
    crop_box box;
    if (output_aspect > w / h) {
        box.height = round(proportion / output_aspect * w);
        box.width = round(proportion * w);
    } else {
        box.height = round(proportion * h);
        box.width = round(proportion * output_aspect * h);
    }
    box.y = (height - box.height + 1) / 2;
    box.x = (width - box.width + 1) / 2;
    return box;
}

/// The box of the rule, for an output of width / height `output_aspect`.
inline crop_box draw_crop(crop_settings const& s, int height, int width, float output_aspect, philox_stream& stream) {
    switch (s.rule) {
        case crop_rule::tensorflow: return draw_crop_tensorflow(s, height, width, output_aspect, stream);
        case crop_rule::torchvision: return draw_crop_torchvision(s, height, width, stream);
        case crop_rule::center: return center_box(height, width, output_aspect, s.proportion);
        case crop_rule::none: break;
    }
    return {0, 0, height, width};
}

}  // namespace tempera
