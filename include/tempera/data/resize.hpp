// SPDX-License-Identifier: Apache-2.0
#pragma once
// Bicubic resize without antialiasing, as TensorFlow does it, in both of its conventions:
//
//   rule        source position of output i    cubic (Keys 1981)   taps outside the image
//   half_pixel  (i + 1/2) in/out - 1/2         a = -0.5            dropped, the other weights renormalized (TF2)
//   legacy      i in/out                       a = -0.75           taken from the edge pixel (TF1)
//
// Both round the fraction of the position to 1/1024, which the published networks were trained with.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include <tempera/core/view.hpp>
#include <tempera/data/lanes.hpp>
#include <tempera/device/distortion.hpp>

namespace tempera {

/// One output position as a weighted sum of four neighbouring source positions. Where the source has fewer, the
/// surplus weights are zero.
struct cubic_taps {
    int first = 0;
    float weight[4]{};
};

namespace pixels {

/// The cubic of parameter a at distance steps/1024 (near: up to 1024 steps) and at 1 + steps/1024 (far).
inline float cubic_near(double a, long steps) {
    double const x = static_cast<double>(steps) / 1024.0;
    return static_cast<float>(((a + 2) * x - (a + 3)) * x * x + 1);
}
inline float cubic_far(double a, long steps) {
    double const x = static_cast<double>(steps) / 1024.0 + 1.0;
    return static_cast<float>(((a * x - 5 * a) * x + 8 * a) * x - 4 * a);
}

/// Taps of all `out` positions along an axis of `in` positions. The window of four is moved inside the image.
inline void cubic_axis(int in, int out, resize_rule rule, cubic_taps* taps) {
    float const step = static_cast<float>(in) / static_cast<float>(out);
    bool const half_pixel = rule == resize_rule::half_pixel;
    double const a = half_pixel ? -0.5 : -0.75;
    for (int i = 0; i < out; ++i) {
        float const position =
            half_pixel ? (static_cast<float>(i) + 0.5F) * step - 0.5F : static_cast<float>(i) * step;
        int const whole = static_cast<int>(std::floor(position));
        long const fraction = std::lrint((position - static_cast<float>(whole)) * 1024.0F);
        float const weights[4] = {cubic_far(a, fraction), cubic_near(a, fraction), cubic_near(a, 1024 - fraction),
                                  cubic_far(a, 1024 - fraction)};
        cubic_taps t;
        t.first = std::clamp(whole - 1, 0, std::max(0, in - 4));
        float sum = 0;
        for (int k = 0; k < 4; ++k) {
            int const wanted = whole - 1 + k;
            int const inside = std::clamp(wanted, 0, in - 1);
            if (half_pixel && inside != wanted) continue;
            t.weight[inside - t.first] += weights[k];
            sum += weights[k];
        }
        if (half_pixel)
            for (float& w : t.weight) w /= sum;
        taps[i] = t;
    }
}

/// Sums over the four taps for a row of pixels of one channel, four output positions at a time.
inline void resample_row_1(float const* row, cubic_taps const* taps, int out, float* y) {
    auto const products = [&](int i) { return load(row + taps[i].first) * load(taps[i].weight); };
    int i = 0;
    for (; i + 4 <= out; i += 4) {
        lanes const p0 = products(i), p1 = products(i + 1), p2 = products(i + 2), p3 = products(i + 3);
        lanes const even = __builtin_shufflevector(p0, p1, 0, 4, 1, 5) + __builtin_shufflevector(p0, p1, 2, 6, 3, 7);
        lanes const odd = __builtin_shufflevector(p2, p3, 0, 4, 1, 5) + __builtin_shufflevector(p2, p3, 2, 6, 3, 7);
        put(y + i, __builtin_shufflevector(even, odd, 0, 1, 4, 5) + __builtin_shufflevector(even, odd, 2, 3, 6, 7));
    }
    for (; i < out; ++i) {
        lanes const p = products(i);
        y[i] = (p[0] + p[2]) + (p[1] + p[3]);
    }
}

/// The same for three channels: a pixel and a quarter at a time, the next pixel overwriting what is too much.
inline void resample_row_3(float const* row, cubic_taps const* taps, int out, float* y) {
    for (int i = 0; i < out; ++i) {
        float const* p = row + std::int64_t{3} * taps[i].first;
        float const* w = taps[i].weight;
        lanes const sum = (load(p) * broadcast(w[0]) + load(p + 6) * broadcast(w[2])) +
                          (load(p + 3) * broadcast(w[1]) + load(p + 9) * broadcast(w[3]));
        if (i + 1 < out) put(y + std::int64_t{3} * i, sum);
        else std::memcpy(y + std::int64_t{3} * i, &sum, 3 * sizeof(float));
    }
}

inline void resample_row(float const* row, cubic_taps const* taps, int out, int channels, float* y) {
    for (int i = 0; i < out; ++i)
        for (int c = 0; c < channels; ++c) {
            float const* p = row + std::int64_t{1} * channels * taps[i].first + c;
            float const* w = taps[i].weight;
            y[std::int64_t{1} * channels * i + c] =
                (p[0] * w[0] + p[2 * channels] * w[2]) + (p[channels] * w[1] + p[3 * channels] * w[3]);
        }
}

}  // namespace pixels

/// Memory that resizing reuses from image to image.
struct resize_workspace {
    std::vector<cubic_taps> rows, columns;
    std::vector<float> row;

    /// A row of pixels and zeros behind it, which taps of weight zero and the fourth lane of the last pixel read.
    static std::size_t row_room(int width, int channels) {
        return static_cast<std::size_t>(std::int64_t{1} * (width + 4) * channels + 4);
    }
    void reserve(shape source, shape out) {
        rows.reserve(static_cast<std::size_t>(out.height));
        columns.reserve(static_cast<std::size_t>(out.width));
        row.reserve(row_room(source.width, source.channels));
    }
};

/// Resizes one image to the size of `out`; same number of channels. `mirrored` flips the result horizontally. The
/// result is not clipped: a cubic leaves [0, 1] at edges.
inline void resize_bicubic(view<float const> image, view<float> out, resize_rule rule, bool mirrored,
                           resize_workspace& work) {
    using namespace pixels;
    extents const in = image.dims, to = out.dims;
    std::int64_t const row_size = std::int64_t{1} * in.w * in.c;
    work.rows.resize(static_cast<std::size_t>(to.h));
    work.columns.resize(static_cast<std::size_t>(to.w));
    cubic_axis(in.h, to.h, rule, work.rows.data());
    cubic_axis(in.w, to.w, rule, work.columns.data());
    if (mirrored) std::reverse(work.columns.begin(), work.columns.end());
    work.row.assign(resize_workspace::row_room(in.w, in.c), 0.0F);

    for (int y = 0; y < to.h; ++y) {
        cubic_taps const& t = work.rows[static_cast<std::size_t>(y)];
        float const* source[4];
        lanes weight[4];
        for (int k = 0; k < 4; ++k) {
            source[k] = image.data + row_size * std::min(t.first + k, in.h - 1);
            weight[k] = broadcast(t.weight[k]);
        }
        float* const row = work.row.data();
        std::int64_t i = 0;
        for (; i + lane_count <= row_size; i += lane_count)
            put(row + i, (load(source[0] + i) * weight[0] + load(source[2] + i) * weight[2]) +
                               (load(source[1] + i) * weight[1] + load(source[3] + i) * weight[3]));
        for (; i < row_size; ++i)
            row[i] = (source[0][i] * t.weight[0] + source[2][i] * t.weight[2]) +
                     (source[1][i] * t.weight[1] + source[3][i] * t.weight[3]);

        float* const target = out.data + std::int64_t{1} * y * to.w * to.c;
        if (in.c == 1) resample_row_1(row, work.columns.data(), to.w, target);
        else if (in.c == 3) resample_row_3(row, work.columns.data(), to.w, target);
        else resample_row(row, work.columns.data(), to.w, in.c, target);
    }
}

}  // namespace tempera
