// SPDX-License-Identifier: Apache-2.0
#pragma once
// Catalogue: matrix products through cuBLAS. float32 is computed in float32, in layers in TF32 where gpu::tf32 allows it;
// bf16 and half are multiplied as they are and summed in float32.

#include <type_traits>

#include <tempera/cuda/gpu.hpp>
#include <tempera/device/matmul.hpp>

namespace tempera::cuda_kernels {

template <class T>
constexpr cudaDataType_t blas_type = std::is_same_v<T, float>  ? CUDA_R_32F
                                     : std::is_same_v<T, bf16> ? CUDA_R_16BF
                                                               : CUDA_R_16F;

/// Whether a product of float32 may be rounded as gpu::tf32 says. Losses and matmul() do not let it.
enum class product { of_a_layer, exact };

/// c (+)= factor op(a) op(b), row-major, a and b of one type, c of the same or float32. cuBLAS counts by columns, so it
/// is asked for the transpose: c' = op(b)' op(a)'.
template <class In, class Out>
void multiply_matrices(gpu& device, matmul_geometry const& g, In const* a, In const* b, Out* c, store mode,
                       product kind = product::of_a_layer, float factor = 1) {
    if (g.m == 0 || g.n == 0) return;
    float const old = mode == store::accumulate ? 1 : 0;
    bool const rounds = std::is_same_v<In, float> && device.tf32 && kind == product::of_a_layer;
    check(cublasGemmEx(device.context.blas(), g.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N,
                       g.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N, g.n, g.m, g.k, &factor, b, blas_type<In>,
                       g.transpose_b ? g.k : g.n, a, blas_type<In>, g.transpose_a ? g.m : g.k, &old, c, blas_type<Out>,
                       g.n, rounds ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
          "cublasGemmEx");
}

}  // namespace tempera::cuda_kernels

namespace tempera {

inline void matmul(gpu& device, matmul_geometry const& g, float const* a, float const* b, float* c, store mode) {
    cuda_kernels::multiply_matrices(device, g, a, b, c, mode, cuda_kernels::product::exact);
}

}  // namespace tempera
