// SPDX-License-Identifier: Apache-2.0
// The emulated cuBLAS: column-major products by Eigen, summed in float32, stored in the type of c.

#include "cublas_v2.h"

#include <Eigen/Core>
#include <bit>
#include <cmath>
#include <cstdint>

#include <tempera/core/precision.hpp>

#include "emulation.hpp"
#include "streams.hpp"

struct cublasContext {
    cudaStream_t stream = nullptr;
    void* workspace = nullptr;
};

namespace {

/// The nearest number with 10 bits behind the point, ties to even.
float tf32(float x) {
    auto const bits = std::bit_cast<std::uint32_t>(x);
    return std::isfinite(x) ? std::bit_cast<float>((bits + 0xfffU + ((bits >> 13) & 1U)) & ~0x1fffU) : x;
}

using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor>;

template <class T>
matrix read(void const* data, int rows, int columns, int stride) {
    matrix out(rows, columns);
    for (int j = 0; j < columns; ++j)
        for (int i = 0; i < rows; ++i)
            out(i, j) = static_cast<float>(static_cast<T const*>(data)[std::ptrdiff_t{j} * stride + i]);
    return out;
}
matrix read(cudaDataType_t type, void const* data, int rows, int columns, int stride) {
    switch (type) {
        case CUDA_R_32F: return read<float>(data, rows, columns, stride);
        case CUDA_R_16F: return read<tempera::half>(data, rows, columns, stride);
        case CUDA_R_16BF: return read<tempera::bf16>(data, rows, columns, stride);
    }
    return {};
}

std::ptrdiff_t bytes_of(cudaDataType_t type) { return type == CUDA_R_32F ? 4 : 2; }

template <class T>
void write(void* data, matrix const& values, int stride) {
    for (int j = 0; j < values.cols(); ++j)
        for (int i = 0; i < values.rows(); ++i)
            static_cast<T*>(data)[std::ptrdiff_t{j} * stride + i] = static_cast<T>(values(i, j));
}

}  // namespace

char const* cublasGetStatusString(cublasStatus_t status) {
    switch (status) {
        case CUBLAS_STATUS_SUCCESS: return "CUBLAS_STATUS_SUCCESS";
        case CUBLAS_STATUS_NOT_INITIALIZED: return "CUBLAS_STATUS_NOT_INITIALIZED";
        case CUBLAS_STATUS_ALLOC_FAILED: return "CUBLAS_STATUS_ALLOC_FAILED";
        case CUBLAS_STATUS_INVALID_VALUE: return "CUBLAS_STATUS_INVALID_VALUE";
        case CUBLAS_STATUS_NOT_SUPPORTED: return "CUBLAS_STATUS_NOT_SUPPORTED";
    }
    return "unknown";
}
cublasStatus_t cublasCreate(cublasHandle_t* handle) {
    *handle = new cublasContext;
    ++emulation::counts().live;
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasDestroy(cublasHandle_t handle) {
    delete handle;
    --emulation::counts().live;
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream) {
    handle->stream = stream;
    handle->workspace = nullptr;  // cuBLAS goes back to its own
    return CUBLAS_STATUS_SUCCESS;
}
/// Products are summed in float32 here in any mode.
cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t) {
    return handle == nullptr ? CUBLAS_STATUS_NOT_INITIALIZED : CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetWorkspace(cublasHandle_t handle, void* workspace, std::size_t) {
    handle->workspace = workspace;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int m, int n,
                            int k, void const* alpha, void const* a, cudaDataType_t a_type, int lda, void const* b,
                            cudaDataType_t b_type, int ldb, void const* beta, void* c, cudaDataType_t c_type, int ldc,
                            cublasComputeType_t compute, cublasGemmAlgo_t) {
    if (handle == nullptr || handle->stream == nullptr) return CUBLAS_STATUS_NOT_INITIALIZED;
    int const a_rows = transa == CUBLAS_OP_N ? m : k;
    int const b_rows = transb == CUBLAS_OP_N ? k : n;
    if (m < 0 || n < 0 || k < 0 || lda < std::max(1, a_rows) || ldb < std::max(1, b_rows) || ldc < std::max(1, m))
        return CUBLAS_STATUS_INVALID_VALUE;
    bool const rounds = compute == CUBLAS_COMPUTE_32F_FAST_TF32;
    if ((compute != CUBLAS_COMPUTE_32F && !rounds) || (rounds && a_type != CUDA_R_32F) || a_type != b_type || (c_type != a_type && c_type != CUDA_R_32F))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    ++emulation::counts().products;

    bool const allocates = emulation::is_capturing(handle->stream) && handle->workspace == nullptr;
    emulation::submit(handle->stream,
                      [=, factor = *static_cast<float const*>(alpha), old = *static_cast<float const*>(beta)] {
                          if (allocates)
                              ++emulation::counts().allocations;  // a graph that holds cuBLAS's own workspace
                          matrix left = read(a_type, a, a_rows, transa == CUBLAS_OP_N ? k : m, lda);
                          matrix right = read(b_type, b, b_rows, transb == CUBLAS_OP_N ? n : k, ldb);
                          if (rounds) {
                              left = left.unaryExpr(&tf32);
                              right = right.unaryExpr(&tf32);
                          }
                          matrix product(m, n);
                          if (transa == CUBLAS_OP_N && transb == CUBLAS_OP_N) product.noalias() = left * right;
                          if (transa == CUBLAS_OP_T && transb == CUBLAS_OP_N)
                              product.noalias() = left.transpose() * right;
                          if (transa == CUBLAS_OP_N && transb == CUBLAS_OP_T)
                              product.noalias() = left * right.transpose();
                          if (transa == CUBLAS_OP_T && transb == CUBLAS_OP_T)
                              product.noalias() = left.transpose() * right.transpose();
                          product *= factor;
                          if (old != 0) product += old * read(c_type, c, m, n, ldc);  // beta 0: c is not read
                          switch (c_type) {
                              case CUDA_R_32F: write<float>(c, product, ldc); break;
                              case CUDA_R_16F: write<tempera::half>(c, product, ldc); break;
                              case CUDA_R_16BF: write<tempera::bf16>(c, product, ldc); break;
                          }
                      });
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb,
                                          int m, int n, int k, void const* alpha, void const* a, cudaDataType_t a_type,
                                          int lda, long long a_stride, void const* b, cudaDataType_t b_type, int ldb,
                                          long long b_stride, void const* beta, void* c, cudaDataType_t c_type, int ldc,
                                          long long c_stride, int count, cublasComputeType_t compute,
                                          cublasGemmAlgo_t algorithm) {
    for (std::ptrdiff_t i = 0; i < count; ++i) {
        auto const status = cublasGemmEx(
            handle, transa, transb, m, n, k, alpha, static_cast<char const*>(a) + i * a_stride * bytes_of(a_type), a_type,
            lda, static_cast<char const*>(b) + i * b_stride * bytes_of(b_type), b_type, ldb, beta,
            static_cast<char*>(c) + i * c_stride * bytes_of(c_type), c_type, ldc, compute, algorithm);
        if (status != CUBLAS_STATUS_SUCCESS) return status;
    }
    return CUBLAS_STATUS_SUCCESS;
}
