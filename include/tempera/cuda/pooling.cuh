// SPDX-License-Identifier: Apache-2.0
#pragma once
// Kernels of device/pooling.hpp over windows: a thread takes a pack of channels of one output. The backward passes gather:
// each input position looks up the windows that cover it.

#include <cmath>
#include <initializer_list>

#include <tempera/cuda/along_rows.cuh>
#include <tempera/cuda/launch.hpp>

namespace tempera::cuda_kernels {

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

/// use(i, load(i)) for first <= i < last: AtOnce of them are loaded before the first is used, so that loads do not wait for
/// each other. The last one is loaded again in place of those behind it.
template <int AtOnce, class Load, class Use>
__device__ void each_loaded(int first, int last, Load load, Use use) {
    for (int start = first; start < last; start += AtOnce) {
        decltype(load(first)) values[AtOnce];
        for (int i = 0; i < AtOnce; ++i) values[i] = load(start + i < last ? start + i : last - 1);
        for (int i = 0; i < AtOnce; ++i)
            if (start + i < last) use(start + i, values[i]);
    }
}
constexpr int window_columns = 3;    ///< of most windows
constexpr int covering_columns = 2;  ///< of the windows that cover a position, with most pools

/// What pools have in common: their rows are those of all samples, one below the other.
struct pool_maps {
    pool_geometry g;

    __device__ std::int64_t in(int row, int column, int channel) const {
        return (std::int64_t{row} * g.in_width + column) * g.channels + channel;
    }
    __device__ std::int64_t out(int row, int column, int channel) const {
        return (std::int64_t{row} * g.out_width + column) * g.channels + channel;
    }
    /// Each input's part in the average of an output.
    __device__ float share(reach const& rows, reach const& columns) const {
        return 1 / static_cast<float>(g.count_padding ? g.kernel * g.kernel : rows.count() * columns.count());
    }
};
/// work(place) for every pack of y.
template <class T, class Work>
void along_outputs(cudaStream_t stream, pool_geometry const& g, Work work, std::initializer_list<void const*> arrays) {
    along_rows<T>(stream, std::int64_t{g.batch} * g.out_height, g.out_width, g.channels, work, arrays);
}
/// work(place) for every pack of dx.
template <class T, class Work>
void along_inputs(cudaStream_t stream, pool_geometry const& g, Work work, std::initializer_list<void const*> arrays) {
    along_rows<T>(stream, std::int64_t{g.batch} * g.in_height, g.in_width, g.channels, work, arrays);
}

template <class T>
struct max_pool_forward_work : pool_maps {
    T const* x;
    T* y;
    std::uint8_t* argmax;

    template <int Width>
    __device__ void operator()(row_place<Width> const& at) const {
        int const sample = at.row / g.out_height * g.in_height;
        int const top = at.row % g.out_height * g.stride - g.pad_top;
        int const left = at.column * g.stride - g.pad_left;
        reach const rows(top, g.kernel, g.in_height);
        reach const columns(left, g.kernel, g.in_width);
        float best[Width];
        int where[Width];
        for (int k = 0; k < Width; ++k) {
            best[k] = -INFINITY;
            where[k] = (rows.first - top) * g.kernel + (columns.first - left);
        }
        for (int row = rows.first; row < rows.last; ++row)
            each_loaded<window_columns>(
                columns.first, columns.last,
                [&](int column) { return load_pack<Width>(x + in(sample + row, column, at.channel)); },
                [&](int column, pack<T, Width> const& values) {
                    int const here = (row - top) * g.kernel + (column - left);
                    for (int k = 0; k < Width; ++k) {
                        float const v = as_float(values.at[k]);
                        bool const better = best[k] == best[k] && !(v <= best[k]);  // the first NaN stays
                        if (better) best[k] = v;
                        if (better) where[k] = here;
                    }
                });
        std::int64_t const to = out(at.row, at.column, at.channel);
        store_pack(y + to, best, store::write);
        if (argmax == nullptr) return;
        pack<std::uint8_t, Width> places;
        for (int k = 0; k < Width; ++k) places.at[k] = static_cast<std::uint8_t>(where[k]);
        store_pack(argmax + to, places);
    }
};
template <class T>
void max_pool_forward(cudaStream_t stream, pool_geometry const& g, T const* x, T* y, std::uint8_t* argmax) {
    along_outputs<T>(stream, g, max_pool_forward_work<T>{{g}, x, y, argmax}, {x, y, argmax});
}

template <class T>
struct max_pool_backward_work : pool_maps {
    std::uint8_t const* argmax;
    T const* dy;
    T* dx;
    store mode;

    template <int Width>
    __device__ void operator()(row_place<Width> const& at) const {
        int const sample = at.row / g.in_height * g.out_height;
        int const in_row = at.row % g.in_height;
        covering const rows(in_row, g.pad_top, g.kernel, g.stride, g.out_height);
        covering const columns(at.column, g.pad_left, g.kernel, g.stride, g.out_width);
        float sum[Width] = {};
        struct window {
            pack<std::uint8_t, Width> places;
            pack<T, Width> slopes;
        };
        for (int row = rows.first; row < rows.last; ++row)
            each_loaded<covering_columns>(
                columns.first, columns.last,
                [&](int column) {
                    std::int64_t const from = out(sample + row, column, at.channel);
                    return window{load_pack<Width>(argmax + from), load_pack<Width>(dy + from)};
                },
                [&](int column, window const& w) {
                    int const here =
                        (in_row + g.pad_top - row * g.stride) * g.kernel + (at.column + g.pad_left - column * g.stride);
                    for (int k = 0; k < Width; ++k)
                        if (w.places.at[k] == here) sum[k] += as_float(w.slopes.at[k]);
                });
        store_pack(dx + in(at.row, at.column, at.channel), sum, mode);
    }
};
template <class T>
void max_pool_backward(cudaStream_t stream, pool_geometry const& g, std::uint8_t const* argmax, T const* dy, T* dx,
                       store mode) {
    along_inputs<T>(stream, g, max_pool_backward_work<T>{{g}, argmax, dy, dx, mode}, {argmax, dy, dx});
}

template <class T>
struct average_pool_forward_work : pool_maps {
    T const* x;
    T* y;

    template <int Width>
    __device__ void operator()(row_place<Width> const& at) const {
        int const sample = at.row / g.out_height * g.in_height;
        reach const rows(at.row % g.out_height * g.stride - g.pad_top, g.kernel, g.in_height);
        reach const columns(at.column * g.stride - g.pad_left, g.kernel, g.in_width);
        float average[Width] = {};
        for (int row = rows.first; row < rows.last; ++row)
            each_loaded<window_columns>(
                columns.first, columns.last,
                [&](int column) { return load_pack<Width>(x + in(sample + row, column, at.channel)); },
                [&](int, pack<T, Width> const& values) {
                    for (int k = 0; k < Width; ++k) average[k] += as_float(values.at[k]);
                });
        float const each = share(rows, columns);
        for (int k = 0; k < Width; ++k) average[k] *= each;
        store_pack(y + out(at.row, at.column, at.channel), average, store::write);
    }
};
template <class T>
void average_pool_forward(cudaStream_t stream, pool_geometry const& g, T const* x, T* y) {
    along_outputs<T>(stream, g, average_pool_forward_work<T>{{g}, x, y}, {x, y});
}

template <class T>
struct average_pool_backward_work : pool_maps {
    T const* dy;
    T* dx;
    store mode;

    template <int Width>
    __device__ void operator()(row_place<Width> const& at) const {
        int const sample = at.row / g.in_height * g.out_height;
        covering const rows(at.row % g.in_height, g.pad_top, g.kernel, g.stride, g.out_height);
        covering const columns(at.column, g.pad_left, g.kernel, g.stride, g.out_width);
        float sum[Width] = {};
        for (int row = rows.first; row < rows.last; ++row)
            each_loaded<covering_columns>(
                columns.first, columns.last,
                [&](int column) { return load_pack<Width>(dy + out(sample + row, column, at.channel)); },
                [&](int column, pack<T, Width> const& slopes) {
                    float const each = share(reach(row * g.stride - g.pad_top, g.kernel, g.in_height),
                                             reach(column * g.stride - g.pad_left, g.kernel, g.in_width));
                    for (int k = 0; k < Width; ++k) sum[k] += as_float(slopes.at[k]) * each;
                });
        store_pack(dx + in(at.row, at.column, at.channel), sum, mode);
    }
};
template <class T>
void average_pool_backward(cudaStream_t stream, pool_geometry const& g, T const* dy, T* dx, store mode) {
    along_inputs<T>(stream, g, average_pool_backward_work<T>{{g}, dy, dx, mode}, {dy, dx});
}

}  // namespace tempera::cuda_kernels
