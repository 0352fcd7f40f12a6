// SPDX-License-Identifier: Apache-2.0
#pragma once
// Bicubic resampling with antialiasing: where an image shrinks, the cubic (Keys 1981, a = -1/2) is as many times wider, so that
// every pixel counts. The arithmetic is that of Pillow's resize(..., BICUBIC, box): positions are centres of pixels, weights
// are rounded to 2^-22 and summed in integers, columns first, with bytes between columns and rows.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <tempera/image/raster.hpp>

namespace tempera {

/// A part of an image in pixels, which may begin and end within one.
struct image_box {
    double top = 0, left = 0, height = 0, width = 0;
};

namespace resample_detail {

/// The output positions along one axis as weighted sums of neighbouring inputs.
struct axis {
    struct window {
        int first = 0, count = 0;
    };
    std::vector<window> windows;
    std::vector<std::int32_t> weights;  ///< `stride` of them for each window, in units of 2^-22
    std::vector<double> exact;
    std::size_t stride = 0;

    std::int32_t const* weights_of(int i) const { return weights.data() + static_cast<std::size_t>(i) * stride; }
};

inline constexpr int weight_bits = 22;

inline double cubic(double x) {
    x = x < 0 ? -x : x;
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    if (x < 2) return (((x - 5) * x + 8) * x - 4) * -0.5;
    return 0;
}

/// `out` positions over [begin, begin + length) of `in` pixels.
inline void measure(axis& a, int in, double begin, double length, int out) {
    double const scale = length / out, wide = std::max(scale, 1.0), reach = 2 * wide;
    a.windows.resize(static_cast<std::size_t>(out));
    a.stride = static_cast<std::size_t>(2 * static_cast<int>(reach + 1) + 1);
    a.weights.resize(a.windows.size() * a.stride);
    a.exact.resize(a.stride);
    for (int i = 0; i < out; ++i) {
        double const centre = begin + (i + 0.5) * scale;
        int const first = std::max(0, static_cast<int>(centre - reach + 0.5));
        int const count = std::min(in, static_cast<int>(centre + reach + 0.5)) - first;
        double sum = 0;
        for (int k = 0; k < count; ++k) {
            double const w = cubic((first + k - centre + 0.5) * (1 / wide));
            a.exact[static_cast<std::size_t>(k)] = w;
            sum += w;
        }
        std::int32_t* const to = a.weights.data() + static_cast<std::size_t>(i) * a.stride;
        for (int k = 0; k < count; ++k) {
            double const units = a.exact[static_cast<std::size_t>(k)] / sum * (1 << weight_bits);
            to[k] = static_cast<std::int32_t>(units < 0 ? units - 0.5 : units + 0.5);
        }
        a.windows[static_cast<std::size_t>(i)] = {first, count};
    }
}

inline std::uint8_t to_byte(std::int32_t sum) {
    return static_cast<std::uint8_t>(std::clamp(sum >> weight_bits, 0, 255));
}
inline constexpr std::int32_t half = 1 << (weight_bits - 1);

/// One row to the output's width.
template <int channels>
void along_row(std::uint8_t const* row, axis const& a, std::uint8_t* out) {
    for (std::size_t i = 0; i < a.windows.size(); ++i) {
        std::int32_t const* const w = a.weights_of(static_cast<int>(i));
        std::uint8_t const* p = row + std::ptrdiff_t{channels} * a.windows[i].first;
        int const count = a.windows[i].count;
        std::int32_t sum[channels];
        for (std::int32_t& s : sum) s = half;
        for (int k = 0; k < count; ++k, p += channels)
            for (int c = 0; c < channels; ++c) sum[c] += p[c] * w[k];
        for (int c = 0; c < channels; ++c) *out++ = to_byte(sum[c]);
    }
}

/// One row of the output from `count` rows of n bytes.
inline void across_rows(std::uint8_t const* rows, std::ptrdiff_t n, std::int32_t const* w, int count,
                        std::int32_t* sums, std::uint8_t* out) {
    std::fill(sums, sums + n, half);
    for (int k = 0; k < count; ++k) {
        std::uint8_t const* const row = rows + k * n;
        std::int32_t const weight = w[k];
        for (std::ptrdiff_t i = 0; i < n; ++i) sums[i] += row[i] * weight;
    }
    for (std::ptrdiff_t i = 0; i < n; ++i) out[i] = to_byte(sums[i]);
}

}  // namespace resample_detail

/// Memory that resampling uses again from image to image.
struct resample_workspace {
    resample_detail::axis rows, columns;
    std::vector<std::uint8_t> narrowed;
    std::vector<std::int32_t> sums;
};

/// The part `box` of `image`, which must lie within it, as height x width pixels of as many channels into `out`.
inline void resample(raster const& image, image_box const& box, int height, int width, std::span<std::uint8_t> out,
                     resample_workspace& work) {
    using namespace resample_detail;
    measure(work.columns, image.size.width, box.left, box.width, width);
    measure(work.rows, image.size.height, box.top, box.height, height);
    int const first = work.rows.windows.front().first;
    int const last = work.rows.windows.back().first + work.rows.windows.back().count;
    std::ptrdiff_t const n = std::ptrdiff_t{1} * width * image.size.channels;
    std::ptrdiff_t const row_size = std::ptrdiff_t{1} * image.size.width * image.size.channels;
    work.narrowed.resize(static_cast<std::size_t>((last - first) * n));
    work.sums.resize(static_cast<std::size_t>(n));
    for (int y = first; y < last; ++y) {
        std::uint8_t const* const from = image.pixels.data() + y * row_size;
        std::uint8_t* const to = work.narrowed.data() + (y - first) * n;
        if (image.size.channels == 1) along_row<1>(from, work.columns, to);
        else along_row<3>(from, work.columns, to);
    }
    for (int y = 0; y < height; ++y) {
        auto const [begin, count] = work.rows.windows[static_cast<std::size_t>(y)];
        across_rows(work.narrowed.data() + (begin - first) * n, n, work.rows.weights_of(y), count, work.sums.data(),
                    out.data() + y * n);
    }
}

}  // namespace tempera
