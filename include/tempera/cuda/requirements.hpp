// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a machine must have before a gpu can be opened, and what is said where it has not.

#include <string>

#include <tempera/cuda/check.hpp>

namespace tempera::cuda_kernels {

/// 12040 as "12.4".
inline std::string version_text(int number) {
    return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
}

inline void require_driver(std::string const& name) {
    int driver = 0;
    int runtime = 0;
    check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
    check(cudaRuntimeGetVersion(&runtime), "cudaRuntimeGetVersion");
    if (driver == 0)
        throw error(name, "an NVIDIA driver", "none on this machine",
                    {"use cpu, or install the driver that fits CUDA ", version_text(runtime)});
    if (driver / 1000 < runtime / 1000)
        throw error(name, {"a driver for CUDA ", version_text(runtime)}, {"one for CUDA ", version_text(driver)},
                    advice_for(cudaErrorInsufficientDriver));
}

/// Throws error without a device, for an index out of range, and for a compute capability that is too old.
inline void require_device(std::string const& name, int index) {
    constexpr int oldest_major = 8;
    int count = 0;
    cudaError_t const status = cudaGetDeviceCount(&count);
    if (status == cudaErrorNoDevice || (status == cudaSuccess && count == 0)) {
        static_cast<void>(cudaGetLastError());
        throw error(name, "an NVIDIA GPU", "none on this machine", advice_for(cudaErrorNoDevice));
    }
    check(status, "cudaGetDeviceCount");
    if (index < 0 || index >= count)
        throw error(name, {"an index from 0 to ", count - 1}, index, "CUDA_VISIBLE_DEVICES may hide devices");
    int major = 0;
    int minor = 0;
    check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, index), "cudaDeviceGetAttribute");
    check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, index), "cudaDeviceGetAttribute");
    if (major < oldest_major)
        throw error(name, "compute capability 8.0 or newer", {major, ".", minor}, "use cpu, or a newer GPU");
}

}  // namespace tempera::cuda_kernels
