// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a gpu owns beside its number: a stream, a cuBLAS handle, scratch memory, a mailbox for results, and the
// table of parameter ranges that optimizers read on the device. Nothing here is allocated in steady state.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <tempera/cuda/check.hpp>
#include <tempera/device/optimizers.hpp>

namespace tempera {

class gpu_context {
public:
    /// Opens device `index`. Throws error without a driver or a device, for an index out of range, and for a driver
    /// or a compute capability that is too old.
    explicit gpu_context(int index) : index_(index) {
        require_driver();
        require_device();
        using namespace cuda_kernels;
        check(cudaSetDevice(index_), "cudaSetDevice");
        cudaStream_t stream = nullptr;
        check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
        stream_.reset(stream);
        cublasHandle_t blas = nullptr;
        check(cublasCreate(&blas), "cublasCreate");
        blas_.reset(blas);
        check(cublasSetStream(blas, stream), "cublasSetStream");
        void* mailbox = nullptr;
        check(cudaMallocHost(&mailbox, mailbox_bytes), "cudaMallocHost");
        mailbox_.reset(mailbox);
    }
    gpu_context(gpu_context const&) = delete;
    gpu_context& operator=(gpu_context const&) = delete;
    ~gpu_context() { static_cast<void>(cudaSetDevice(index_)); }

    /// The stream that all work goes to. Makes the device current in this thread.
    cudaStream_t stream() {
        cuda_kernels::check(cudaSetDevice(index_), "cudaSetDevice");
        return stream_.get();
    }
    cublasHandle_t blas() {
        cuda_kernels::check(cudaSetDevice(index_), "cudaSetDevice");
        return blas_.get();
    }
    void synchronize() { cuda_kernels::check(cudaStreamSynchronize(stream()), "waiting for the stream"); }

    /// Device memory, aligned to 256 bytes. Throws error with the bytes asked for and the bytes free.
    void* allocate(std::size_t bytes) {
        if (bytes == 0) return nullptr;
        cuda_kernels::check(cudaSetDevice(index_), "cudaSetDevice");
        void* memory = nullptr;
        cudaError_t const status = cudaMalloc(&memory, bytes);
        if (status == cudaErrorMemoryAllocation) {
            static_cast<void>(cudaGetLastError());
            std::size_t left = 0;
            std::size_t all = 0;
            cuda_kernels::check(cudaMemGetInfo(&left, &all), "cudaMemGetInfo");
            throw error({name(), " memory"}, {bytes, " bytes"}, {left, " free of ", all},
                        cuda_kernels::advice_for(status));
        }
        cuda_kernels::check(status, "cudaMalloc");
        return memory;
    }
    /// Waits for work that may still use the memory.
    void deallocate(void* memory) noexcept {
        static_cast<void>(cudaSetDevice(index_));
        static_cast<void>(cudaFree(memory));
    }

    /// Device memory for one catalogue call; the next call may overwrite it. Grows to the largest size asked for.
    void* scratch(std::size_t bytes) {
        if (bytes > scratch_bytes_) {
            scratch_.reset();
            scratch_bytes_ = 0;
            std::size_t const rounded = (bytes + scratch_step - 1) / scratch_step * scratch_step;
            scratch_.reset(allocate(rounded));
            scratch_bytes_ = rounded;
        }
        return scratch_.get();
    }
    float* float_scratch(std::int64_t count) {
        return static_cast<float*>(scratch(static_cast<std::size_t>(count) * sizeof(float)));
    }

    /// A few numbers (at most 64 bytes) from the device, after everything before it in the stream.
    template <class T>
    T fetch(T const* source) {
        static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= mailbox_bytes);
        cuda_kernels::check(cudaMemcpyAsync(mailbox_.get(), source, sizeof(T), cudaMemcpyDeviceToHost, stream()),
                            "cudaMemcpyAsync");
        synchronize();
        T value;
        std::memcpy(&value, mailbox_.get(), sizeof(T));
        return value;
    }

    /// The ranges in device memory; copied only when they differ from the last ones.
    update_range const* table(std::span<update_range const> ranges) {
        bool same = ranges.size() == table_.size();
        for (std::size_t i = 0; same && i < ranges.size(); ++i) same = equal(ranges[i], table_[i]);
        if (!same) {
            synchronize();  // nobody reads the old table any more
            if (ranges.size() > table_capacity_) {
                table_capacity_ = 0;
                device_table_.reset();
                device_table_.reset(allocate(ranges.size_bytes()));
                table_capacity_ = ranges.size();
            }
            table_.assign(ranges.begin(), ranges.end());
            cuda_kernels::check(cudaMemcpyAsync(device_table_.get(), table_.data(), ranges.size_bytes(),
                                                cudaMemcpyHostToDevice, stream_.get()),
                                "cudaMemcpyAsync");
        }
        return static_cast<update_range const*>(device_table_.get());
    }

    /// Bytes of a convolution's column matrix and of a tile of similarities, unless one sample or row needs more: both
    /// stay in the second-level cache.
    std::int64_t tile_bytes = std::int64_t{32} << 20;

    std::string name() const { return "gpu " + std::to_string(index_); }

private:
    static constexpr std::size_t mailbox_bytes = 64;
    static constexpr std::size_t scratch_step = std::size_t{1} << 20;
    static constexpr int oldest_major = 8;

    struct close {
        void operator()(cudaStream_t stream) const { static_cast<void>(cudaStreamDestroy(stream)); }
        void operator()(cublasHandle_t blas) const { static_cast<void>(cublasDestroy(blas)); }
    };
    struct free_on_device {
        void operator()(void* memory) const { static_cast<void>(cudaFree(memory)); }
    };
    struct free_on_host {
        void operator()(void* memory) const { static_cast<void>(cudaFreeHost(memory)); }
    };

    static bool equal(update_range const& a, update_range const& b) {
        return a.offset == b.offset && a.count == b.count && !(a.weight_decay < b.weight_decay) &&
               !(a.weight_decay > b.weight_decay) && a.adapt == b.adapt;
    }

    static std::string version(int number) {
        return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
    }

    void require_driver() const {
        int driver = 0;
        int runtime = 0;
        cuda_kernels::check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
        cuda_kernels::check(cudaRuntimeGetVersion(&runtime), "cudaRuntimeGetVersion");
        if (driver == 0)
            throw error(name(), "an NVIDIA driver", "none on this machine",
                        {"use cpu, or install the driver that fits CUDA ", version(runtime)});
        if (driver / 1000 < runtime / 1000)
            throw error(name(), {"a driver for CUDA ", version(runtime)}, {"one for CUDA ", version(driver)},
                        cuda_kernels::advice_for(cudaErrorInsufficientDriver));
    }

    void require_device() const {
        int count = 0;
        cudaError_t const status = cudaGetDeviceCount(&count);
        if (status == cudaErrorNoDevice || (status == cudaSuccess && count == 0)) {
            static_cast<void>(cudaGetLastError());
            throw error(name(), "an NVIDIA GPU", "none on this machine", cuda_kernels::advice_for(cudaErrorNoDevice));
        }
        cuda_kernels::check(status, "cudaGetDeviceCount");
        if (index_ < 0 || index_ >= count)
            throw error(name(), {"an index from 0 to ", count - 1}, index_, "CUDA_VISIBLE_DEVICES may hide devices");
        int major = 0;
        int minor = 0;
        cuda_kernels::check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, index_),
                            "cudaDeviceGetAttribute");
        cuda_kernels::check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, index_),
                            "cudaDeviceGetAttribute");
        if (major < oldest_major)
            throw error(name(), "compute capability 8.0 or newer", {major, ".", minor}, "use cpu, or a newer GPU");
    }

    int index_;
    std::unique_ptr<std::remove_pointer_t<cudaStream_t>, close> stream_;
    std::unique_ptr<std::remove_pointer_t<cublasHandle_t>, close> blas_;
    std::unique_ptr<void, free_on_host> mailbox_;
    std::unique_ptr<void, free_on_device> scratch_;
    std::size_t scratch_bytes_ = 0;
    std::unique_ptr<void, free_on_device> device_table_;
    std::size_t table_capacity_ = 0;
    std::vector<update_range> table_;
};

}  // namespace tempera
