// SPDX-License-Identifier: Apache-2.0
#pragma once
// Catalogue: convolution on the device, as matrix products. method_of chooses:
//
//   | method       | for                                     | forward       | backward data         | backward weights |
//   | product      | kernel 1, stride 1, no padding          | x w'          | dy w                  | dy' x            |
//   | tensor_cores | bf16 and half, out_channels in chunks   | window sum    | window sums           | columns' dy      |
//   | columns      | all others                              | columns(x) w' | gather_gradient(dy w) | dy' columns(x)   |
//
// For a predictor, whose filters are T once and for all and whose sums go on to bias, residual and ReLU, tensor cores take
// kernel 1 as well. Products are cuBLAS's. Window sums are kernels that gather while they multiply (window_sum.cuh,
// weight_gradient.cuh), in chunks of 8 channels; where in_channels are none, a copy of x or dx has zeros behind them
// (tensor_convolution.hpp).
// The column matrix holds as many samples as fit a fixed budget (convolution.cuh).

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <tempera/cuda/batch_norm.hpp>
#include <tempera/cuda/launch.hpp>
#include <tempera/cuda/matmul.hpp>
#include <tempera/cuda/tensor_convolution.hpp>
#include <tempera/device/convolution.hpp>

namespace tempera::cuda_kernels {

enum class convolution_method : std::uint8_t { product, tensor_cores, columns };

inline bool is_product(convolution_geometry const& g) {
    return g.kernel == 1 && g.stride == 1 && g.pad_top == 0 && g.pad_left == 0 && g.in_height == g.out_height &&
           g.in_width == g.out_width;
}

template <class T>
convolution_method method_of(convolution_geometry const& g, T const* y) {
    if (is_product(g)) return convolution_method::product;
    if (suits_tensor_cores(g, y)) return convolution_method::tensor_cores;
    return convolution_method::columns;
}

/// Tensor cores wherever they can, kernel 1 too: y is not read again for its epilogue.
template <class T>
convolution_method method_of(convolution_geometry const& g, convolution_epilogue<T> const& epilogue, T const* y) {
    if (suits_tensor_cores(g, y) && aligned_to_packs(epilogue.residual)) return convolution_method::tensor_cores;
    return is_product(g) ? convolution_method::product : convolution_method::columns;
}

/// How a product or a convolution by columns is cut into chunks of samples, and where its scratch memory lies.
template <class T, class Column>
struct convolution_plan {
    bool plain;        ///< x is its own column matrix
    int depth;         ///< columns of the column matrix: kernel * kernel * in_channels
    int positions;     ///< rows of one sample
    int samples;       ///< samples per chunk
    T const* weights;  ///< in the activations' type
    Column* columns;
    float* sums;  ///< scratch of bias_gradient

    /// Filters are `packed`, which is T, or w, converted; neither where none are needed.
    convolution_plan(gpu& device, convolution_method method, convolution_geometry const& g, float const* w,
                     T const* packed = nullptr)
        : plain(method == convolution_method::product),
          depth(g.kernel * g.kernel * g.in_channels),
          positions(g.out_height * g.out_width) {
        std::int64_t const sample_bytes = std::int64_t{depth} * positions * static_cast<std::int64_t>(sizeof(Column));
        samples = plain ? g.batch
                        : static_cast<int>(std::clamp<std::int64_t>(device.context.tile_bytes / sample_bytes, 1,
                                                                    std::max(g.batch, 1)));
        bool const own_weights = w != nullptr && packed == nullptr && !std::is_same_v<T, float>;
        std::size_t const weight_bytes =
            own_weights ? scratch_part(static_cast<std::size_t>(g.weight_size()) * sizeof(T)) : 0;
        std::size_t const tile_bytes = plain ? 0 : scratch_part(static_cast<std::size_t>(sample_bytes * samples));
        std::int64_t const rows = std::int64_t{g.batch} * positions;
        auto const sum_bytes = static_cast<std::size_t>(column_floats(rows, g.out_channels, 1)) * sizeof(float);
        auto* const memory = static_cast<std::byte*>(device.context.scratch(weight_bytes + tile_bytes + sum_bytes));
        columns = reinterpret_cast<Column*>(memory + weight_bytes);
        sums = reinterpret_cast<float*>(memory + weight_bytes + tile_bytes);
        if constexpr (std::is_same_v<T, float>) {
            weights = w;
        } else {
            weights = own_weights ? reinterpret_cast<T*>(memory) : packed;
            if (own_weights) convert(device.context.stream(), g.weight_size(), w, reinterpret_cast<T*>(memory));
        }
    }

    /// function(first, samples) for each chunk.
    template <class Function>
    void each_chunk(int batch, Function function) const {
        for (int first = 0; first < batch; first += samples) function(first, std::min(samples, batch - first));
    }
};

/// packed: filters as T; null: they are converted from w.
template <class T>
void forward_by(convolution_method method, gpu& device, convolution_geometry const& g, T const* x, float const* w,
                T const* packed, convolution_epilogue<T> const& epilogue, T* y) {
    if (g.out_size() == 0) return;
    if constexpr (tensor_element<T>) {
        if (method == convolution_method::tensor_cores)
            return tensor_convolution_forward(device, g, x, w, packed, epilogue, y);
    }
    bool const plain = whole_chunks(g.in_channels) == g.in_channels;  // packed as w
    convolution_plan<T, T> const plan(device, method, g, w, plain ? packed : nullptr);
    plan.each_chunk(g.batch, [&](int first, int samples) {
        T const* columns = x;
        if (!plan.plain) {
            gather_columns(device.context.stream(), g, first, samples, x, plan.columns);
            columns = plan.columns;
        }
        matmul_geometry const product{
            .m = samples * plan.positions, .n = g.out_channels, .k = plan.depth, .transpose_b = true};
        T* const to = y + std::int64_t{first} * plan.positions * g.out_channels;
        multiply_matrices(device, product, columns, plan.weights, to, store::write);
    });
    if (epilogue.bias != nullptr || epilogue.residual != nullptr || epilogue.relu)
        apply_epilogue(device.context.stream(), std::int64_t{g.batch} * plan.positions, g.out_channels, epilogue, y);
}

}  // namespace tempera::cuda_kernels

namespace tempera {

template <gpu_element T>
void convolution_forward(gpu& device, convolution_geometry const& g, T const* x, float const* w, float const* bias,
                         T* y) {
    cuda_kernels::forward_by<T>(cuda_kernels::method_of(g, y), device, g, x, w, nullptr, {.bias = bias}, y);
}

/// Filters as T, with channels in whole chunks, in blocks of positions, take half of their floats.
template <cuda_kernels::tensor_element T>
std::int64_t packed_filters(gpu&, convolution_geometry const& g) {
    return (cuda_kernels::in_blocks(g).weight_size() + 1) / 2;
}
template <cuda_kernels::tensor_element T>
void pack_filters(gpu& device, convolution_geometry const& g, float const* w, float* packed) {
    cuda_kernels::filters_in_blocks(device.context.stream(), g, w, reinterpret_cast<T*>(packed));
}
template <gpu_element T>
void convolution_forward(gpu& device, convolution_geometry const& g, T const* x, float const* w, float const* packed,
                         convolution_epilogue<T> const& epilogue, T* y) {
    cuda_kernels::forward_by(cuda_kernels::method_of(g, epilogue, y), device, g, x, w,
                             reinterpret_cast<T const*>(packed), epilogue, y);
}

/// Tensor cores wherever they can, kernel 1 too: y is not read again for its statistics.
template <gpu_element T>
void convolution_statistics(gpu& device, convolution_geometry const& g, T const* x, float const* w, float const* bias,
                            T* y, batch_norm_statistics_target const& target) {
    if constexpr (cuda_kernels::tensor_element<T>) {
        if (cuda_kernels::suits_tensor_cores(g, y))
            return cuda_kernels::tensor_convolution_statistics(device, g, x, w, bias, y, target);
    }
    convolution_forward(device, g, x, w, bias, y);
    batch_norm_geometry const map{.rows = std::int64_t{1} * g.batch * g.out_height * g.out_width,
                                  .channels = g.out_channels};
    batch_norm_statistics(device, map, static_cast<T const*>(y), target);
}

template <gpu_element T>
void convolution_backward_data(gpu& device, convolution_geometry const& g, T const* dy, float const* w, T* dx,
                               store mode) {
    if (g.in_size() == 0) return;
    auto const method = cuda_kernels::method_of(g, dy);
    if constexpr (cuda_kernels::tensor_element<T>) {
        if (method == cuda_kernels::convolution_method::tensor_cores)
            return cuda_kernels::tensor_convolution_backward_data(device, g, dy, w, dx, mode);
    }
    cuda_kernels::convolution_plan<T, float> const plan(device, method, g, w);
    plan.each_chunk(g.batch, [&](int first, int samples) {
        matmul_geometry const product{.m = samples * plan.positions, .n = plan.depth, .k = g.out_channels};
        T const* const from = dy + std::int64_t{first} * plan.positions * g.out_channels;
        if (plan.plain) {
            cuda_kernels::multiply_matrices(device, product, from, plan.weights, dx, mode);
        } else {
            cuda_kernels::multiply_matrices(device, product, from, plan.weights, plan.columns, store::write);
            cuda_kernels::gather_gradient(device.context.stream(), g, first, samples,
                                          static_cast<float const*>(plan.columns), dx, mode);
        }
    });
}

template <gpu_element T>
void convolution_backward_weights(gpu& device, convolution_geometry const& g, T const* x, T const* dy, float* dw,
                                  float* dbias, store mode) {
    auto const method = cuda_kernels::method_of(g, dy);
    if constexpr (cuda_kernels::tensor_element<T>) {
        if (method == cuda_kernels::convolution_method::tensor_cores)
            return cuda_kernels::tensor_convolution_backward_weights(device, g, x, dy, dw, dbias, mode);
    }
    cuda_kernels::convolution_plan<T, T> const plan(device, method, g, nullptr);
    if (g.batch == 0 && mode == store::write) {
        cuda_kernels::fill(device.context.stream(), g.weight_size(), 0.0F, dw);
    }
    plan.each_chunk(g.batch, [&](int first, int samples) {
        T const* columns = x;
        if (!plan.plain) {
            cuda_kernels::gather_columns(device.context.stream(), g, first, samples, x, plan.columns);
            columns = plan.columns;
        }
        matmul_geometry const product{
            .m = g.out_channels, .n = plan.depth, .k = samples * plan.positions, .transpose_a = true};
        T const* const from = dy + std::int64_t{first} * plan.positions * g.out_channels;
        cuda_kernels::multiply_matrices(device, product, from, columns, dw, first == 0 ? mode : store::accumulate);
    });
    if (dbias != nullptr)
        cuda_kernels::bias_gradient(device.context.stream(), std::int64_t{g.batch} * plan.positions, g.out_channels, dy,
                                    dbias, mode, plan.sums);
}

}  // namespace tempera
