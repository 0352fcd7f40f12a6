// SPDX-License-Identifier: Apache-2.0
#pragma once
// Stands in for the CUDA Toolkit's header of this name: the words of kernels, and launches that run on the host.
// __shared__ memory is static: one block runs at a time.

#include <cmath>
#include <memory>
#include <tuple>
#include <utility>

#include "cuda_runtime_api.h"

#define __global__
#define __device__
#define __host__
#define __shared__ static thread_local
#define __launch_bounds__(...)

extern thread_local uint3 threadIdx;
extern thread_local uint3 blockIdx;
extern thread_local dim3 blockDim;
extern thread_local dim3 gridDim;

void __syncthreads();

namespace emulation {
/// Gives the stream the work of running call(data) once for every thread of the grid: block after block, a block's threads
/// between barriers in turn.
cudaError_t launch(cudaLaunchConfig_t const& config, std::size_t argument_bytes, void (*call)(void*),
                   std::shared_ptr<void> data);

constexpr unsigned warp_lanes = 32;
/// The calling thread's number in its block.
unsigned thread_number();
/// Returns when that many lanes wait here; ends the program where one waits elsewhere.
void wait_for_lanes(void const* here, unsigned lanes);

/// An instruction of a whole warp, or of more lanes: each brings its input; the last one to come turns all inputs into all
/// outputs.
template <class In, class Out, unsigned Lanes = warp_lanes>
Out with_lanes(In const& in, void (*together)(In const*, Out*)) {
    struct meeting {
        In in[Lanes];
        Out out[Lanes];
        unsigned arrived;
    };
    static thread_local meeting of_group[1024 / Lanes];
    unsigned const lane = thread_number() % Lanes;
    meeting& m = of_group[thread_number() / Lanes];
    m.in[lane] = in;
    if (++m.arrived == Lanes) {
        together(m.in, m.out);
        m.arrived = 0;
    }
    wait_for_lanes(&m, Lanes);
    return m.out[lane];
}

/// A copy that nobody sees before its thread has awaited it; zeros where source is null.
void copy_later(void* target, void const* source, std::size_t bytes);
/// Closes the thread's group of copies.
void close_copies();
/// Does the copies of all closed groups but the newest ones.
void await_copies(std::size_t newest);

/// Shared memory of the size that a launch asks for.
void* launched_memory();
/// Threads of a block that a kernel may have; one of warpgroups is compiled for compute capability 9.0 only.
int most_threads();
}  // namespace emulation

template <class... Parameters>
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, void (*)(Parameters...)) {
    attributes->maxThreadsPerBlock = emulation::most_threads();
    return cudaSuccess;
}
template <class... Parameters>
cudaError_t cudaFuncSetAttribute(void (*)(Parameters...), cudaFuncAttribute, int) {
    return cudaSuccess;
}

template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(cudaLaunchConfig_t const* config, void (*kernel)(Parameters...),
                               Arguments&&... arguments) {
    struct bound {
        void (*kernel)(Parameters...);
        std::tuple<Parameters...> values;
    };
    return emulation::launch(
        *config, (sizeof(Parameters) + ... + 0),
        [](void* p) { std::apply(static_cast<bound*>(p)->kernel, static_cast<bound*>(p)->values); },
        std::make_shared<bound>(bound{kernel, std::tuple<Parameters...>(std::forward<Arguments>(arguments)...)}));
}
