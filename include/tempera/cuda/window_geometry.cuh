// SPDX-License-Identifier: Apache-2.0
#pragma once
// The sum over windows that a convolution and the gradient of its data both are, so that one kernel computes either:
//
//   out[n, i*out_step + out_first, ..., o] = sum_{r,s,c} in[n, in_first + i*in_step + r*tap_step, ..., c]
//                                                        w[o, w_first + r*w_step, ..., c]
//
// with i < count and r < taps on the vertical axis, the same on the horizontal one; positions outside `in` are zero.
//
//   forward     in = x, out = y. in_first = -pad, in_step = stride; one sum.
//   gradient    in = dy, out = dx, w with its channels swapped. A row of dx meets the rows of w that are congruent to
//               row + pad modulo the stride: one sum for each phase, stride x stride of them, w_step = stride.

#include <cstdint>

#include <tempera/cuda/tile.cuh>
#include <tempera/device/convolution.hpp>

namespace tempera::cuda_kernels {

/// One axis of the sum.
struct window_axis {
    int in_size, out_size;  ///< of the maps
    int count;              ///< outputs
    int taps;               ///< inputs of an output
    int in_first, out_first, w_first;
};

struct window_sum {
    int batch, in_channels, out_channels;
    int kernel;  ///< rows and columns of w
    window_axis down, across;
    int in_step, tap_step, out_step, w_step;

    __host__ __device__ constexpr int rows() const { return batch * down.count * across.count; }
    /// Whether row r of the result is position r of `out`.
    __host__ __device__ constexpr bool dense() const {
        return out_step == 1 && down.count == down.out_size && across.count == across.out_size;
    }
    __host__ __device__ constexpr std::int64_t out_size() const {
        return std::int64_t{1} * batch * down.out_size * across.out_size * out_channels;
    }
    __host__ __device__ constexpr int depth() const { return down.taps * across.taps * in_channels; }
};

/// What a window sum's kernel divides by.
struct window_divisors {
    divisor down_count, across_count, taps, channels;

    constexpr explicit window_divisors(window_sum const& s)
        : down_count(s.down.count), across_count(s.across.count), taps(s.across.taps), channels(s.in_channels) {}
};

constexpr window_sum forward_sum(convolution_geometry const& g) {
    return {.batch = g.batch,
            .in_channels = g.in_channels,
            .out_channels = g.out_channels,
            .kernel = g.kernel,
            .down = {g.in_height, g.out_height, g.out_height, g.kernel, -g.pad_top, 0, 0},
            .across = {g.in_width, g.out_width, g.out_width, g.kernel, -g.pad_left, 0, 0},
            .in_step = g.stride,
            .tap_step = 1,
            .out_step = 1,
            .w_step = 1};
}

/// The positions p of dx with (p + pad) % stride == phase, and the windows of dy that they were part of.
constexpr window_axis phase_axis(int phase, int stride, int kernel, int pad, int dy_size, int dx_size) {
    int const first = ((phase - pad) % stride + stride) % stride;
    return {.in_size = dy_size,
            .out_size = dx_size,
            .count = first < dx_size ? (dx_size - first + stride - 1) / stride : 0,
            .taps = phase < kernel ? (kernel - phase + stride - 1) / stride : 0,
            .in_first = (first + pad - phase) / stride,
            .out_first = first,
            .w_first = phase};
}
constexpr window_sum gradient_sum(convolution_geometry const& g, int row_phase, int column_phase) {
    return {.batch = g.batch,
            .in_channels = g.out_channels,
            .out_channels = g.in_channels,
            .kernel = g.kernel,
            .down = phase_axis(row_phase, g.stride, g.kernel, g.pad_top, g.out_height, g.in_height),
            .across = phase_axis(column_phase, g.stride, g.kernel, g.pad_left, g.out_width, g.in_width),
            .in_step = 1,
            .tap_step = -1,
            .out_step = g.stride,
            .w_step = g.stride};
}

}  // namespace tempera::cuda_kernels
