// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a gpu owns beside its number: a stream, a cuBLAS handle and its workspace, scratch memory, a mailbox for results,
// and the pieces of parameter ranges that optimizers read on the device. Nothing here is allocated in steady state.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <list>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <tempera/cuda/handles.hpp>
#include <tempera/cuda/requirements.hpp>
#include <tempera/cuda/running_step.hpp>
#include <tempera/cuda/update_pieces.hpp>

namespace tempera {

namespace cuda_kernels {
inline bool wants_words() {
    char const* const wanted = std::getenv("TEMPERA_VERBOSE");
    return wanted != nullptr && std::string_view(wanted) != "0";
}
}  // namespace cuda_kernels

class gpu_context {
public:
    /// Opens device `index`. Throws error without a driver or a device, for an index out of range, and for a driver
    /// or a compute capability that is too old.
    explicit gpu_context(int index) : index_(index) {
        cuda_kernels::require_driver(name());
        cuda_kernels::require_device(name(), index_);
        cuda_kernels::check(cudaSetDevice(index_), "cudaSetDevice");
        stream_ = cuda_kernels::make_stream();
        blas_ = cuda_kernels::make_blas(stream_.get());
        mailbox_ = cuda_kernels::make_pinned(mailbox_bytes);
    }
    gpu_context(gpu_context const&) = delete;
    gpu_context& operator=(gpu_context const&) = delete;
    ~gpu_context() { static_cast<void>(cudaSetDevice(index_)); }

    /// The stream, scratch memory and a capture belong to one thread at a time.
    std::unique_lock<std::recursive_mutex> exclusive() { return std::unique_lock(turn_); }

    /// The stream that all work goes to. Makes the device current in this thread.
    cudaStream_t stream() {
        cuda_kernels::check(cudaSetDevice(index_), "cudaSetDevice");
        return stream_.get();
    }
    /// With a workspace of ours, so that products choose the same method and allocate nothing in a captured step.
    cublasHandle_t blas() {
        cuda_kernels::check(cudaSetDevice(index_), "cudaSetDevice");
        if (workspace_ == nullptr) {
            workspace_.reset(allocate(workspace_bytes));
            cuda_kernels::check(cublasSetWorkspace(blas_.get(), workspace_.get(), workspace_bytes),
                                "cublasSetWorkspace");
        }
        return blas_.get();
    }
    void synchronize() { cuda_kernels::check(cudaStreamSynchronize(stream()), "waiting for the stream"); }

    /// Device memory, aligned to 256 bytes. Throws error with what it is for, the bytes asked for and the bytes free.
    void* allocate(std::size_t bytes, char const* purpose = "memory") {
        if (bytes == 0) return nullptr;
        auto const turn = exclusive();
        cuda_kernels::check(cudaSetDevice(index_), "cudaSetDevice");
        void* memory = nullptr;
        cudaError_t const status = cudaMalloc(&memory, bytes);
        if (status == cudaErrorMemoryAllocation) {
            static_cast<void>(cudaGetLastError());
            auto const [left, all] = memory_left();
            throw error({name(), " ", purpose}, {bytes, " bytes"}, {left, " free of ", all},
                        cuda_kernels::advice_for(status));
        }
        cuda_kernels::check(status, "cudaMalloc");
        return memory;
    }
    /// Free bytes of the device, and all.
    std::pair<std::size_t, std::size_t> memory_left() const {
        cuda_kernels::check(cudaSetDevice(index_), "cudaSetDevice");
        std::size_t left = 0;
        std::size_t all = 0;
        cuda_kernels::check(cudaMemGetInfo(&left, &all), "cudaMemGetInfo");
        return {left, all};
    }
    /// Waits for work that may still use the memory, and for another thread's capture, which it would end.
    void deallocate(void* memory) noexcept {
        auto const turn = exclusive();
        static_cast<void>(cudaSetDevice(index_));
        static_cast<void>(cudaFree(memory));
    }

    /// Device memory for one catalogue call; the next call may overwrite it. Grows to the largest size asked for.
    void* scratch(std::size_t bytes) {
        if (bytes > scratch_bytes_) {
            if (capturing) cuda_kernels::check(cudaErrorStreamCaptureUnsupported, "growing scratch memory");
            auto const turn = exclusive();
            cuda_kernels::check(cudaSetDevice(index_), "cudaSetDevice");
            scratch_.reset();
            scratch_bytes_ = 0;
            std::size_t const rounded = (bytes + scratch_step - 1) / scratch_step * scratch_step;
            scratch_.reset(allocate(rounded, "scratch memory of a function"));
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

    /// The pieces of the ranges in device memory, copied when the ranges are first seen and kept: captured steps point to
    /// them.
    update_pieces pieces(std::span<update_range const> ranges) {
        for (update_table const& known : tables_)
            if (equal(known.ranges, ranges)) return known.on_device();
        update_table table{
            .ranges = {ranges.begin(), ranges.end()}, .pieces = cut_into_pieces(ranges), .memory = nullptr};
        if (table.pieces.empty()) return {};
        std::size_t const bytes = table.pieces.size() * sizeof(update_piece);
        table.memory.reset(allocate(bytes));
        update_table const& added = tables_.emplace_back(std::move(table));
        cuda_kernels::check(
            cudaMemcpyAsync(added.memory.get(), added.pieces.data(), bytes, cudaMemcpyHostToDevice, stream()),
            "cudaMemcpyAsync");
        return added.on_device();
    }

    /// Where the step that is running keeps its numbers.
    running_step step{};
    /// What the stream is given is recorded (graph.hpp), not done: nothing may be waited for or allocated.
    bool capturing = false;

    /// TEMPERA_VERBOSE=1: whether steps are captured is printed to standard error.
    bool verbose = cuda_kernels::wants_words();

    /// Bytes of a convolution's column matrix and of a tile of similarities, unless one sample or row needs more: both
    /// stay in the second-level cache.
    std::int64_t tile_bytes = std::int64_t{32} << 20;
    int tile_rows = 128;  ///< of similarities, at least: a block for every multiprocessor or so

    std::string name() const { return "gpu " + std::to_string(index_); }

private:
    static constexpr std::size_t mailbox_bytes = 64;
    static constexpr std::size_t scratch_step = std::size_t{1} << 20;
    static constexpr std::size_t workspace_bytes = std::size_t{32}
                                                   << 20;  // what cuBLAS advises for compute capability 9

    /// Ranges, and their pieces on both sides.
    struct update_table {
        std::vector<update_range> ranges;
        std::vector<update_piece> pieces;
        cuda_kernels::device_memory memory;

        update_pieces on_device() const {
            return {static_cast<update_piece const*>(memory.get()), static_cast<int>(pieces.size())};
        }
    };
    static bool equal(std::span<update_range const> a, std::span<update_range const> b) {
        return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](update_range const& x, update_range const& y) {
            return x.offset == y.offset && x.count == y.count && !(x.weight_decay < y.weight_decay) &&
                   !(x.weight_decay > y.weight_decay) && x.adapt == y.adapt;
        });
    }

    std::recursive_mutex turn_;
    int index_;
    cuda_kernels::owned<cudaStream_t> stream_;
    cuda_kernels::owned<cublasHandle_t> blas_;
    cuda_kernels::pinned_memory mailbox_;
    cuda_kernels::device_memory workspace_;
    cuda_kernels::device_memory scratch_;
    std::size_t scratch_bytes_ = 0;
    std::list<update_table> tables_;
};

}  // namespace tempera
