// SPDX-License-Identifier: Apache-2.0
#pragma once
// Kernels of device/distortion.hpp. The arithmetic is that of the CPU (data/resize.hpp, color.hpp, blur.hpp), term by
// term; only the mean of a channel is summed in another order, and the compiler may fuse products with sums.
//
//   | launch                   | a thread makes                                          | views that take part         |
//   | taps                     | the bicubic weights of an output row or column          | all                          |
//   | colors, first            | pixels: crop, resize, flip, colors before a contrast    | all                          |
//   | colors, contrast k       | pixels: contrast k, colors behind it                    | with k contrasts             |
//   | filters                  | the filter of a view                                    | blurred                      |
//   | blur, twice              | an element                                              | blurred                      |

#include <cmath>
#include <cstdint>

#include <tempera/cuda/bicubic.cuh>
#include <tempera/cuda/each.cuh>
#include <tempera/cuda/launch.hpp>
#include <tempera/cuda/rows.cuh>

namespace tempera::cuda_kernels {

// --- colors --------------------------------------------------------------------------------------------------------------

/// The three channels of a pixel, or one of any number.
template <int Width>
struct color {
    float at[Width];
};

__device__ inline float clipped(float x) {
    float const above = x > 0 ? x : 0;  // NaN becomes 0
    return above < 1 ? above : 1;
}
__device__ inline float largest_of(color<3> const& x) {
    float const b = x.at[1] > x.at[2] ? x.at[1] : x.at[2];
    return x.at[0] > b ? x.at[0] : b;
}
__device__ inline float smallest_of(color<3> const& x) {
    float const b = x.at[1] < x.at[2] ? x.at[1] : x.at[2];
    return x.at[0] < b ? x.at[0] : b;
}

__device__ inline void adjust_saturation(color<3>& x, float factor) {
    float const largest = largest_of(x);
    float const range = largest - smallest_of(x);
    float const bounded = factor * range > largest ? largest / range : factor;
    float const k = largest <= 0 ? 0 : bounded;
    for (float& v : x.at) v = largest - (largest - v) * k;
}
__device__ inline float wrapped(float sextant) { return sextant >= 6 ? sextant - 6 : sextant; }
__device__ inline void shift_hue(color<3>& x, float turns) {
    float const largest = largest_of(x);
    float const range = largest - smallest_of(x);
    float const divisor = range > 0 ? range : 1;
    float h = 0;
    if (largest == x.at[0]) h = (x.at[1] - x.at[2]) / divisor;
    else if (largest == x.at[1]) h = (x.at[2] - x.at[0]) / divisor + 2;
    else h = (x.at[0] - x.at[1]) / divisor + 4;
    h = wrapped((h < 0 ? h + 6 : h) + 6 * (turns - floorf(turns)));
    for (int c = 0; c < 3; ++c) {
        float const t = wrapped(h + static_cast<float>(5 - 2 * c));
        x.at[c] = largest - range * clipped(t < 4 - t ? t : 4 - t);
    }
}
__device__ inline void to_grayscale(color<3>& x) {
    float const gray = 0.2989F * x.at[0] + 0.587F * x.at[1] + 0.114F * x.at[2];
    for (float& v : x.at) v = gray;
}
// An image of one channel is gray.
__device__ inline void adjust_saturation(color<1>&, float) {}
__device__ inline void shift_hue(color<1>&, float) {}
__device__ inline void to_grayscale(color<1>&) {}

template <int Width>
__device__ void adjust(color<Width>& x, color_step const& step, color<Width> const& mean) {
    float const value = step.value;
    switch (step.operation) {
        case color_operation::brightness:
            for (float& v : x.at) v *= value;
            break;
        case color_operation::contrast:
            for (int c = 0; c < Width; ++c) x.at[c] = (x.at[c] - mean.at[c]) * value + mean.at[c];
            break;
        case color_operation::saturation: adjust_saturation(x, value); break;
        case color_operation::hue: shift_hue(x, value); break;
        case color_operation::brightness_shift:
            for (float& v : x.at) v += value;
            break;
    }
    for (float& v : x.at) v = clipped(v);
}

/// The color steps; std::array's own functions are not compiled for the device.
inline __device__ color_step const* steps_of(distortion const& d) {
    return reinterpret_cast<color_step const*>(&d.colors);
}
/// The first contrast at or behind a step; the number of steps where there is none.
__device__ inline int contrast_from(distortion const& d, int step) {
    while (step < d.color_steps && steps_of(d)[step].operation != color_operation::contrast) ++step;
    return step;
}

struct color_pass {
    distortion_geometry g;
    drawn_view const* drawn;
    std::uint8_t const* images;
    bicubic_taps const* taps;
    int parts;    ///< of a view
    float* sums;  ///< [2][views][channels][parts]
    float* views;
};

/// Pass 0 makes the pixels, pass k begins with a view's k-th contrast. Each goes as far as the next contrast, for which it
/// sums the channels, or to the end. A block makes one part of `Width` channels of one view.
template <int Width>
__global__ void __launch_bounds__(row_threads) colors_kernel(color_pass p, int pass) {
    auto const part = static_cast<int>(blockIdx.x % p.parts);
    int const groups = p.g.channels / Width;
    auto const channel = static_cast<int>(blockIdx.x / p.parts % groups) * Width;
    std::int64_t const view = blockIdx.x / p.parts / groups;
    distortion const& d = p.drawn[view].decisions;

    int begin = 0;
    for (int k = 0; k < pass; ++k) begin = contrast_from(d, k == 0 ? 0 : begin + 1);
    if (pass > 0 && begin >= d.color_steps) return;  // the view was finished before
    int const end = contrast_from(d, pass == 0 ? 0 : begin + 1);

    auto const sums_at = [&p, view, channel](int of_pass, int c) {
        return p.sums + ((of_pass % 2 * std::int64_t{p.g.views} + view) * p.g.channels + channel + c) * p.parts;
    };
    int const positions = p.g.height * p.g.width;
    color<Width> mean = {};
    if (pass > 0)
        for (int c = 0; c < Width; ++c) {
            double total = 0;
            for (int i = 0; i < p.parts; ++i) total += static_cast<double>(sums_at(pass - 1, c)[i]);
            mean.at[c] = static_cast<float>(total / positions);
        }

    std::int64_t const row_size = std::int64_t{1} * p.g.source_width * p.g.channels;
    std::uint8_t const* const source = p.images + p.drawn[view].image * row_size * p.g.source_height +
                                       d.crop.y * row_size + std::int64_t{1} * d.crop.x * p.g.channels + channel;
    bicubic_taps const* const rows = p.taps + view * (p.g.height + p.g.width);
    bicubic_taps const* const columns = rows + p.g.height;
    float* const out = p.views + view * positions * p.g.channels + channel;

    color<Width> sum = {};
    int const last = smaller(positions, (part + 1) * positions_per_part);
    for (int i = part * positions_per_part + static_cast<int>(threadIdx.x); i < last; i += row_threads) {
        float* const target = out + std::int64_t{1} * i * p.g.channels;
        color<Width> x;
        for (int c = 0; c < Width; ++c)
            x.at[c] = pass > 0 ? target[c]
                               : resampled(source + c, row_size, p.g.channels, d.crop, rows[i / p.g.width],
                                           columns[i % p.g.width]);
        for (int step = begin; step < end; ++step) adjust(x, steps_of(d)[step], mean);
        if (end == d.color_steps) {
            if (d.grayscale) to_grayscale(x);
            for (float& v : x.at) v = clipped(v);
        }
        for (int c = 0; c < Width; ++c) {
            sum.at[c] += x.at[c];
            target[c] = x.at[c];
        }
    }
    if (end == d.color_steps) return;
    for (int c = 0; c < Width; ++c) {
        float const total = block_sum(sum.at[c]);
        if (threadIdx.x == 0) sums_at(pass, c)[part] = total;
    }
}

template <int Width>
void colors(cudaStream_t stream, color_pass const& p, int passes) {
    for (int pass = 0; pass < passes; ++pass)
        launch_rows(colors_kernel<Width>, std::int64_t{p.g.views} * p.parts * (p.g.channels / Width), stream, p, pass);
}

// --- blur ----------------------------------------------------------------------------------------------------------------

/// The filters' right halves, the tap in the middle first.
struct blur_filters_at {
    drawn_view const* drawn;
    int stride;  ///< from one filter to the next
    float* filters;
    __device__ void operator()(std::int64_t i) const {
        distortion const& d = drawn[i].decisions;
        if (!(d.sigma > 0)) return;
        double const scale = -0.5 / (static_cast<double>(d.sigma) * static_cast<double>(d.sigma));
        double sum = 0;
        for (int k = -d.blur_radius; k <= d.blur_radius; ++k) sum += exp(scale * k * k);
        for (int k = 0; k <= d.blur_radius; ++k) filters[i * stride + k] = static_cast<float>(exp(scale * k * k) / sum);
    }
};

/// One direction of the blur. Views that are not blurred stay as they are.
struct blur_at {
    distortion_geometry g;
    drawn_view const* drawn;
    int filter_stride;
    float const* filters;
    bool vertical;
    float const* from;
    float* to;
    __device__ void operator()(std::int64_t i) const {
        std::int64_t const row_size = std::int64_t{1} * g.width * g.channels;
        std::int64_t const view = i / (row_size * g.height);
        distortion const& d = drawn[view].decisions;
        if (!(d.sigma > 0)) return;
        auto const position = static_cast<int>(vertical ? i / row_size % g.height : i / g.channels % g.width);
        int const after = (vertical ? g.height : g.width) - 1 - position;  // positions behind this one
        std::int64_t const step = vertical ? row_size : g.channels;
        float const* const filter = filters + view * filter_stride;
        float sum = 0;
        int const last = smaller(d.blur_radius, after);
        for (int k = -smaller(d.blur_radius, position); k <= last; ++k)
            sum += from[i + k * step] * filter[k < 0 ? -k : k];
        to[i] = vertical ? clipped(sum) : sum;
    }
};

// --- all of it -----------------------------------------------------------------------------------------------------------

inline void distort(cudaStream_t stream, distortion_geometry const& g, distortion_work const& work,
                    std::uint8_t const* images, drawn_view const* drawn, float* views, float* scratch) {
    distortion_scratch const sizes(g, work);
    auto* const taps = reinterpret_cast<bicubic_taps*>(scratch);
    float* const sums = scratch + sizes.taps;
    float* const filters = sums + sizes.sums;
    float* const blurred = filters + sizes.filters;
    each(stream, std::int64_t{g.views} * (g.height + g.width), bicubic_taps_at{g, drawn, taps});
    color_pass const pass{g, drawn, images, taps, static_cast<int>(distortion_parts(g)), sums, views};
    if (g.channels == 3) colors<3>(stream, pass, 1 + work.contrasts);
    else colors<1>(stream, pass, 1 + work.contrasts);
    if (work.blur_radius < 0) return;
    int const stride = work.blur_radius + 1;
    each(stream, g.views, blur_filters_at{drawn, stride, filters});
    each(stream, sizes.blurred, blur_at{g, drawn, stride, filters, false, views, blurred});
    each(stream, sizes.blurred, blur_at{g, drawn, stride, filters, true, blurred, views});
}

}  // namespace tempera::cuda_kernels
