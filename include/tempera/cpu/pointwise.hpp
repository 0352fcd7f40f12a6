// SPDX-License-Identifier: Apache-2.0
#pragma once
// Element by element functions and channel copies on the CPU (formulas: device/pointwise.hpp), one pass each.

#include <cstdint>

#include <tempera/cpu/row_blocks.hpp>
#include <tempera/cpu/verbose.hpp>
#include <tempera/cpu/walk.hpp>
#include <tempera/device/pointwise.hpp>

namespace tempera {
namespace cpu_kernels {

template <class T>
struct pointwise_kernels {
    void (*relu_forward)(T const* x, T* y, std::int64_t count);
    void (*relu_backward)(T const* y, T const* dy, T* dx, std::int64_t count, bool accumulate);
    void (*sigmoid_forward)(T const* x, T* y, std::int64_t count);
    void (*sigmoid_backward)(T const* y, T const* dy, T* dx, std::int64_t count, bool accumulate);
    void (*add_forward)(T const* a, T const* b, T* y, std::int64_t count);
    void (*multiply)(T const* a, T const* b, T* y, std::int64_t count, bool accumulate);
    void (*to_float)(T const* x, float* y, std::int64_t count, bool accumulate);
    void (*from_float)(float const* x, T* y, std::int64_t count, bool accumulate);
    void (*copy)(T const* x, T* y, std::int64_t count, bool accumulate);
    void (*copy_pieces)(T const* x, T* y, std::int64_t rows, int count, std::int64_t x_stride, std::int64_t y_stride,
                        bool accumulate);
    void (*fill)(T* y, float value, std::int64_t count);
    void (*scale)(T* y, float factor, std::int64_t count);
};

}  // namespace cpu_kernels
}  // namespace tempera

#define TEMPERA_KERNEL_FILE <tempera/cpu/kernels/pointwise.hpp>
#include <tempera/cpu/each_target.hpp>

namespace tempera {
namespace cpu_kernels {

template <class T>
pointwise_kernels<T> const& pointwise_for(isa level) TEMPERA_TABLE(pointwise_table<T>);

}  // namespace cpu_kernels

template <class T>
void relu_forward(cpu& device, std::int64_t n, T const* x, T* y) {
    verbose_scope const scope(device, "relu_forward", bytes_of<T>(2 * n));
    auto const kernel = cpu_kernels::pointwise_for<T>(device.level()).relu_forward;
    for_elements(device, n, [&](std::int64_t i, std::int64_t count) { kernel(x + i, y + i, count); });
}

template <class T>
void relu_backward(cpu& device, std::int64_t n, T const* y, T const* dy, T* dx, store mode) {
    verbose_scope const scope(device, "relu_backward", bytes_of<T>((2 + passes_of(mode)) * n));
    auto const kernel = cpu_kernels::pointwise_for<T>(device.level()).relu_backward;
    for_elements(device, n, [&](std::int64_t i, std::int64_t count) {
        kernel(y + i, dy + i, dx + i, count, mode == store::accumulate);
    });
}

template <class T>
void sigmoid_forward(cpu& device, std::int64_t n, T const* x, T* y) {
    verbose_scope const scope(device, "sigmoid_forward", bytes_of<T>(2 * n));
    auto const kernel = cpu_kernels::pointwise_for<T>(device.level()).sigmoid_forward;
    for_elements(device, n, [&](std::int64_t i, std::int64_t count) { kernel(x + i, y + i, count); });
}

template <class T>
void sigmoid_backward(cpu& device, std::int64_t n, T const* y, T const* dy, T* dx, store mode) {
    verbose_scope const scope(device, "sigmoid_backward", bytes_of<T>((2 + passes_of(mode)) * n));
    auto const kernel = cpu_kernels::pointwise_for<T>(device.level()).sigmoid_backward;
    for_elements(device, n, [&](std::int64_t i, std::int64_t count) {
        kernel(y + i, dy + i, dx + i, count, mode == store::accumulate);
    });
}

template <class T>
void add_forward(cpu& device, std::int64_t n, T const* a, T const* b, T* y) {
    verbose_scope const scope(device, "add_forward", bytes_of<T>(3 * n));
    auto const kernel = cpu_kernels::pointwise_for<T>(device.level()).add_forward;
    for_elements(device, n, [&](std::int64_t i, std::int64_t count) { kernel(a + i, b + i, y + i, count); });
}

template <class T>
void multiply_forward(cpu& device, std::int64_t n, T const* a, T const* b, T* y) {
    verbose_scope const scope(device, "multiply_forward", bytes_of<T>(3 * n));
    auto const kernel = cpu_kernels::pointwise_for<T>(device.level()).multiply;
    for_elements(device, n, [&](std::int64_t i, std::int64_t count) { kernel(a + i, b + i, y + i, count, false); });
}

template <class T>
void multiply_backward(cpu& device, std::int64_t n, T const* other, T const* dy, T* dx, store mode) {
    verbose_scope const scope(device, "multiply_backward", bytes_of<T>((2 + passes_of(mode)) * n));
    auto const kernel = cpu_kernels::pointwise_for<T>(device.level()).multiply;
    for_elements(device, n, [&](std::int64_t i, std::int64_t count) {
        kernel(other + i, dy + i, dx + i, count, mode == store::accumulate);
    });
}

template <class T>
void copy(cpu& device, std::int64_t n, T const* x, T* y, store mode) {
    verbose_scope const scope(device, "copy", bytes_of<T>((1 + passes_of(mode)) * n));
    auto const kernel = cpu_kernels::pointwise_for<T>(device.level()).copy;
    for_elements(device, n, [&](std::int64_t i, std::int64_t count) {
        kernel(x + i, y + i, count, mode == store::accumulate);
    });
}

template <class T>
void fill(cpu& device, std::int64_t n, float value, T* y) {
    verbose_scope const scope(device, "fill", bytes_of<T>(n));
    auto const kernel = cpu_kernels::pointwise_for<T>(device.level()).fill;
    for_elements(device, n, [&](std::int64_t i, std::int64_t count) { kernel(y + i, value, count); });
}

template <class T>
void scale(cpu& device, std::int64_t n, float factor, T* y) {
    verbose_scope const scope(device, "scale", bytes_of<T>(2 * n));
    auto const kernel = cpu_kernels::pointwise_for<T>(device.level()).scale;
    for_elements(device, n, [&](std::int64_t i, std::int64_t count) { kernel(y + i, factor, count); });
}

template <class T>
void convert(cpu& device, std::int64_t n, T const* x, float* y) {
    verbose_scope const scope(device, "convert", bytes_of<T>(n) + bytes_of<float>(n));
    auto const kernel = cpu_kernels::pointwise_for<T>(device.level()).to_float;
    for_elements(device, n, [&](std::int64_t i, std::int64_t count) { kernel(x + i, y + i, count, false); });
}

inline void convert(cpu& device, std::int64_t n, float const* x, bf16* y) {
    verbose_scope const scope(device, "convert", bytes_of<float>(n) + bytes_of<bf16>(n));
    auto const kernel = cpu_kernels::pointwise_for<bf16>(device.level()).from_float;
    for_elements(device, n, [&](std::int64_t i, std::int64_t count) { kernel(x + i, y + i, count, false); });
}

template <class T>
void copy_channels(cpu& device, channel_copy const& c, T const* x, T* y, store mode) {
    verbose_scope const scope(device, "copy_channels", bytes_of<T>((1 + passes_of(mode)) * c.rows * c.count));
    auto const kernel = cpu_kernels::pointwise_for<T>(device.level()).copy_pieces;
    for_rows(device, c.rows, c.count, [&](std::int64_t row, std::int64_t count) {
        kernel(x + row * c.source_channels + c.source_begin, y + row * c.target_channels + c.target_begin, count,
               c.count, c.source_channels, c.target_channels, mode == store::accumulate);
    });
}

}  // namespace tempera
