// SPDX-License-Identifier: Apache-2.0
#pragma once
// Kernels of device/pointwise.hpp: one thread per element, or per channel of a sample where a map is summed.

#include <tempera/cuda/each.cuh>
#include <tempera/cuda/launch.hpp>

namespace tempera::cuda_kernels {

template <class T>
struct relu_forward_at {
    T const* x;
    T* y;
    __device__ void operator()(std::int64_t i) const {
        float const v = as_float(x[i]);
        put(y[i], v > 0 || v != v ? v : 0);
    }
};
template <class T>
void relu_forward(cudaStream_t stream, std::int64_t n, T const* x, T* y) {
    each(stream, n, relu_forward_at<T>{x, y});
}

template <class T>
struct relu_backward_at {
    T const* y;
    T const* dy;
    T* dx;
    store mode;
    __device__ void operator()(std::int64_t i) const { put(dx[i], as_float(y[i]) > 0 ? as_float(dy[i]) : 0, mode); }
};
template <class T>
void relu_backward(cudaStream_t stream, std::int64_t n, T const* y, T const* dy, T* dx, store mode) {
    each(stream, n, relu_backward_at<T>{y, dy, dx, mode});
}

template <class T>
struct sigmoid_forward_at {
    T const* x;
    T* y;
    __device__ void operator()(std::int64_t i) const { put(y[i], 1 / (1 + expf(-as_float(x[i])))); }
};
template <class T>
void sigmoid_forward(cudaStream_t stream, std::int64_t n, T const* x, T* y) {
    each(stream, n, sigmoid_forward_at<T>{x, y});
}

template <class T>
struct sigmoid_backward_at {
    T const* y;
    T const* dy;
    T* dx;
    store mode;
    __device__ void operator()(std::int64_t i) const {
        float const v = as_float(y[i]);
        put(dx[i], as_float(dy[i]) * v * (1 - v), mode);
    }
};
template <class T>
void sigmoid_backward(cudaStream_t stream, std::int64_t n, T const* y, T const* dy, T* dx, store mode) {
    each(stream, n, sigmoid_backward_at<T>{y, dy, dx, mode});
}

template <class T>
struct add_at {
    T const* a;
    T const* b;
    T* y;
    __device__ void operator()(std::int64_t i) const { put(y[i], as_float(a[i]) + as_float(b[i])); }
};
template <class T>
void add_forward(cudaStream_t stream, std::int64_t n, T const* a, T const* b, T* y) {
    each(stream, n, add_at<T>{a, b, y});
}

template <class T>
struct multiply_at {
    T const* a;
    T const* b;
    T* y;
    store mode;
    __device__ void operator()(std::int64_t i) const { put(y[i], as_float(a[i]) * as_float(b[i]), mode); }
};
template <class T>
void multiply(cudaStream_t stream, std::int64_t n, T const* a, T const* b, T* y, store mode) {
    each(stream, n, multiply_at<T>{a, b, y, mode});
}

template <class T>
struct copy_at {
    T const* x;
    T* y;
    store mode;
    __device__ void operator()(std::int64_t i) const { put(y[i], as_float(x[i]), mode); }
};
template <class T>
void copy(cudaStream_t stream, std::int64_t n, T const* x, T* y, store mode) {
    each(stream, n, copy_at<T>{x, y, mode});
}

template <class T>
struct fill_at {
    float value;
    T* y;
    __device__ void operator()(std::int64_t i) const { put(y[i], value); }
};
template <class T>
void fill(cudaStream_t stream, std::int64_t n, float value, T* y) {
    each(stream, n, fill_at<T>{value, y});
}

template <class T>
struct scale_at {
    float factor;
    T* y;
    __device__ void operator()(std::int64_t i) const { put(y[i], factor * as_float(y[i])); }
};
template <class T>
void scale(cudaStream_t stream, std::int64_t n, float factor, T* y) {
    each(stream, n, scale_at<T>{factor, y});
}

template <class From, class To>
struct convert_at {
    From const* x;
    To* y;
    __device__ void operator()(std::int64_t i) const { put(y[i], as_float(x[i])); }
};
template <class From, class To>
void convert(cudaStream_t stream, std::int64_t n, From const* x, To* y) {
    each(stream, n, convert_at<From, To>{x, y});
}

template <class T>
struct copy_channels_at {
    channel_copy c;
    T const* x;
    T* y;
    store mode;
    __device__ void operator()(std::int64_t i) const {
        std::int64_t const row = i / c.count;
        std::int64_t const k = i % c.count;
        put(y[row * c.target_channels + c.target_begin + k],
            as_float(x[row * c.source_channels + c.source_begin + k]), mode);
    }
};
template <class T>
void copy_channels(cudaStream_t stream, channel_copy const& c, T const* x, T* y, store mode) {
    each(stream, c.rows * c.count, copy_channels_at<T>{c, x, y, mode});
}

template <class T>
struct gate_forward_at {
    gate_geometry g;
    T const* x;
    float const* gate;
    T* y;
    store mode;
    __device__ void operator()(std::int64_t i) const {
        std::int64_t const sample = i / (g.positions * g.channels);
        put(y[i], as_float(x[i]) * gate[sample * g.channels + i % g.channels], mode);
    }
};
template <class T>
void gate_forward(cudaStream_t stream, gate_geometry const& g, T const* x, float const* gate, T* y) {
    each(stream, g.batch * g.positions * g.channels, gate_forward_at<T>{g, x, gate, y, store::write});
}

template <class T>
struct gate_gradient_at {
    gate_geometry g;
    T const* x;
    T const* dy;
    float* dgate;
    store mode;
    __device__ void operator()(std::int64_t i) const {
        T const* const xs = x + (i / g.channels) * g.positions * g.channels + i % g.channels;
        T const* const dys = dy + (xs - x);
        float sum = 0;
        for (std::int64_t p = 0; p < g.positions; ++p) sum += as_float(xs[p * g.channels]) * as_float(dys[p * g.channels]);
        put(dgate[i], sum, mode);
    }
};
template <class T>
void gate_backward(cudaStream_t stream, gate_geometry const& g, T const* x, float const* gate, T const* dy, T* dx,
                   store dx_store, float* dgate, store dgate_store) {
    if (dgate != nullptr)
        each(stream, std::int64_t{g.batch} * g.channels, gate_gradient_at<T>{g, x, dy, dgate, dgate_store});
    if (dx != nullptr)
        each(stream, g.batch * g.positions * g.channels, gate_forward_at<T>{g, dy, gate, dx, dx_store});
}

template <class T>
struct mask_at {
    float const* mask;
    T const* x;
    T* y;
    store mode;
    __device__ void operator()(std::int64_t i) const { put(y[i], mask[i] * as_float(x[i]), mode); }
};
template <class T>
void mask_elements(cudaStream_t stream, std::int64_t n, float const* mask, T const* x, T* y, store mode) {
    each(stream, n, mask_at<T>{mask, x, y, mode});
}

}  // namespace tempera::cuda_kernels
