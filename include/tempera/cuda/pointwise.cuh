// SPDX-License-Identifier: Apache-2.0
#pragma once
// Kernels of device/pointwise.hpp: element by element, or by the channels of a sample.

#include <tempera/cuda/along_positions.cuh>
#include <tempera/cuda/elementwise.cuh>
#include <tempera/cuda/launch.hpp>

namespace tempera::cuda_kernels {

struct rectify {
    __device__ float operator()(float x) const { return rectified(x); }
};
template <class T>
void relu_forward(cudaStream_t stream, std::int64_t n, T const* x, T* y) {
    elementwise(stream, n, rectify{}, store::write, y, x);
}
struct where_positive {
    __device__ float operator()(float y, float dy) const { return y > 0 ? dy : 0; }
};
template <class T>
void relu_backward(cudaStream_t stream, std::int64_t n, T const* y, T const* dy, T* dx, store mode) {
    elementwise(stream, n, where_positive{}, mode, dx, y, dy);
}

struct logistic {
    __device__ float operator()(float x) const { return 1 / (1 + expf(-x)); }
};
template <class T>
void sigmoid_forward(cudaStream_t stream, std::int64_t n, T const* x, T* y) {
    elementwise(stream, n, logistic{}, store::write, y, x);
}
struct logistic_gradient {
    __device__ float operator()(float y, float dy) const { return dy * y * (1 - y); }
};
template <class T>
void sigmoid_backward(cudaStream_t stream, std::int64_t n, T const* y, T const* dy, T* dx, store mode) {
    elementwise(stream, n, logistic_gradient{}, mode, dx, y, dy);
}

struct sum_of_two {
    __device__ float operator()(float a, float b) const { return a + b; }
};
template <class T>
void add_forward(cudaStream_t stream, std::int64_t n, T const* a, T const* b, T* y) {
    elementwise(stream, n, sum_of_two{}, store::write, y, a, b);
}

struct product_of_two {
    __device__ float operator()(float a, float b) const { return a * b; }
};
template <class T>
void multiply(cudaStream_t stream, std::int64_t n, T const* a, T const* b, T* y, store mode) {
    elementwise(stream, n, product_of_two{}, mode, y, a, b);
}
template <class T>
void mask_elements(cudaStream_t stream, std::int64_t n, float const* mask, T const* x, T* y, store mode) {
    elementwise(stream, n, product_of_two{}, mode, y, mask, x);
}

struct same {
    __device__ float operator()(float x) const { return x; }
};
template <class T>
void copy(cudaStream_t stream, std::int64_t n, T const* x, T* y, store mode) {
    elementwise(stream, n, same{}, mode, y, x);
}
template <class From, class To>
void convert(cudaStream_t stream, std::int64_t n, From const* x, To* y) {
    elementwise(stream, n, same{}, store::write, y, x);
}

struct constant {
    float value;
    __device__ float operator()() const { return value; }
};
template <class T>
void fill(cudaStream_t stream, std::int64_t n, float value, T* y) {
    elementwise(stream, n, constant{value}, store::write, y);
}

struct multiple {
    float factor;
    __device__ float operator()(float x) const { return factor * x; }
};
template <class T>
void scale(cudaStream_t stream, std::int64_t n, float factor, T* y) {
    elementwise(stream, n, multiple{factor}, store::write, y, static_cast<T const*>(y));
}

/// x and y begin with the first channel that is copied.
template <class T>
struct copy_channels_work {
    static constexpr int sums = 0, ahead = 1;
    int source_channels;
    int target_channels;
    T const* x;
    T* y;
    store mode;

    struct none {};
    template <int Width>
    __device__ none factors(int, int) const {
        return {};
    }
    template <int Width>
    __device__ pack<T, Width> load(std::int64_t row, int c, none) const {
        return load_pack<Width>(x + row * source_channels + c);
    }
    template <int Width>
    __device__ void operator()(std::int64_t row, int c, none, pack<T, Width> const& loaded, float (&)[Width]) const {
        put_pack<same, T, Width, T>(same{}, mode, y + row * target_channels + c, loaded);
    }
};
template <class T>
void copy_channels(cudaStream_t stream, channel_copy const& c, T const* x, T* y, store mode) {
    x += c.source_begin;
    y += c.target_begin;
    // where the second rows begin: packs need every row aligned
    along_positions<T>(stream, 1, c.rows, c.count,
                       copy_channels_work<T>{c.source_channels, c.target_channels, x, y, mode},
                       {x, y, x + c.source_channels, y + c.target_channels});
}

/// y (+)= x gate.
template <class T>
struct gate_forward_work {
    static constexpr int sums = 0, ahead = 1;
    int channels;
    T const* x;
    float const* gate;
    T* y;
    store mode;

    template <int Width>
    __device__ pack<float, Width> factors(int sample, int c) const {
        pack<float, Width> of_channels;
        for (int k = 0; k < Width; ++k) of_channels.at[k] = gate[std::int64_t{sample} * channels + c + k];
        return of_channels;
    }
    template <int Width>
    __device__ pack<T, Width> load(std::int64_t row, int c, pack<float, Width> const&) const {
        return load_pack<Width>(x + row * channels + c);
    }
    template <int Width>
    __device__ void operator()(std::int64_t row, int c, pack<float, Width> const& factors, pack<T, Width> const& loaded,
                               float (&)[Width]) const {
        put_pack<product_of_two, T, Width, float, T>(product_of_two{}, mode, y + row * channels + c, factors, loaded);
    }
};
template <class T>
void gate_forward(cudaStream_t stream, gate_geometry const& g, T const* x, float const* gate, T* y) {
    along_positions<T>(stream, g.batch, g.positions, g.channels,
                       gate_forward_work<T>{g.channels, x, gate, y, store::write}, {x, y});
}

/// The gradient of x where it is wanted, and the sums of x dy.
template <class T>
struct gate_backward_work {
    static constexpr int sums = 1, ahead = 1;
    gate_forward_work<T> of_dy;
    T const* x;

    template <int Width>
    __device__ pack<float, Width> factors(int sample, int c) const {
        return of_dy.template factors<Width>(sample, c);
    }
    template <int Width>
    struct maps {
        pack<T, Width> x;
        pack<T, Width> dy;
    };
    template <int Width>
    __device__ maps<Width> load(std::int64_t row, int c, pack<float, Width> const& factors) const {
        return {load_pack<Width>(x + row * of_dy.channels + c), of_dy.load(row, c, factors)};
    }
    template <int Width>
    __device__ void operator()(std::int64_t row, int c, pack<float, Width> const& factors, maps<Width> const& loaded,
                               float (&sum)[Width]) const {
        for (int k = 0; k < Width; ++k) sum[k] += as_float(loaded.x.at[k]) * as_float(loaded.dy.at[k]);
        if (of_dy.y != nullptr) of_dy(row, c, factors, loaded.dy, sum);
    }
};
struct finish_gate_sums {
    float* dgate;
    store mode;
    __device__ void operator()(std::int64_t i, float sum) const { put(dgate[i], sum, mode); }
};
template <class T>
void gate_backward(cudaStream_t stream, gate_geometry const& g, T const* x, float const* gate, T const* dy, T* dx,
                   store dx_store, float* dgate, store dgate_store, float* scratch) {
    gate_forward_work<T> const of_dy{g.channels, dy, gate, dx, dx_store};
    if (dgate == nullptr) {
        if (dx != nullptr) along_positions<T>(stream, g.batch, g.positions, g.channels, of_dy, {dy, dx});
        return;
    }
    along_positions<T>(stream, g.batch, g.positions, g.channels, gate_backward_work<T>{of_dy, x}, {x, dy, dx}, scratch);
    add_position_splits<T>(stream, g.batch, g.positions, g.channels, finish_gate_sums{dgate, dgate_store}, scratch);
}

}  // namespace tempera::cuda_kernels
