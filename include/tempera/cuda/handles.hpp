// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the CUDA libraries hand out, owned: streams, events, graphs, cuBLAS handles, memory on both sides.

#include <cstddef>
#include <memory>
#include <type_traits>

#include <tempera/cuda/check.hpp>

namespace tempera::cuda_kernels {

struct destroy {
    void operator()(cudaStream_t stream) const { static_cast<void>(cudaStreamDestroy(stream)); }
    void operator()(cudaEvent_t event) const { static_cast<void>(cudaEventDestroy(event)); }
    void operator()(cudaGraph_t graph) const { static_cast<void>(cudaGraphDestroy(graph)); }
    void operator()(cudaGraphExec_t graph) const { static_cast<void>(cudaGraphExecDestroy(graph)); }
    void operator()(cublasHandle_t blas) const { static_cast<void>(cublasDestroy(blas)); }
};
template <class Handle>
using owned = std::unique_ptr<std::remove_pointer_t<Handle>, destroy>;

struct free_on_device {
    void operator()(void* memory) const { static_cast<void>(cudaFree(memory)); }
};
using device_memory = std::unique_ptr<void, free_on_device>;

/// Host memory that the device reads and writes by itself.
struct free_on_host {
    void operator()(void* memory) const { static_cast<void>(cudaFreeHost(memory)); }
};
using pinned_memory = std::unique_ptr<void, free_on_host>;

inline owned<cudaStream_t> make_stream() {
    cudaStream_t stream = nullptr;
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
    return owned<cudaStream_t>(stream);
}
inline owned<cudaEvent_t> make_event() {
    cudaEvent_t event = nullptr;
    check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreate");
    return owned<cudaEvent_t>(event);
}
inline owned<cublasHandle_t> make_blas(cudaStream_t stream) {
    cublasHandle_t blas = nullptr;
    check(cublasCreate(&blas), "cublasCreate");
    owned<cublasHandle_t> handle(blas);
    check(cublasSetStream(blas, stream), "cublasSetStream");
    // Partial sums of 16-bit products stay in float32 too.
    check(cublasSetMathMode(blas, CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION), "cublasSetMathMode");
    return handle;
}
inline pinned_memory make_pinned(std::size_t bytes) {
    void* memory = nullptr;
    cudaError_t const status = cudaMallocHost(&memory, bytes);
    if (status == cudaErrorMemoryAllocation) {
        static_cast<void>(cudaGetLastError());
        throw error("gpu, pinned host memory", {bytes, " bytes"}, "not so many", "free memory of the host");
    }
    check(status, "cudaMallocHost");
    return pinned_memory(memory);
}

}  // namespace tempera::cuda_kernels
