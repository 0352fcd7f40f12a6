// SPDX-License-Identifier: Apache-2.0
#pragma once
// double_buffer: brings host arrays to the device beside its work. Two pinned and two device buffers take turns; copies go
// by a stream of their own, and events keep them from what is still read.

#include <cstddef>
#include <cstring>

#include <tempera/cuda/gpu.hpp>

namespace tempera {

template <class T>
class double_buffer {
public:
    explicit double_buffer(gpu& device) : device_(&device) {
        device.context.stream();  // makes the device current
        copies_ = cuda_kernels::make_stream();
        for (side& s : sides_) {
            s.copied = cuda_kernels::make_event();
            s.read = cuda_kernels::make_event();
        }
    }

    /// Starts to copy an array and tells where it will be; what the device is given from now on waits for the copy. The
    /// host's array may be reused at once. The result is valid until the call after the next, for work that the device is
    /// given before the next one.
    view<T const> operator()(view<T const> host) {
        using cuda_kernels::check;
        cudaStream_t const work = device_->context.stream();
        check(cudaEventRecord(sides_[1 - turn_].read.get(), work), "cudaEventRecord");
        side& s = sides_[turn_];
        turn_ = 1 - turn_;
        check(cudaEventSynchronize(s.copied.get()), "waiting for the last copy but one");
        if (host.size() > s.memory.size()) {
            s.memory = buffer<T>(*device_, host.size());
            s.pinned = cuda_kernels::make_pinned(bytes_of(host));
        }
        std::memcpy(s.pinned.get(), host.data, bytes_of(host));
        check(cudaStreamWaitEvent(copies_.get(), s.read.get(), 0), "cudaStreamWaitEvent");
        check(cudaMemcpyAsync(s.memory.data(), s.pinned.get(), bytes_of(host), cudaMemcpyHostToDevice, copies_.get()),
              "cudaMemcpyAsync");
        check(cudaEventRecord(s.copied.get(), copies_.get()), "cudaEventRecord");
        check(cudaStreamWaitEvent(work, s.copied.get(), 0), "cudaStreamWaitEvent");
        return {s.memory.data(), host.dims};
    }

private:
    struct side {
        buffer<T> memory;
        cuda_kernels::pinned_memory pinned;
        cuda_kernels::owned<cudaEvent_t> copied;  ///< the last copy to it is done
        cuda_kernels::owned<cudaEvent_t> read;    ///< the work that reads it is done
    };
    static std::size_t bytes_of(view<T const> const& v) { return static_cast<std::size_t>(v.size()) * sizeof(T); }

    gpu* device_;
    side sides_[2];
    int turn_ = 0;
    cuda_kernels::owned<cudaStream_t> copies_;
};

}  // namespace tempera
