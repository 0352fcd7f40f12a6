// SPDX-License-Identifier: Apache-2.0
#pragma once
// Colour operations on one image in [0, 1], in place and unclipped. x: a value, m: the mean of its channel.
//
//   brightness (v2)  f x                             brightness (v1)  x + d
//   contrast         (x - m) f + m                   grayscale        0.2989 r + 0.587 g + 0.114 b in each channel
//   saturation       S of HSV times f, at most 1     hue              H of HSV plus d, in turns of the circle
//
// Saturation, hue and grayscale are defined for three channels; an image of one channel is gray and they leave it.

#include <cmath>
#include <cstdint>
#include <string>

#include <tempera/core/error.hpp>
#include <tempera/core/view.hpp>
#include <tempera/data/lanes.hpp>

namespace tempera {

enum class color_operation : std::uint8_t { brightness, contrast, saturation, hue, brightness_shift };

inline void clip(view<float> image) {
    pixels::transform(image.data, image.data, image.size(), [](auto x) { return pixels::clipped(x); });
}

inline void adjust_brightness(view<float> image, float factor) {
    pixels::transform(image.data, image.data, image.size(), [factor](auto x) { return x * factor; });
}

inline void shift_brightness(view<float> image, float delta) {
    pixels::transform(image.data, image.data, image.size(), [delta](auto x) { return x + delta; });
}

namespace pixels {

/// The mean of every `channels`-th element from `first` on. Rows are summed in float, the rows in double.
inline float channel_mean(view<float const> image, int channel) {
    double total = 0;
    std::int64_t const row_size = std::int64_t{1} * image.dims.w * image.dims.c;
    for (int y = 0; y < image.dims.h; ++y) {
        float const* row = image.data + y * row_size;
        float sum = 0;
        if (image.dims.c == 1) {
            lanes partial{};
            std::int64_t i = 0;
            for (; i + lane_count <= row_size; i += lane_count) partial += load(row + i);
            sum = (partial[0] + partial[1]) + (partial[2] + partial[3]);
            for (; i < row_size; ++i) sum += row[i];
        } else {
            for (std::int64_t i = channel; i < row_size; i += image.dims.c) sum += row[i];
        }
        total += static_cast<double>(sum);
    }
    return static_cast<float>(total / (static_cast<double>(image.dims.h) * image.dims.w));
}

/// Whether an operation on colours applies: yes for three channels, no for one.
inline bool has_colors(view<float const> image, char const* operation) {
    if (image.dims.c != 1 && image.dims.c != 3)
        throw error(operation, "1 or 3 channels", std::to_string(image.dims.c), "switch it off for such images");
    return image.dims.c == 3;
}

}  // namespace pixels

inline void adjust_contrast(view<float> image, float factor) {
    int const channels = image.dims.c;
    for (int c = 0; c < channels; ++c) {
        float const mean = pixels::channel_mean(image, c);
        auto const adjusted = [mean, factor](auto x) { return (x - mean) * factor + mean; };
        if (channels == 1) pixels::transform(image.data, image.data, image.size(), adjusted);
        else
            for (std::int64_t i = c; i < image.size(); i += channels) image.data[i] = adjusted(image.data[i]);
    }
}

/// Scaling S moves every channel along its line to the largest one: x -> v - (v - x) k, where k = factor, but not
/// so large that the smallest channel passes zero.
inline void adjust_saturation(view<float> image, float factor) {
    if (!pixels::has_colors(image, "saturation")) return;
    for (float *p = image.data, *end = p + image.size(); p != end; p += 3) {
        float const largest = pixels::larger(p[0], pixels::larger(p[1], p[2]));
        float const range = largest - pixels::smaller(p[0], pixels::smaller(p[1], p[2]));
        float const k = largest <= 0 ? 0.0F : factor * range > largest ? largest / range : factor;
        for (int c = 0; c < 3; ++c) p[c] = largest - (largest - p[c]) * k;
    }
}

/// With the hue h in sextants, channel n of (red 5, green 3, blue 1) is v - range clip(min(t, 4 - t)),
/// t = (n + h) mod 6.
inline void shift_hue(view<float> image, float turns) {
    if (!pixels::has_colors(image, "hue")) return;
    float const shift = 6.0F * (turns - std::floor(turns));
    auto const wrapped = [](float h) { return h >= 6.0F ? h - 6.0F : h; };
    for (float *p = image.data, *end = p + image.size(); p != end; p += 3) {
        float const r = p[0], g = p[1], b = p[2];
        float const largest = pixels::larger(r, pixels::larger(g, b));
        float const range = largest - pixels::smaller(r, pixels::smaller(g, b));
        if (range <= 0) continue;
        float h = largest == r ? (g - b) / range : largest == g ? 2.0F + (b - r) / range : 4.0F + (r - g) / range;
        h = wrapped((h < 0 ? h + 6.0F : h) + shift);
        auto const channel = [&](float n) {
            float const t = wrapped(n + h);
            return largest - range * pixels::clipped(pixels::smaller(t, 4.0F - t));
        };
        p[0] = channel(5.0F);
        p[1] = channel(3.0F);
        p[2] = channel(1.0F);
    }
}

inline void to_grayscale(view<float> image) {
    if (!pixels::has_colors(image, "grayscale")) return;
    for (float *p = image.data, *end = p + image.size(); p != end; p += 3)
        p[0] = p[1] = p[2] = 0.2989F * p[0] + 0.587F * p[1] + 0.114F * p[2];
}

/// One operation by name; `value` is its factor or delta.
inline void adjust(view<float> image, color_operation operation, float value) {
    switch (operation) {
        case color_operation::brightness: adjust_brightness(image, value); break;
        case color_operation::contrast: adjust_contrast(image, value); break;
        case color_operation::saturation: adjust_saturation(image, value); break;
        case color_operation::hue: shift_hue(image, value); break;
        case color_operation::brightness_shift: shift_brightness(image, value); break;
    }
}

/// Mirrors left and right.
inline void flip_horizontally(view<float> image) {
    int const width = image.dims.w, channels = image.dims.c;
    for (int y = 0; y < image.dims.h; ++y) {
        float* row = image.data + std::int64_t{1} * y * width * channels;
        for (int left = 0, right = width - 1; left < right; ++left, --right)
            for (int c = 0; c < channels; ++c) {
                float const kept = row[left * channels + c];
                row[left * channels + c] = row[right * channels + c];
                row[right * channels + c] = kept;
            }
    }
}

}  // namespace tempera
