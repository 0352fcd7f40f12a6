// SPDX-License-Identifier: Apache-2.0
#pragma once
// How kernels are started, and the plainest of them: one thread per output.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <tempera/cuda/check.hpp>
#include <tempera/cuda/elements.cuh>

namespace tempera::cuda_kernels {

/// kernel<<<grid, block, shared_bytes, stream>>>(arguments...) as a function call; throws error when the launch is refused.
template <class... Parameters, class... Arguments>
void launch_with(std::size_t shared_bytes, void (*kernel)(Parameters...), dim3 grid, dim3 block, cudaStream_t stream,
                 Arguments... arguments) {
    cudaLaunchConfig_t config = {};
    config.gridDim = grid;
    config.blockDim = block;
    config.dynamicSmemBytes = shared_bytes;
    config.stream = stream;
    if (shared_bytes > 0)
        check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes)),
              "cudaFuncSetAttribute");
    check(cudaLaunchKernelEx(&config, kernel, arguments...), "launching a kernel");
}
template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, cudaStream_t stream, Arguments... arguments) {
    launch_with(0, kernel, grid, block, stream, arguments...);
}

constexpr int each_threads = 256;
constexpr std::int64_t each_blocks = 8192;

template <class Function>
__global__ void each_kernel(std::int64_t n, Function function) {
    std::int64_t const step = std::int64_t{gridDim.x} * blockDim.x;
    for (std::int64_t i = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < n; i += step) function(i);
}

/// function(i) for 0 <= i < n, each by one thread.
template <class Function>
void each(cudaStream_t stream, std::int64_t n, Function function) {
    if (n <= 0) return;
    auto const blocks = static_cast<unsigned>(std::min((n + each_threads - 1) / each_threads, each_blocks));
    launch(each_kernel<Function>, dim3(blocks), dim3(each_threads), stream, n, function);
}

}  // namespace tempera::cuda_kernels
