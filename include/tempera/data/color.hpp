// SPDX-License-Identifier: Apache-2.0
#pragma once
// Color operations on one image in [0, 1], in place and unclipped. x: a value, m: the mean of its channel.
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
#include <tempera/device/distortion.hpp>

namespace tempera {

/// Every value to the nearest one in [0, 1].
inline void clip(view<float> image) {
    pixels::transform(image.data, image.data, image.size(), [](auto x) { return pixels::clipped(x); });
}

/// SimCLRv2's brightness: f x.
inline void adjust_brightness(view<float> image, float factor) {
    pixels::transform(image.data, image.data, image.size(), [factor](auto x) { return x * factor; });
}

/// SimCLR's brightness: x + delta.
inline void shift_brightness(view<float> image, float delta) {
    pixels::transform(image.data, image.data, image.size(), [delta](auto x) { return x + delta; });
}

namespace pixels {

/// Whether an operation on colors applies: yes for three channels, no for one.
inline bool has_colors(view<float const> image, char const* operation) {
    if (image.dims.c != 1 && image.dims.c != 3)
        throw error(operation, "1 or 3 channels", image.dims.c, "switch it off for such images");
    return image.dims.c == 3;
}

inline float sum(lanes v) { return (v[0] + v[2]) + (v[1] + v[3]); }

/// Contrast of one channel among any number. The mean sums rows in float and their sums in double.
inline void adjust_contrast_of_channel(view<float> image, int channel, float factor) {
    int const channels = image.dims.c;
    std::int64_t const row_size = std::int64_t{1} * image.dims.w * channels;
    double total = 0;
    for (int y = 0; y < image.dims.h; ++y) {
        float row = 0;
        for (std::int64_t i = channel; i < row_size; i += channels) row += image.data[y * row_size + i];
        total += static_cast<double>(row);
    }
    auto const mean = static_cast<float>(total / static_cast<double>(image.dims.sample().positions()));
    for (std::int64_t i = channel; i < image.size(); i += channels)
        image.data[i] = (image.data[i] - mean) * factor + mean;
}

}  // namespace pixels

inline void adjust_contrast(view<float> image, float factor) {
    using namespace pixels;
    std::int64_t const row_size = std::int64_t{1} * image.dims.w * image.dims.c;
    auto const positions = static_cast<double>(image.dims.sample().positions());
    if (image.dims.c == 1) {
        double total = 0;
        for (int y = 0; y < image.dims.h; ++y) {
            lanes partial{};
            float rest = 0;
            std::int64_t i = 0;
            float const* row = image.data + y * row_size;
            for (; i + lane_count <= row_size; i += lane_count) partial += load(row + i);
            for (; i < row_size; ++i) rest += row[i];
            total += static_cast<double>(sum(partial) + rest);
        }
        auto const mean = static_cast<float>(total / positions);
        transform(image.data, image.data, image.size(), [=](auto x) { return (x - mean) * factor + mean; });
    } else if (image.dims.c == 3) {
        double totals[3]{};
        for (int y = 0; y < image.dims.h; ++y) {
            struct partial_sums {
                lanes four[3]{};
                float one[3]{};
                void operator()(lanes r, lanes g, lanes b) { four[0] += r, four[1] += g, four[2] += b; }
                void operator()(float r, float g, float b) { one[0] += r, one[1] += g, one[2] += b; }
            } partial;
            for_each_rgb(image.data + y * row_size, row_size, [&](auto& r, auto& g, auto& b) { partial(r, g, b); });
            for (int c = 0; c < 3; ++c) totals[c] += static_cast<double>(sum(partial.four[c]) + partial.one[c]);
        }
        float const red = static_cast<float>(totals[0] / positions), green = static_cast<float>(totals[1] / positions),
                    blue = static_cast<float>(totals[2] / positions);
        for_each_rgb(image.data, image.size(), [=](auto& r, auto& g, auto& b) {
            r = (r - red) * factor + red;
            g = (g - green) * factor + green;
            b = (b - blue) * factor + blue;
        });
    } else {
        for (int c = 0; c < image.dims.c; ++c) adjust_contrast_of_channel(image, c, factor);
    }
}

/// Scaling S moves every channel along its line to the largest one: x -> v - (v - x) k, where k = factor, but not
/// so large that the smallest channel passes zero.
inline void adjust_saturation(view<float> image, float factor) {
    using namespace pixels;
    if (!has_colors(image, "saturation")) return;
    for_each_rgb(image.data, image.size(), [factor]<class V>(V& r, V& g, V& b) {
        V const largest = larger(r, larger(g, b));
        V const range = largest - smaller(r, smaller(g, b));
        V const bounded = factor * range > largest ? largest / range : V{} + factor;
        V const k = largest <= V{} ? V{} : bounded;
        r = largest - (largest - r) * k;
        g = largest - (largest - g) * k;
        b = largest - (largest - b) * k;
    });
}

/// With the hue h in sextants, channel n of (red 5, green 3, blue 1) is v - range clip(min(t, 4 - t)),
/// t = (n + h) mod 6.
inline void shift_hue(view<float> image, float turns) {
    using namespace pixels;
    if (!has_colors(image, "hue")) return;
    float const shift = 6.0F * (turns - std::floor(turns));
    for_each_rgb(image.data, image.size(), [shift]<class V>(V& r, V& g, V& b) {
        auto const wrapped = [](V h) -> V { return h >= V{} + 6.0F ? h - 6.0F : h; };
        V const largest = larger(r, larger(g, b));
        V const range = largest - smaller(r, smaller(g, b));
        V const divisor = range > V{} ? range : V{} + 1.0F;
        V const from_green = (b - r) / divisor + 2.0F, from_blue = (r - g) / divisor + 4.0F;
        V const beyond_red = largest == g ? from_green : from_blue;
        V h = largest == r ? (g - b) / divisor : beyond_red;
        h = wrapped((h < V{} ? h + 6.0F : h) + shift);
        auto const channel = [&](float n) -> V {
            V const t = wrapped(h + n);
            return largest - range * clipped(smaller(t, 4.0F - t));
        };
        r = channel(5.0F);
        g = channel(3.0F);
        b = channel(1.0F);
    });
}

inline void to_grayscale(view<float> image) {
    using namespace pixels;
    if (!has_colors(image, "grayscale")) return;
    for_each_rgb(image.data, image.size(), [](auto& r, auto& g, auto& b) {
        r = 0.2989F * r + 0.587F * g + 0.114F * b;
        g = r;
        b = r;
    });
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
