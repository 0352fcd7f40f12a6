// SPDX-License-Identifier: Apache-2.0
#pragma once
// Failures of the CUDA runtime and of cuBLAS as tempera::error: which call, what it said, what to do.

#include <cublas_v2.h>
#include <cuda_runtime_api.h>

#include <tempera/core/error.hpp>

namespace tempera::cuda_kernels {

/// What a user can do about a failure of the runtime.
inline char const* advice_for(cudaError_t status) {
    switch (status) {
        case cudaErrorNoDevice: return "use cpu, or check that nvidia-smi lists a GPU";
        case cudaErrorInsufficientDriver: return "install a newer NVIDIA driver";
        case cudaErrorMemoryAllocation: return "lower the batch, or choose recompute";
        case cudaErrorUnsupportedPtxVersion:
            return "install a newer NVIDIA driver, or build tempera::cuda for this GPU (TEMPERA_CUDA_ARCHITECTURES)";
        case cudaErrorInvalidPtx:
        case cudaErrorInvalidDeviceFunction:
        case cudaErrorNoKernelImageForDevice:
            return "build tempera::cuda for this GPU's architecture (TEMPERA_CUDA_ARCHITECTURES)";
        case cudaErrorStreamCaptureUnsupported:
        case cudaErrorStreamCaptureInvalidated:
            return "keep out of a captured step what waits for the device, allocates, or copies from pageable memory";
        default: return "run under compute-sanitizer to find the call that failed";
    }
}

/// Throws error unless status is success. `call` names what was asked for.
inline void check(cudaError_t status, char const* call) {
    if (status == cudaSuccess) return;
    static_cast<void>(cudaGetLastError());  // a failure that was reported does not haunt the next call
    throw error({"gpu, ", call}, "success", {cudaGetErrorName(status), " (", cudaGetErrorString(status), ")"},
                advice_for(status));
}

inline void check(cublasStatus_t status, char const* call) {
    if (status == CUBLAS_STATUS_SUCCESS) return;
    bool const memory = status == CUBLAS_STATUS_ALLOC_FAILED || status == CUBLAS_STATUS_NOT_INITIALIZED;
    throw error({"gpu, ", call}, "success", cublasGetStatusString(status),
                memory ? "free memory of the GPU, or check that the libraries of CUDA and the driver fit together"
                       : "check that the libraries of CUDA and the driver fit together");
}

}  // namespace tempera::cuda_kernels
