// SPDX-License-Identifier: Apache-2.0
#pragma once
// Stands in for the CUDA Toolkit's header of this name: the words of kernels, and launches that run on the host.
// __shared__ memory is static: one block runs at a time.

#include <cmath>
#include <tuple>
#include <utility>

#include "cuda_runtime_api.h"

#define __global__
#define __device__
#define __host__
#define __shared__ static thread_local

extern thread_local uint3 threadIdx;
extern thread_local uint3 blockIdx;
extern thread_local dim3 blockDim;
extern thread_local dim3 gridDim;

void __syncthreads();

namespace emulation {
/// Runs call(data) once for every thread of the grid: block after block, a block's threads between barriers in turn.
cudaError_t launch(cudaLaunchConfig_t const& config, std::size_t argument_bytes, void (*call)(void*), void* data);
}  // namespace emulation

template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(cudaLaunchConfig_t const* config, void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
    struct bound {
        void (*kernel)(Parameters...);
        std::tuple<Parameters...> values;
    } data{kernel, std::tuple<Parameters...>(std::forward<Arguments>(arguments)...)};
    return emulation::launch(*config, (sizeof(Parameters) + ... + 0),
                             [](void* p) { std::apply(static_cast<bound*>(p)->kernel, static_cast<bound*>(p)->values); },
                             &data);
}
