// SPDX-License-Identifier: Apache-2.0
// The emulation itself: thread and block numbers, barriers, launches that a device refuses, and that running threads in
// both orders shows a missing barrier.

#include <cuda_runtime.h>

#include "lab.hpp"

namespace {

struct where {
    unsigned thread, block;
};

__global__ void number(where* out) {
    unsigned const thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    unsigned const block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    out[block * blockDim.x * blockDim.y * blockDim.z + thread] = {thread, block};
}

/// Rotates the values of a block by one thread, through shared memory and back, `rounds` times.
__global__ void rotate(int rounds, int* values) {
    __shared__ int shared[64];
    for (int i = 0; i < rounds; ++i) {
        shared[threadIdx.x] = values[threadIdx.x];
        __syncthreads();
        values[threadIdx.x] = shared[(threadIdx.x + 1) % blockDim.x];
        __syncthreads();
    }
}

/// Wrong: thread 1 reads what thread 0 writes, without a barrier.
__global__ void race(int* values) {
    if (threadIdx.x == 0) values[0] = 7;
    if (threadIdx.x == 1) values[1] = values[0];
}

template <class... Parameters, class... Arguments>
cudaError_t start(dim3 grid, dim3 block, void (*kernel)(Parameters...), Arguments... arguments) {
    static cudaStream_t stream = [] {
        cudaStream_t s = nullptr;
        REQUIRE(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking) == cudaSuccess);
        return s;
    }();
    cudaLaunchConfig_t config = {};
    config.gridDim = grid;
    config.blockDim = block;
    config.stream = stream;
    return cudaLaunchKernelEx(&config, kernel, arguments...);
}

}  // namespace

TEST_CASE("cuda emulation: every thread of every block runs once") {
    emulation::with const machine(lab::any_order());
    std::vector<where> seen(3 * 2 * 2 * 4 * 3 * 2, where{99, 99});
    REQUIRE(start(dim3(3, 2, 2), dim3(4, 3, 2), number, seen.data()) == cudaSuccess);
    for (unsigned i = 0; i < seen.size(); ++i) {
        CHECK(seen[i].thread == i % 24);
        CHECK(seen[i].block == i / 24);
    }
}

TEST_CASE("cuda emulation: barriers hold a whole block") {
    emulation::with const machine(lab::any_order());
    int const threads = GENERATE(1, 2, 64);
    std::vector<int> values;
    for (int i = 0; i < threads; ++i) values.push_back(i);
    REQUIRE(start(dim3(1), dim3(static_cast<unsigned>(threads)), rotate, 5, values.data()) == cudaSuccess);
    for (int i = 0; i < threads; ++i) CHECK(values[static_cast<std::size_t>(i)] == (i + 5) % threads);
}

TEST_CASE("cuda emulation: a missing barrier shows in one of the two orders") {
    std::vector<int> results;
    for (auto const order : {emulation::order::ascending, emulation::order::descending}) {
        emulation::machine m;
        m.order = order;
        emulation::with const machine(m);
        int values[2] = {1, 1};
        REQUIRE(start(dim3(1), dim3(2), race, &values[0]) == cudaSuccess);
        results.push_back(values[1]);
    }
    CHECK(results[0] != results[1]);
}

TEST_CASE("cuda emulation: what a device refuses is refused") {
    where* const nowhere = nullptr;
    CHECK(start(dim3(0), dim3(1), number, nowhere) == cudaErrorInvalidConfiguration);
    CHECK(start(dim3(1, 65536), dim3(1), number, nowhere) == cudaErrorInvalidConfiguration);
    CHECK(start(dim3(1), dim3(1025), number, nowhere) == cudaErrorInvalidConfiguration);
    CHECK(cudaGetLastError() == cudaErrorInvalidConfiguration);
    CHECK(cudaGetLastError() == cudaSuccess);

    lab::gpu device;
    lab::buffer<float> memory(device, 4);
    float host[8] = {};
    cudaStream_t const stream = device.context.stream();
    CHECK(cudaMemcpyAsync(memory.data(), host, 32, cudaMemcpyHostToDevice, stream) == cudaErrorIllegalAddress);
    CHECK(cudaMemcpyAsync(host, memory.data(), 16, cudaMemcpyHostToDevice, stream) == cudaErrorIllegalAddress);
    CHECK(cudaMemcpyAsync(host + 4, host, 16, cudaMemcpyDeviceToHost, stream) == cudaErrorIllegalAddress);
    CHECK(cudaFree(host) == cudaErrorInvalidValue);
    static_cast<void>(cudaGetLastError());
    CHECK(std::isnan(lab::from_device(device, memory)[3]));
}
