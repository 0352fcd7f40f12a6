// SPDX-License-Identifier: Apache-2.0
#pragma once
// Row normalization on the CPU: u = x rsqrt(max(sum x^2, 1e-12)) (SimCLR's hidden normalization) and its gradient.

#include <algorithm>
#include <cstdint>

#include <tempera/cpu/row_blocks.hpp>
#include <tempera/cpu/verbose.hpp>
#include <tempera/cpu/walk.hpp>
#include <tempera/device/pointwise.hpp>

namespace tempera {
namespace cpu_kernels {

template <class T>
struct l2_normalize_kernels {
    void (*forward)(T const* x, T* y, float* inverse_norm, std::int64_t rows, int channels);
    void (*backward)(T const* y, float const* inverse_norm, T const* dy, T* dx, std::int64_t rows, int channels,
                     bool accumulate);
};

}  // namespace cpu_kernels
}  // namespace tempera

#define TEMPERA_KERNEL_FILE <tempera/cpu/kernels/l2_normalize.hpp>
#include <tempera/cpu/each_target.hpp>

namespace tempera {
namespace cpu_kernels {

template <class T>
l2_normalize_kernels<T> const& l2_normalize_for(isa level) TEMPERA_TABLE(l2_normalize_table<T>);

}  // namespace cpu_kernels

template <class T>
void l2_normalize_forward(cpu& device, std::int64_t rows, int channels, T const* x, T* y, float* inverse_norm) {
    verbose_scope const scope(device, "l2_normalize_forward", bytes_of<T>(2 * rows * channels));
    auto const kernel = cpu_kernels::l2_normalize_for<T>(device.level()).forward;
    for_rows(device, rows, channels, [&](std::int64_t row, std::int64_t count) {
        kernel(x + row * channels, y + row * channels, inverse_norm + row, count, channels);
    });
}

template <class T>
void l2_normalize_backward(cpu& device, std::int64_t rows, int channels, T const* y, float const* inverse_norm,
                           T const* dy, T* dx, store mode) {
    verbose_scope const scope(device, "l2_normalize_backward", bytes_of<T>((2 + passes_of(mode)) * rows * channels));
    auto const kernel = cpu_kernels::l2_normalize_for<T>(device.level()).backward;
    for_rows(device, rows, channels, [&](std::int64_t row, std::int64_t count) {
        std::int64_t const at = row * channels;
        kernel(y + at, inverse_norm + row, dy + at, dx + at, count, channels, mode == store::accumulate);
    });
}

}  // namespace tempera
