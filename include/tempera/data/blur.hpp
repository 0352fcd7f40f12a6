// SPDX-License-Identifier: Apache-2.0
#pragma once
// Gaussian blur: a separable filter of 2 radius + 1 taps, g(x) = exp(-x^2 / (2 sigma^2)) normalized to sum 1. Beyond
// the border the image counts as zero (TensorFlow's SAME), which darkens the margin as the published networks saw it.

#include <algorithm>
#include <cstdint>
#include <vector>

#include <tempera/core/error.hpp>
#include <tempera/core/view.hpp>
#include <tempera/data/exponential.hpp>
#include <tempera/data/lanes.hpp>

namespace tempera {

/// Memory that blurring reuses from image to image.
struct blur_workspace {
    std::vector<float> filter, row, horizontal;

    void reserve(shape image, int radius) {
        filter.reserve(static_cast<std::size_t>(2 * radius + 1));
        row.reserve(static_cast<std::size_t>(std::int64_t{1} * (image.width + 2 * radius) * image.channels));
        horizontal.reserve(static_cast<std::size_t>(image.size()));
    }
};

/// The radius the reference takes for an image of this height: half a tenth of it (11, so 23 taps, at 224).
constexpr int blur_radius(int height) { return height / 10 / 2; }

/// Blurs one image in place. radius >= 0, sigma > 0 in pixels; not clipped.
inline void gaussian_blur(view<float> image, int radius, float sigma, blur_workspace& work) {
    using namespace pixels;
    if (radius < 0 || !(sigma > 0))
        throw error("gaussian_blur", "a radius of at least 0 and sigma above 0", {"radius ", radius, ", sigma ", sigma},
                    "check the blur settings");
    int const taps = 2 * radius + 1, height = image.dims.h, channels = image.dims.c;
    std::int64_t const row_size = std::int64_t{1} * image.dims.w * channels;
    std::int64_t const margin = std::int64_t{1} * radius * channels;
    work.filter.resize(static_cast<std::size_t>(taps));
    work.row.assign(static_cast<std::size_t>(row_size + 2 * margin), 0.0F);
    work.horizontal.resize(static_cast<std::size_t>(row_size * height));

    double sum = 0;
    double const scale = -0.5 / (static_cast<double>(sigma) * static_cast<double>(sigma));
    for (int k = 0; k < taps; ++k) sum += exponential(scale * (k - radius) * (k - radius));
    for (int k = 0; k < taps; ++k)
        work.filter[static_cast<std::size_t>(k)] =
            static_cast<float>(exponential(scale * (k - radius) * (k - radius)) / sum);

    // out[i] = sum over k in [first, last) of filter[k] source(k)[i]
    auto const accumulate = [&](int first, int last, auto const& source, float* out) {
        std::int64_t i = 0;
        for (; i + lane_count <= row_size; i += lane_count) {
            lanes total{};
            for (int k = first; k < last; ++k) total += load(source(k) + i) * broadcast(work.filter[static_cast<std::size_t>(k)]);
            put(out + i, total);
        }
        for (; i < row_size; ++i) {
            float total = 0;
            for (int k = first; k < last; ++k) total += source(k)[i] * work.filter[static_cast<std::size_t>(k)];
            out[i] = total;
        }
    };
    for (int y = 0; y < height; ++y) {
        float* const row = image.data + y * row_size;
        std::copy(row, row + row_size, work.row.begin() + margin);
        accumulate(0, taps, [&](int k) { return work.row.data() + std::int64_t{1} * k * channels; },
                   work.horizontal.data() + y * row_size);
    }
    for (int y = 0; y < height; ++y)
        accumulate(std::max(0, radius - y), std::min(taps, height + radius - y),
                   [&](int k) { return work.horizontal.data() + (y + k - radius) * row_size; },
                   image.data + y * row_size);
}

}  // namespace tempera
