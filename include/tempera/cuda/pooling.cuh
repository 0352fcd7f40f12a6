// SPDX-License-Identifier: Apache-2.0
#pragma once
// Kernels of device/pooling.hpp, one thread per output. The backward passes gather: each input position looks up the
// windows that cover it.

#include <tempera/cuda/each.cuh>
#include <tempera/cuda/launch.hpp>

namespace tempera::cuda_kernels {

/// Sample, row, column and channel of element i of a dense NHWC array.
struct pixel {
    std::int64_t n;
    int row;
    int column;
    int c;

    __device__ pixel(std::int64_t i, int height, int width, int channels)
        : n(i / channels / width / height),
          row(static_cast<int>(i / channels / width % height)),
          column(static_cast<int>(i / channels % width)),
          c(static_cast<int>(i % channels)) {}
};

/// The part of a window that lies inside the map: first <= i < last.
struct reach {
    int first;
    int last;
    __device__ reach(int begin, int kernel, int size)
        : first(begin > 0 ? begin : 0), last(begin + kernel < size ? begin + kernel : size) {}
    __device__ int count() const { return last - first; }
};

/// The windows that cover position i: first <= window < last.
struct covering {
    int first;
    int last;
    __device__ covering(int i, int pad, int kernel, int stride, int windows) {
        int const shifted = i + pad;
        first = shifted < kernel ? 0 : (shifted - kernel) / stride + 1;
        last = shifted / stride + 1 < windows ? shifted / stride + 1 : windows;
    }
};

template <class T>
struct max_pool_forward_at {
    pool_geometry g;
    T const* x;
    T* y;
    std::uint8_t* argmax;
    __device__ void operator()(std::int64_t i) const {
        pixel const at(i, g.out_height, g.out_width, g.channels);
        int const top = at.row * g.stride - g.pad_top;
        int const left = at.column * g.stride - g.pad_left;
        reach const rows(top, g.kernel, g.in_height);
        reach const columns(left, g.kernel, g.in_width);
        float best = 0;
        int where = -1;
        for (int row = rows.first; row < rows.last; ++row)
            for (int column = columns.first; column < columns.last; ++column) {
                float const v = as_float(x[((at.n * g.in_height + row) * g.in_width + column) * g.channels + at.c]);
                if (where >= 0 && !(v > best) && v == v) continue;
                if (where >= 0 && best != best) continue;  // the first NaN stays
                best = v;
                where = (row - top) * g.kernel + (column - left);
            }
        put(y[i], best);
        if (argmax != nullptr) argmax[i] = static_cast<std::uint8_t>(where);
    }
};
template <class T>
void max_pool_forward(cudaStream_t stream, pool_geometry const& g, T const* x, T* y, std::uint8_t* argmax) {
    each(stream, std::int64_t{1} * g.batch * g.out_height * g.out_width * g.channels,
         max_pool_forward_at<T>{g, x, y, argmax});
}

template <class T>
struct max_pool_backward_at {
    pool_geometry g;
    std::uint8_t const* argmax;
    T const* dy;
    T* dx;
    store mode;
    __device__ void operator()(std::int64_t i) const {
        pixel const at(i, g.in_height, g.in_width, g.channels);
        covering const rows(at.row, g.pad_top, g.kernel, g.stride, g.out_height);
        covering const columns(at.column, g.pad_left, g.kernel, g.stride, g.out_width);
        float sum = 0;
        for (int row = rows.first; row < rows.last; ++row)
            for (int column = columns.first; column < columns.last; ++column) {
                std::int64_t const window = ((at.n * g.out_height + row) * g.out_width + column) * g.channels + at.c;
                int const here = (at.row + g.pad_top - row * g.stride) * g.kernel +
                                 (at.column + g.pad_left - column * g.stride);
                if (argmax[window] == here) sum += as_float(dy[window]);
            }
        put(dx[i], sum, mode);
    }
};
template <class T>
void max_pool_backward(cudaStream_t stream, pool_geometry const& g, std::uint8_t const* argmax, T const* dy, T* dx,
                       store mode) {
    each(stream, std::int64_t{1} * g.batch * g.in_height * g.in_width * g.channels,
         max_pool_backward_at<T>{g, argmax, dy, dx, mode});
}

template <class T>
struct average_pool_forward_at {
    pool_geometry g;
    T const* x;
    T* y;
    __device__ void operator()(std::int64_t i) const {
        pixel const at(i, g.out_height, g.out_width, g.channels);
        reach const rows(at.row * g.stride - g.pad_top, g.kernel, g.in_height);
        reach const columns(at.column * g.stride - g.pad_left, g.kernel, g.in_width);
        float sum = 0;
        for (int row = rows.first; row < rows.last; ++row)
            for (int column = columns.first; column < columns.last; ++column)
                sum += as_float(x[((at.n * g.in_height + row) * g.in_width + column) * g.channels + at.c]);
        put(y[i], sum / static_cast<float>(g.count_padding ? g.kernel * g.kernel : rows.count() * columns.count()));
    }
};
template <class T>
void average_pool_forward(cudaStream_t stream, pool_geometry const& g, T const* x, T* y) {
    each(stream, std::int64_t{1} * g.batch * g.out_height * g.out_width * g.channels,
         average_pool_forward_at<T>{g, x, y});
}

template <class T>
struct average_pool_backward_at {
    pool_geometry g;
    T const* dy;
    T* dx;
    store mode;
    __device__ void operator()(std::int64_t i) const {
        pixel const at(i, g.in_height, g.in_width, g.channels);
        covering const windows(at.row, g.pad_top, g.kernel, g.stride, g.out_height);
        covering const across(at.column, g.pad_left, g.kernel, g.stride, g.out_width);
        float sum = 0;
        for (int row = windows.first; row < windows.last; ++row)
            for (int column = across.first; column < across.last; ++column) {
                reach const rows(row * g.stride - g.pad_top, g.kernel, g.in_height);
                reach const columns(column * g.stride - g.pad_left, g.kernel, g.in_width);
                sum += as_float(dy[((at.n * g.out_height + row) * g.out_width + column) * g.channels + at.c]) /
                       static_cast<float>(g.count_padding ? g.kernel * g.kernel : rows.count() * columns.count());
            }
        put(dx[i], sum, mode);
    }
};
template <class T>
void average_pool_backward(cudaStream_t stream, pool_geometry const& g, T const* dy, T* dx, store mode) {
    each(stream, std::int64_t{1} * g.batch * g.in_height * g.in_width * g.channels,
         average_pool_backward_at<T>{g, dy, dx, mode});
}

template <class T>
struct global_average_forward_at {
    std::int64_t positions;
    int channels;
    T const* x;
    float* y;
    __device__ void operator()(std::int64_t i) const {
        T const* const map = x + i / channels * positions * channels + i % channels;
        float sum = 0;
        for (std::int64_t p = 0; p < positions; ++p) sum += as_float(map[p * channels]);
        y[i] = sum / static_cast<float>(positions);
    }
};
template <class T>
void global_average_pool_forward(cudaStream_t stream, int batch, std::int64_t positions, int channels, T const* x,
                                 float* y) {
    each(stream, std::int64_t{batch} * channels, global_average_forward_at<T>{positions, channels, x, y});
}

template <class T>
struct global_average_backward_at {
    std::int64_t positions;
    int channels;
    float const* dy;
    T* dx;
    store mode;
    __device__ void operator()(std::int64_t i) const {
        std::int64_t const sample = i / (positions * channels);
        put(dx[i], dy[sample * channels + i % channels] / static_cast<float>(positions), mode);
    }
};
template <class T>
void global_average_pool_backward(cudaStream_t stream, int batch, std::int64_t positions, int channels, float const* dy,
                                  T* dx, store mode) {
    each(stream, batch * positions * channels, global_average_backward_at<T>{positions, channels, dy, dx, mode});
}

}  // namespace tempera::cuda_kernels
