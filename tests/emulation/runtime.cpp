// SPDX-License-Identifier: Apache-2.0
// The emulated CUDA runtime but for streams: errors, devices, and device memory, which is host memory full of NaN.

#include "cuda_runtime_api.h"

#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>

#include "emulation.hpp"
#include "streams.hpp"

namespace emulation {

machine& settings() {
    static machine m;
    return m;
}
counters& counts() {
    static counters c;
    return c;
}

namespace {

cudaError_t last = cudaSuccess;
std::map<char const*, std::size_t> blocks;  // live device memory
std::map<char const*, std::size_t> pinned;  // live host memory that the device reads
std::size_t used = 0;
constexpr std::size_t largest_filled = std::size_t{32} << 20;

bool within(std::map<char const*, std::size_t> const& known, void const* p, std::size_t bytes) {
    auto const* const at = static_cast<char const*>(p);
    auto block = known.upper_bound(at);
    if (block == known.begin()) return false;
    block = std::prev(block);
    return at >= block->first && at + bytes <= block->first + block->second;
}
bool on_device(void const* p, std::size_t bytes) { return within(blocks, p, bytes); }

}  // namespace

cudaError_t failed(cudaError_t status) {
    if (status != cudaSuccess) last = status;
    return status;
}

}  // namespace emulation

using emulation::counts;
using emulation::failed;
using emulation::settings;

char const* cudaGetErrorName(cudaError_t status) {
    switch (status) {
        case cudaSuccess: return "cudaSuccess";
        case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
        case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
        case cudaErrorInvalidConfiguration: return "cudaErrorInvalidConfiguration";
        case cudaErrorInvalidMemcpyDirection: return "cudaErrorInvalidMemcpyDirection";
        case cudaErrorInsufficientDriver: return "cudaErrorInsufficientDriver";
        case cudaErrorNoDevice: return "cudaErrorNoDevice";
        case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
        case cudaErrorNoKernelImageForDevice: return "cudaErrorNoKernelImageForDevice";
        case cudaErrorInvalidDeviceFunction: return "cudaErrorInvalidDeviceFunction";
        case cudaErrorInvalidPtx: return "cudaErrorInvalidPtx";
        case cudaErrorUnsupportedPtxVersion: return "cudaErrorUnsupportedPtxVersion";
        case cudaErrorInvalidResourceHandle: return "cudaErrorInvalidResourceHandle";
        case cudaErrorIllegalAddress: return "cudaErrorIllegalAddress";
        case cudaErrorStreamCaptureUnsupported: return "cudaErrorStreamCaptureUnsupported";
        case cudaErrorStreamCaptureInvalidated: return "cudaErrorStreamCaptureInvalidated";
    }
    return "cudaErrorUnknown";
}
char const* cudaGetErrorString(cudaError_t status) { return status == cudaSuccess ? "no error" : "emulated"; }
cudaError_t cudaGetLastError() {
    cudaError_t const status = emulation::last;
    emulation::last = cudaSuccess;
    return status;
}

cudaError_t cudaDriverGetVersion(int* version) {
    *version = settings().driver;
    return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
    *version = settings().runtime;
    return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* count) {
    *count = settings().devices;
    return settings().devices == 0 ? failed(cudaErrorNoDevice) : cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
    if (device < 0 || device >= settings().devices) return failed(cudaErrorInvalidDevice);
    *value = attribute == cudaDevAttrComputeCapabilityMajor ? settings().compute_major : settings().compute_minor;
    return cudaSuccess;
}

cudaError_t cudaMalloc(void** memory, std::size_t bytes) {
    *memory = nullptr;
    if (auto const refused = emulation::refuse_in_capture(); refused != cudaSuccess) return refused;
    if (bytes > settings().memory - emulation::used) return failed(cudaErrorMemoryAllocation);
    std::size_t const rounded = (bytes + 255) / 256 * 256;
    auto* const p = static_cast<char*>(std::aligned_alloc(256, rounded));
    if (p == nullptr) return failed(cudaErrorMemoryAllocation);
    // NaN in every float format, so that reading before writing shows; cuBLAS's large workspace is never read
    if (rounded < emulation::largest_filled) std::memset(p, 0xff, rounded);
    emulation::blocks[p] = bytes;
    emulation::used += bytes;
    ++counts().allocations;
    ++counts().live;
    *memory = p;
    return cudaSuccess;
}
cudaError_t cudaFree(void* memory) {
    if (memory == nullptr) return cudaSuccess;
    if (auto const refused = emulation::refuse_in_capture(); refused != cudaSuccess) return refused;
    emulation::finish_all();  // it waits for the device
    auto const block = emulation::blocks.find(static_cast<char*>(memory));
    if (block == emulation::blocks.end()) return failed(cudaErrorInvalidValue);
    emulation::used -= block->second;
    emulation::blocks.erase(block);
    std::free(memory);
    --counts().live;
    return cudaSuccess;
}
cudaError_t cudaMallocHost(void** memory, std::size_t bytes) {
    *memory = nullptr;
    if (auto const refused = emulation::refuse_in_capture(); refused != cudaSuccess) return refused;
    *memory = std::malloc(bytes);
    emulation::pinned[static_cast<char*>(*memory)] = bytes;
    ++counts().allocations;
    ++counts().live;
    return cudaSuccess;
}
cudaError_t cudaFreeHost(void* memory) {
    if (memory == nullptr) return cudaSuccess;
    if (auto const refused = emulation::refuse_in_capture(); refused != cudaSuccess) return refused;
    emulation::finish_all();
    if (emulation::pinned.erase(static_cast<char*>(memory)) == 0) return failed(cudaErrorInvalidValue);
    std::free(memory);
    --counts().live;
    return cudaSuccess;
}
cudaError_t cudaMemGetInfo(std::size_t* left, std::size_t* all) {
    *all = settings().memory;
    *left = *all - emulation::used;
    return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* target, void const* source, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
    if (stream == nullptr || emulation::device_of(stream) != emulation::current_device())
        return failed(cudaErrorInvalidResourceHandle);
    bool const to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    bool const from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    if (emulation::on_device(target, bytes) != to_device || emulation::on_device(source, bytes) != from_device)
        return failed(cudaErrorIllegalAddress);
    bool const pageable = (!to_device && !emulation::within(emulation::pinned, target, bytes)) ||
                          (!from_device && !emulation::within(emulation::pinned, source, bytes));
    if (pageable && emulation::is_capturing(stream)) return emulation::refuse_in_capture();
    emulation::submit(stream, [=] { std::memcpy(target, source, bytes); });
    if (pageable) emulation::finish(stream);  // the runtime is done with such memory when it returns
    return cudaSuccess;
}
