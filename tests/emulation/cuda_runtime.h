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
/// Returns when every lane of the warp waits here; ends the program where one waits elsewhere.
void wait_for_lanes(void const* here);

/// An instruction of a whole warp: each lane brings its input; the last one to come turns all inputs into all outputs.
template <class In, class Out>
Out with_lanes(In const& in, void (*together)(In const*, Out*)) {
    struct meeting {
        In in[warp_lanes];
        Out out[warp_lanes];
        unsigned arrived;
    };
    static thread_local meeting of_warp[1024 / warp_lanes];
    unsigned const lane = thread_number() % warp_lanes;
    meeting& m = of_warp[thread_number() / warp_lanes];
    m.in[lane] = in;
    if (++m.arrived == warp_lanes) {
        together(m.in, m.out);
        m.arrived = 0;
    }
    wait_for_lanes(&m);
    return m.out[lane];
}

/// A copy that nobody sees before its thread has awaited it; zeros where source is null.
void copy_later(void* target, void const* source, std::size_t bytes);
/// Closes the thread's group of copies.
void close_copies();
/// Does the copies of all closed groups but the newest ones.
void await_copies(std::size_t newest);
}  // namespace emulation

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
