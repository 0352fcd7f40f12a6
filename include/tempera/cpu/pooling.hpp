// SPDX-License-Identifier: Apache-2.0
#pragma once
// Pooling on the CPU (formulas: device/pooling.hpp): windows row by row, whole maps as column sums.

#include <cstdint>

#include <tempera/cpu/column_sums.hpp>
#include <tempera/cpu/row_blocks.hpp>
#include <tempera/cpu/verbose.hpp>
#include <tempera/cpu/walk.hpp>
#include <tempera/device/pooling.hpp>

namespace tempera {
namespace cpu_kernels {

template <class T>
struct pooling_kernels {
    void (*largest)(pool_geometry const& g, int row, T const* x, T* y, std::uint8_t* argmax);
    void (*largest_slope)(pool_geometry const& g, int row, std::uint8_t const* argmax, T const* dy, T* dx,
                          bool accumulate);
    void (*average)(pool_geometry const& g, int row, T const* x, T* y);
    void (*shares)(pool_geometry const& g, int pad, int in_size, int out_size, float* shares);
    void (*average_slope)(pool_geometry const& g, int row, float const* row_shares, float const* column_shares,
                          T const* dy, T* dx, bool accumulate);
    void (*totals)(T const* x, std::int64_t count, int wide, float* sums);
    void (*spread)(float const* values, T* y, std::int64_t count, int wide, bool accumulate);
};

}  // namespace cpu_kernels
}  // namespace tempera

#define TEMPERA_KERNEL_FILE <tempera/cpu/kernels/pooling.hpp>
#include <tempera/cpu/each_target.hpp>

namespace tempera {
namespace cpu_kernels {

template <class T>
pooling_kernels<T> const& pooling_for(isa level) TEMPERA_TABLE(pooling_table<T>);

/// The arrays of a pooled sample: elements of a row, of a sample and of all samples, in and out.
struct pool_sizes {
    std::int64_t batch, in_row, out_row, in_sample, out_sample;

    explicit pool_sizes(pool_geometry const& g)
        : batch(g.batch),
          in_row(std::int64_t{1} * g.in_width * g.channels),
          out_row(std::int64_t{1} * g.out_width * g.channels),
          in_sample(in_row * g.in_height),
          out_sample(out_row * g.out_height) {}

    std::int64_t in() const { return batch * in_sample; }
    std::int64_t out() const { return batch * out_sample; }
};

/// Calls f(sample, row) for `rows` rows of every sample, in chunks of about 64 Ki elements touched.
template <class F>
void for_pool_rows(cpu& device, pool_geometry const& g, int rows, F const& f) {
    if (g.batch <= 0) return;
    pool_sizes const sizes(g);
    std::int64_t const total = std::int64_t{1} * g.batch * rows;
    std::int64_t const touched = g.batch * (sizes.in_sample + sizes.out_sample) / total;
    std::int64_t const per_chunk =
        std::max<std::int64_t>(1, row_blocks::chunk_elements / std::max<std::int64_t>(1, touched));
    device.for_chunks((total + per_chunk - 1) / per_chunk, [&](std::int64_t chunk, int) {
        std::int64_t const end = std::min((chunk + 1) * per_chunk, total);
        for (std::int64_t i = chunk * per_chunk; i < end; ++i) f(i / rows, static_cast<int>(i % rows));
    });
}

}  // namespace cpu_kernels

template <class T>
void max_pool_forward(cpu& device, pool_geometry const& g, T const* x, T* y, std::uint8_t* argmax) {
    cpu_kernels::pool_sizes const sizes(g);
    verbose_scope const scope(device, "max_pool_forward",
                              bytes_of<T>(sizes.in() + sizes.out()) + (argmax == nullptr ? 0 : sizes.out()));
    auto const kernel = cpu_kernels::pooling_for<T>(device.level()).largest;
    cpu_kernels::for_pool_rows(device, g, g.out_height, [&](std::int64_t sample, int row) {
        std::int64_t const at = sample * sizes.out_sample + row * sizes.out_row;
        kernel(g, row, x + sample * sizes.in_sample, y + at, argmax == nullptr ? nullptr : argmax + at);
    });
}

template <class T>
void max_pool_backward(cpu& device, pool_geometry const& g, std::uint8_t const* argmax, T const* dy, T* dx,
                       store mode) {
    cpu_kernels::pool_sizes const sizes(g);
    verbose_scope const scope(device, "max_pool_backward",
                              bytes_of<T>(passes_of(mode) * sizes.in() + sizes.out()) + sizes.out());
    auto const kernel = cpu_kernels::pooling_for<T>(device.level()).largest_slope;
    cpu_kernels::for_pool_rows(device, g, g.in_height, [&](std::int64_t sample, int row) {
        kernel(g, row, argmax + sample * sizes.out_sample, dy + sample * sizes.out_sample,
               dx + sample * sizes.in_sample + row * sizes.in_row, mode == store::accumulate);
    });
}

template <class T>
void average_pool_forward(cpu& device, pool_geometry const& g, T const* x, T* y) {
    cpu_kernels::pool_sizes const sizes(g);
    verbose_scope const scope(device, "average_pool_forward", bytes_of<T>(sizes.in() + sizes.out()));
    auto const kernel = cpu_kernels::pooling_for<T>(device.level()).average;
    cpu_kernels::for_pool_rows(device, g, g.out_height, [&](std::int64_t sample, int row) {
        kernel(g, row, x + sample * sizes.in_sample, y + sample * sizes.out_sample + row * sizes.out_row);
    });
}

template <class T>
void average_pool_backward(cpu& device, pool_geometry const& g, T const* dy, T* dx, store mode) {
    cpu_kernels::pool_sizes const sizes(g);
    verbose_scope const scope(device, "average_pool_backward", bytes_of<T>(passes_of(mode) * sizes.in() + sizes.out()));
    auto const& kernels = cpu_kernels::pooling_for<T>(device.level());
    auto const lock = device.exclusive();
    auto* const shares = static_cast<float*>(device.scratch(
        device.caller(), scratch_slot::shared, static_cast<std::size_t>(g.out_height + g.out_width) * sizeof(float)));
    kernels.shares(g, g.pad_top, g.in_height, g.out_height, shares);
    kernels.shares(g, g.pad_left, g.in_width, g.out_width, shares + g.out_height);
    cpu_kernels::for_pool_rows(device, g, g.in_height, [&](std::int64_t sample, int row) {
        kernels.average_slope(g, row, shares, shares + g.out_height, dy + sample * sizes.out_sample,
                              dx + sample * sizes.in_sample + row * sizes.in_row, mode == store::accumulate);
    });
}

template <class T>
void global_average_pool_forward(cpu& device, int batch, std::int64_t positions, int channels, T const* x, float* y) {
    verbose_scope const scope(device, "global_average_pool_forward", bytes_of<T>(batch * positions * channels));
    row_blocks const cut(batch, positions, channels);
    auto const kernel = cpu_kernels::pooling_for<T>(device.level()).totals;
    sum_columns(
        device, cut, 1, 0,
        [&](std::int64_t, std::int64_t first, std::int64_t count, float* columns, float*) {
            kernel(x + first, count, cut.wide, columns);
        },
        [&](std::int64_t sample, float const* totals) {
            for (int c = 0; c < channels; ++c) y[sample * channels + c] = totals[c] / static_cast<float>(positions);
        });
}

template <class T>
void global_average_pool_backward(cpu& device, int batch, std::int64_t positions, int channels, float const* dy, T* dx,
                                  store mode) {
    verbose_scope const scope(device, "global_average_pool_backward",
                              bytes_of<T>(passes_of(mode) * batch * positions * channels));
    row_blocks const cut(batch, positions, channels);
    auto const kernel = cpu_kernels::pooling_for<T>(device.level()).spread;
    auto const lock = device.exclusive();
    std::size_t const bytes = static_cast<std::size_t>(cut.wide) * sizeof(float);
    device.reserve(scratch_slot::own, bytes);
    device.for_chunks(cut.chunks, [&](std::int64_t chunk, int worker) {
        auto* const share = static_cast<float*>(device.scratch(worker, scratch_slot::own, bytes));
        cut.each_block(chunk, [&](std::int64_t, std::int64_t sample, std::int64_t first, std::int64_t count) {
            for (int c = 0; c < channels; ++c) share[c] = dy[sample * channels + c] / static_cast<float>(positions);
            repeat_columns(share, channels, cut.fold);
            kernel(share, dx + first, count, cut.wide, mode == store::accumulate);
        });
    });
}

}  // namespace tempera
