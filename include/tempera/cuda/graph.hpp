// SPDX-License-Identifier: Apache-2.0
#pragma once
// graph: work that was given to a gpu's stream once, recorded instead of done, and launched as one from then on.

#include <cstddef>

#include <tempera/cuda/gpu.hpp>

namespace tempera::cuda_kernels {

class graph {
public:
    /// work() gives the stream what is to be recorded. It must not wait for the device, nor allocate, nor copy from
    /// pageable memory: the runtime refuses that, which is thrown as error, as is what work() itself throws.
    template <class Work>
    graph(gpu& device, Work const& work) {
        cudaStream_t const stream = device.context.stream();
        check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
        try {
            recording const now(device.context.capturing);
            work();
        } catch (...) {
            cudaGraph_t unfinished = nullptr;
            static_cast<void>(cudaStreamEndCapture(stream, &unfinished));
            static_cast<void>(cudaGetLastError());
            owned<cudaGraph_t> const discarded(unfinished);
            throw;
        }
        cudaGraph_t recorded = nullptr;
        check(cudaStreamEndCapture(stream, &recorded), "cudaStreamEndCapture");
        owned<cudaGraph_t> const source(recorded);
        check(cudaGraphGetNodes(recorded, nullptr, &nodes_), "cudaGraphGetNodes");
        cudaGraphExec_t executable = nullptr;
        check(cudaGraphInstantiate(&executable, recorded, 0), "cudaGraphInstantiate");
        executable_.reset(executable);
    }

    void launch(gpu& device) const {
        check(cudaGraphLaunch(executable_.get(), device.context.stream()), "cudaGraphLaunch");
    }

    /// Kernels and copies in it.
    std::size_t nodes() const { return nodes_; }

private:
    /// Sets a flag while it lives.
    struct recording {
        explicit recording(bool& f) : flag(f) { flag = true; }
        recording(recording const&) = delete;
        recording& operator=(recording const&) = delete;
        ~recording() { flag = false; }
        bool& flag;
    };

    owned<cudaGraphExec_t> executable_;
    std::size_t nodes_ = 0;
};

}  // namespace tempera::cuda_kernels
