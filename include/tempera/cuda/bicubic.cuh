// SPDX-License-Identifier: Apache-2.0
#pragma once
// Bicubic resizing of crops of byte images (data/resize.hpp), with both conventions of where positions lie: weights of each
// output row and column first, then a pixel out of 16.

#include <cmath>
#include <cstdint>

#include <tempera/cuda/each.cuh>
#include <tempera/cuda/launch.hpp>

namespace tempera::cuda_kernels {

/// An output position as a weighted sum of four source positions, first .. first + 3.
struct bicubic_taps {
    int first;
    float weight[4];
};
static_assert(sizeof(bicubic_taps) == 5 * sizeof(float), "distortion_scratch counts them in floats");

/// The cubic of parameter a at distance x (near: up to 1) and at 1 + x (far).
__device__ inline float bicubic_near(double a, double x) {
    return static_cast<float>(((a + 2) * x - (a + 3)) * x * x + 1);
}
__device__ inline float bicubic_far(double a, double x) {
    return static_cast<float>(((a * (x + 1) - 5 * a) * (x + 1) + 8 * a) * (x + 1) - 4 * a);
}
__device__ inline int smaller(int a, int b) { return a < b ? a : b; }
__device__ inline int at_least_0_below(int i, int count) { return i < 0 ? 0 : smaller(i, count - 1); }

/// Taps of output position i of `out` along an axis of `in` positions. The position is rounded to float once and then
/// again, as on the CPU: fused into one rounding its fraction might become another 1/1024.
inline __device__ bicubic_taps taps_of(int in, int out, int i, resize_rule rule) {
    bool const half_pixel = rule == resize_rule::half_pixel;
    double const step = static_cast<double>(static_cast<float>(in) / static_cast<float>(out));
    auto const scaled = static_cast<float>((static_cast<double>(i) + (half_pixel ? 0.5 : 0.0)) * step);
    float const position = half_pixel ? scaled - 0.5F : scaled;
    float const whole = floorf(position);
    double const fraction = static_cast<double>(rintf((position - whole) * 1024.0F)) / 1024.0;
    double const a = half_pixel ? -0.5 : -0.75;
    float const weights[4] = {bicubic_far(a, fraction), bicubic_near(a, fraction), bicubic_near(a, 1.0 - fraction),
                              bicubic_far(a, 1.0 - fraction)};
    int const begin = static_cast<int>(whole) - 1;
    bicubic_taps taps = {};
    taps.first = in < 4 ? 0 : at_least_0_below(begin, in - 3);
    float sum = 0;
    for (int k = 0; k < 4; ++k) {
        int const inside = at_least_0_below(begin + k, in);
        if (half_pixel && inside != begin + k) continue;
        for (int j = 0; j < 4; ++j)  // constant indices, so that the weights stay in registers
            if (j == inside - taps.first) taps.weight[j] += weights[k];
        sum += weights[k];
    }
    if (half_pixel)
        for (float& w : taps.weight) w /= sum;
    return taps;
}

/// Of each view first the rows, then the columns.
struct bicubic_taps_at {
    distortion_geometry g;
    drawn_view const* drawn;
    bicubic_taps* taps;
    __device__ void operator()(std::int64_t i) const {
        distortion const& d = drawn[i / (g.height + g.width)].decisions;
        auto const row = static_cast<int>(i % (g.height + g.width));
        int const column = row - g.height;
        if (row < g.height) taps[i] = taps_of(d.crop.height, g.height, row, g.rule);
        else taps[i] = taps_of(d.crop.width, g.width, d.flip ? g.width - 1 - column : column, g.rule);
    }
};

/// One channel of one pixel, from bytes. `image` is the crop's first byte of this channel.
__device__ inline float resampled(std::uint8_t const* image, std::int64_t row_size, int channels, crop_box const& crop,
                                  bicubic_taps const& rows, bicubic_taps const& columns) {
    constexpr float unit = 1.0F / 255.0F;
    float product[4];
    for (int j = 0; j < 4; ++j) {
        std::uint8_t const* const column =
            image + std::int64_t{1} * at_least_0_below(columns.first + j, crop.width) * channels;
        float x[4];
        for (int k = 0; k < 4; ++k)
            x[k] = static_cast<float>(column[at_least_0_below(rows.first + k, crop.height) * row_size]) * unit;
        float const sum =
            (x[0] * rows.weight[0] + x[2] * rows.weight[2]) + (x[1] * rows.weight[1] + x[3] * rows.weight[3]);
        product[j] = sum * columns.weight[j];
    }
    return (product[0] + product[2]) + (product[1] + product[3]);
}

}  // namespace tempera::cuda_kernels
