// SPDX-License-Identifier: Apache-2.0
#pragma once
// Bicubic resampling with antialiasing: where an image shrinks, the cubic (Keys 1981, a = -1/2) is as many times wider, so that
// every pixel counts. The arithmetic is that of Pillow's resize(..., BICUBIC, box): positions are centres of pixels, weights
// are rounded to 2^-22 and summed in integers, columns first, with bytes between columns and rows.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include <tempera/image/raster.hpp>

namespace tempera {

/// A part of an image in pixels, which may begin and end within one.
struct image_box {
    double top = 0, left = 0, height = 0, width = 0;
};

namespace resample_detail {

inline constexpr int weight_bits = 22, lower_bits = 11;
inline constexpr std::int32_t half = 1 << (weight_bits - 1);

/// The output positions along one axis as weighted sums of neighbouring inputs.
struct axis {
    struct window {
        int first = 0, count = 0;
    };
    /// The weights of two neighbours, each cut into upper * 2^11 + lower, which fit 16 bits.
    struct pair {
        std::int16_t upper[2], lower[2];
    };
    std::vector<window> windows;
    std::vector<pair> pairs;  ///< `stride` of them for each window; an odd one's last weight is 0
    std::vector<double> exact;
    std::size_t stride = 0;

    pair const* pairs_of(std::size_t i) const { return pairs.data() + i * stride; }
};

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
    a.stride = static_cast<std::size_t>(reach + 2);
    a.pairs.assign(a.windows.size() * a.stride, {});
    a.exact.resize(2 * a.stride);
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
        axis::pair* const to = a.pairs.data() + static_cast<std::size_t>(i) * a.stride;
        for (int k = 0; k < count; ++k) {
            double const units = a.exact[static_cast<std::size_t>(k)] / sum * (1 << weight_bits);
            auto const w = static_cast<std::int32_t>(units < 0 ? units - 0.5 : units + 0.5);
            to[k / 2].upper[k % 2] = static_cast<std::int16_t>(w >> lower_bits);
            to[k / 2].lower[k % 2] = static_cast<std::int16_t>(w & ((1 << lower_bits) - 1));
        }
        a.windows[static_cast<std::size_t>(i)] = {first, count};
    }
}

// Sixteen bytes at a time, as in data/lanes.hpp: g++ 12 vectorizes no such loop at -O2.
using bytes = std::uint8_t __attribute__((vector_size(16)));
using shorts = std::int16_t __attribute__((vector_size(16)));
using words = std::uint32_t __attribute__((vector_size(16)));  // sums wrap, and the last one fits

/// Bytes that are read at once; those behind the 8 wanted ones are 0.
inline bytes load(std::uint8_t const* p) {
    using halves = std::uint64_t __attribute__((vector_size(16)));
    std::uint64_t eight = 0;
    std::memcpy(&eight, p, sizeof eight);
    return reinterpret_cast<bytes>(halves{eight, 0});
}
/// a0 b0 a1 b1 ... of the first 8 bytes of each.
inline bytes interleaved(bytes a, bytes b) {
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
/// The first and the last 8 bytes as numbers of 16 bits.
inline shorts first_half(bytes a) { return reinterpret_cast<shorts>(interleaved(a, bytes{})); }
inline shorts last_half(bytes a) {
    return reinterpret_cast<shorts>(
        __builtin_shufflevector(a, bytes{}, 8, 16, 9, 17, 10, 18, 11, 19, 12, 20, 13, 21, 14, 22, 15, 23));
}
inline shorts repeated(std::int16_t const* two) {
    std::uint32_t both = 0;
    std::memcpy(&both, two, sizeof both);
    return reinterpret_cast<shorts>(words{both, both, both, both});
}
/// a0 b0 + a1 b1, a2 b2 + a3 b3, ...
inline words pair_products(shorts a, shorts b) {
#if defined(__SSE2__)
    return reinterpret_cast<words>(__builtin_ia32_pmaddwd128(a, b));
#else
    using wide = std::int32_t __attribute__((vector_size(32)));
    wide const p = __builtin_convertvector(a, wide) * __builtin_convertvector(b, wide);
    return reinterpret_cast<words>(__builtin_shufflevector(p, p, 0, 2, 4, 6) +
                                   __builtin_shufflevector(p, p, 1, 3, 5, 7));
#endif
}
/// Sums of products with both parts of the weights to bytes.
inline void put(words upper, words lower, std::uint8_t* out, std::size_t count) {
    using signed_words = std::int32_t __attribute__((vector_size(16)));
    auto v =
        reinterpret_cast<signed_words>((upper << lower_bits) + lower + static_cast<std::uint32_t>(half)) >> weight_bits;
    v = v < 0 ? signed_words{} : v;
    v = v > 255 ? signed_words{} + 255 : v;
    auto const b = reinterpret_cast<words>(v);
    std::uint32_t const four = b[0] | b[1] << 8U | b[2] << 16U | b[3] << 24U;
    std::memcpy(out, &four, count);
}

/// Bytes behind a row that along_row reads, but multiplies with 0 or drops.
inline constexpr std::ptrdiff_t read_behind = 16;

/// One row to the output's width: of RGB, two neighbouring pixels at a time.
inline void along_row_3(std::uint8_t const* row, axis const& a, std::uint8_t* out) {
    for (std::size_t i = 0; i < a.windows.size(); ++i, out += 3) {
        axis::pair const* w = a.pairs_of(i);
        std::uint8_t const* p = row + std::ptrdiff_t{3} * a.windows[i].first;
        words upper{}, lower{};
        for (int k = 0; k < a.windows[i].count; k += 2, p += 6, ++w) {
            shorts const pixels = first_half(interleaved(load(p), load(p + 3)));  // r r' g g' b b' and two more
            upper += pair_products(pixels, repeated(w->upper));
            lower += pair_products(pixels, repeated(w->lower));
        }
        put(upper, lower, out, 3);
    }
}
inline void along_row_1(std::uint8_t const* row, axis const& a, std::uint8_t* out) {
    for (std::size_t i = 0; i < a.windows.size(); ++i) {
        axis::pair const* const w = a.pairs_of(i);
        std::uint8_t const* const p = row + a.windows[i].first;
        std::int32_t sum = half;
        for (int k = 0; k < a.windows[i].count; ++k)
            sum += p[k] * (w[k / 2].upper[k % 2] * (1 << lower_bits) + w[k / 2].lower[k % 2]);
        *out++ = static_cast<std::uint8_t>(std::clamp(sum >> weight_bits, 0, 255));
    }
}

/// One row of the output from `count` rows of n bytes, eight of them at a time; n + 7 bytes are written.
inline void across_rows(std::uint8_t const* rows, std::ptrdiff_t n, axis::pair const* pairs, int count,
                        std::uint8_t* out) {
    for (std::ptrdiff_t i = 0; i < n; i += 8) {
        words upper[2]{}, lower[2]{};
        std::uint8_t const* p = rows + i;
        axis::pair const* w = pairs;
        for (int k = 0; k < count; k += 2, p += 2 * n, ++w) {
            bytes const both = interleaved(load(p), load(k + 1 < count ? p + n : p));
            shorts const first = first_half(both), last = last_half(both);
            shorts const u = repeated(w->upper), l = repeated(w->lower);
            upper[0] += pair_products(first, u);
            upper[1] += pair_products(last, u);
            lower[0] += pair_products(first, l);
            lower[1] += pair_products(last, l);
        }
        put(upper[0], lower[0], out + i, 4);
        put(upper[1], lower[1], out + i + 4, 4);
    }
}

}  // namespace resample_detail

/// Memory that resampling uses again from image to image.
struct resample_workspace {
    resample_detail::axis rows, columns;
    std::vector<std::uint8_t> narrowed, row;
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
    work.narrowed.resize(static_cast<std::size_t>((last - first) * n + read_behind));
    work.row.resize(static_cast<std::size_t>(std::max(row_size, n) + read_behind));
    for (int y = first; y < last; ++y) {
        std::uint8_t const* from = image.pixels.data() + y * row_size;
        // Of the last rows nothing may be read behind the image.
        if ((image.size.height - 1 - y) * row_size < read_behind) {
            std::copy(from, from + row_size, work.row.begin());
            from = work.row.data();
        }
        std::uint8_t* const to = work.narrowed.data() + (y - first) * n;
        if (image.size.channels == 1) along_row_1(from, work.columns, to);
        else along_row_3(from, work.columns, to);
    }
    for (int y = 0; y < height; ++y) {
        auto const [begin, count] = work.rows.windows[static_cast<std::size_t>(y)];
        across_rows(work.narrowed.data() + (begin - first) * n, n, work.rows.pairs_of(static_cast<std::size_t>(y)),
                    count, work.row.data());
        std::copy(work.row.begin(), work.row.begin() + n, out.data() + y * n);
    }
}

}  // namespace tempera
