// SPDX-License-Identifier: Apache-2.0
#pragma once
// Catalogue: NT-Xent on the device (formulas in device/losses.hpp and contrastive.cuh). Embeddings are multiplied as
// exactly as in float32, whatever gpu::tf32 says: normalized ones in pairs of halves on tensor cores, others in float32.

#include <algorithm>
#include <cstdint>

#include <tempera/cuda/losses.hpp>
#include <tempera/cuda/matmul.hpp>

namespace tempera::cuda_kernels {

/// Tensor cores truncate where they add, so a sum over all columns would drift: they add up so many at a time.
inline constexpr int columns_per_part = 512;

/// Rows of logits at a time.
inline int contrastive_tile_rows(gpu_context const& context, int rows) {
    std::int64_t const fitting = context.tile_bytes / (std::int64_t{4} * rows);
    return static_cast<int>(std::min<std::int64_t>(std::max<std::int64_t>(fitting, context.tile_rows), rows));
}

/// Where things lie in scratch memory, in floats: sums and terms of the loss first.
struct contrastive_scratch {
    std::int64_t log_sums, pull, tile;
    std::int64_t inverse, embeddings, products;  ///< of normalized embeddings
    std::int64_t size = 0;

    contrastive_scratch(contrastive_geometry const& g, int tile_rows, int parts) {
        std::int64_t const rows = std::int64_t{2} * g.pairs;
        place(loss_floats(rows));
        log_sums = place(rows);
        pull = place(rows);
        tile = place(tile_rows * rows);
        inverse = place(g.normalize ? rows : 0);
        embeddings = place(g.normalize ? split_parts * rows * g.channels / 2 : 0);
        products = place(g.normalize ? std::int64_t{parts} * tile_rows * 2 * g.channels : 0);
    }

private:
    std::int64_t place(std::int64_t floats) {
        std::int64_t const at = size;
        size += (floats + 63) / 64 * 64;
        return at;
    }
};

/// tile = the logits of rows first .. first + count - 1
inline void split_logits(gpu& device, contrastive_geometry const& g, half const* embeddings, int first, int count,
                         float* tile) {
    int const rows = 2 * g.pairs;
    int const stride = split_parts * g.channels;
    float const factor = 1 / (split_scale * split_scale) / g.temperature;
    float const zero = 0;
    check(cublasGemmEx(device.context.blas(), CUBLAS_OP_T, CUBLAS_OP_N, rows, count, 3 * g.channels, &factor,
                       embeddings + g.channels, CUDA_R_16F, stride, embeddings + std::int64_t{first} * stride,
                       CUDA_R_16F, stride, &zero, tile, CUDA_R_32F, rows, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
          "cublasGemmEx");
}

/// products[part] = factor (weights of the part's columns) (their embeddings), as contrastive_gradient expects it
inline void split_weighted(gpu& device, contrastive_geometry const& g, half const* embeddings, int count,
                           half const* weights, float factor, float* products) {
    int const rows = 2 * g.pairs;
    int const width = 2 * g.channels;
    float const scaled = factor / (split_scale * split_scale);
    float const zero = 0;
    auto const multiply = [&](int first_part, int parts, int columns) {
        std::int64_t const first = std::int64_t{2} * first_part * columns_per_part;  // halves of a row of weights
        check(cublasGemmStridedBatchedEx(device.context.blas(), CUBLAS_OP_N, CUBLAS_OP_N, width, count, 2 * columns,
                                         &scaled, embeddings + first * width, CUDA_R_16F, width,
                                         std::int64_t{2} * columns * width, weights + first, CUDA_R_16F, 2 * rows,
                                         std::int64_t{2} * columns, &zero,
                                         products + std::int64_t{first_part} * count * width, CUDA_R_32F, width,
                                         std::int64_t{count} * width, parts, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
              "cublasGemmStridedBatchedEx");
    };
    int const whole = rows / columns_per_part;
    int const rest = rows % columns_per_part;
    if (whole > 0) multiply(0, whole, columns_per_part);
    if (rest > 0) multiply(whole, 1, rest);
}

}  // namespace tempera::cuda_kernels

namespace tempera {

/// Needs scratch memory for a tile of rows of 2N logits (contrastive_tile_rows); where h is normalized
/// also for twice the bytes of h and half a tile's for every 128 channels.
inline loss_value contrastive_cross_entropy(gpu& device, contrastive_geometry const& g, float const* h, float weight,
                                            float* dh, store mode) {
    if (g.pairs == 0) return {};
    int const rows = 2 * g.pairs;
    int const parts = (rows + cuda_kernels::columns_per_part - 1) / cuda_kernels::columns_per_part;
    int const tile_rows = cuda_kernels::contrastive_tile_rows(device.context, rows);

    cuda_kernels::contrastive_scratch const places(g, tile_rows, parts);
    float* const scratch = device.context.float_scratch(places.size);
    float* const terms = scratch + 8;
    float* const log_sums = scratch + places.log_sums;
    float* const pull = scratch + places.pull;
    float* const tile = scratch + places.tile;
    float* const inverse = scratch + places.inverse;
    half* const embeddings = reinterpret_cast<half*>(scratch + places.embeddings);
    float* const products = scratch + places.products;

    cudaStream_t const stream = device.context.stream();
    if (g.normalize) cuda_kernels::split_embeddings(stream, rows, g.channels, h, embeddings, inverse);
    auto const each_tile = [&](auto const& function) {
        for (int first = 0; first < rows; first += tile_rows) {
            int const count = std::min(tile_rows, rows - first);
            if (g.normalize) cuda_kernels::split_logits(device, g, embeddings, first, count, tile);
            else
                cuda_kernels::multiply_matrices(device, {.m = count, .n = rows, .k = g.channels, .transpose_b = true},
                                                h + std::int64_t{first} * g.channels, h, tile, store::write,
                                                cuda_kernels::product::exact, 1 / g.temperature);
            function(first, count);
        }
    };
    each_tile([&](int first, int count) {
        cuda_kernels::contrastive_rows(stream, g, first, count, tile, log_sums, pull, terms);
    });
    cuda_kernels::sum_row_terms(stream, rows, terms, scratch);
    float const factor = weight / (static_cast<float>(g.pairs) * g.temperature);
    auto const gradient = [&](int first, int count) {
        if (g.normalize) {
            cuda_kernels::contrastive_split_weights(stream, g, first, count, log_sums, pull, tile);
            cuda_kernels::split_weighted(device, g, embeddings, count, reinterpret_cast<half const*>(tile), factor,
                                         products);
            cuda_kernels::contrastive_gradient(stream, g, first, count, parts, products, embeddings, inverse, dh, mode);
        } else {
            cuda_kernels::contrastive_weights(stream, g, first, count, log_sums, pull, tile);
            cuda_kernels::multiply_matrices(device, {.m = count, .n = g.channels, .k = rows},
                                            static_cast<float const*>(tile), h, dh + std::int64_t{first} * g.channels,
                                            mode, cuda_kernels::product::exact, factor);
        }
    };
    if (dh != nullptr) each_tile(gradient);
    return cuda_kernels::deliver(device, "contrastive_cross_entropy", 0, scratch, static_cast<float>(g.pairs), weight);
}

}  // namespace tempera
