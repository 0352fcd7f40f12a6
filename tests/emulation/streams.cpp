// SPDX-License-Identifier: Apache-2.0
// The emulated streams, events and graphs. A stream does its work at once; one that is deferred does it when something
// waits for it, as late as a device may; one that is captured does not do it at all, but leaves it to the graph.

#include "streams.hpp"

#include <algorithm>
#include <deque>
#include <utility>
#include <vector>

#include "emulation.hpp"

using work = std::function<void()>;

struct CUgraph_st {
    std::vector<work> nodes;
};
struct CUgraphExec_st {
    std::vector<work> nodes;
};
struct CUstream_st {
    int device = 0;
    bool deferred = false;
    std::deque<work> waiting;
    long submitted = 0, done = 0;
    bool capturing = false;
    bool broken = false;  ///< the capture was spoiled by a call that it does not allow
    CUgraph_st captured;

    /// Does what was submitted before the mark.
    void finish(long mark) {
        while (done < mark && !waiting.empty()) {
            work const next = std::move(waiting.front());
            waiting.pop_front();
            ++done;
            next();
        }
    }
};
struct CUevent_st {
    cudaStream_t stream = nullptr;
    long mark = 0;

    void finish() const {
        if (stream != nullptr) stream->finish(mark);
    }
};

namespace emulation {

namespace {

thread_local int current = 0;  // as in CUDA
bool deferring = false;
std::vector<cudaStream_t> streams;

}  // namespace

int current_device() { return current; }
int device_of(cudaStream_t stream) { return stream->device; }
void defer_new_streams(bool on) { deferring = on; }

void submit(cudaStream_t stream, work w) {
    if (stream->capturing) {
        stream->captured.nodes.push_back(std::move(w));
    } else if (stream->deferred) {
        stream->waiting.push_back(std::move(w));
        ++stream->submitted;
    } else {
        w();
    }
}
bool is_capturing(cudaStream_t stream) { return stream->capturing; }
cudaError_t refuse_in_capture() {
    bool refused = false;
    for (cudaStream_t const s : streams) {
        s->broken = s->broken || s->capturing;
        refused = refused || s->capturing;
    }
    return refused ? failed(cudaErrorStreamCaptureUnsupported) : cudaSuccess;
}
void finish(cudaStream_t stream) { stream->finish(stream->submitted); }
void finish_all() {
    for (cudaStream_t const s : streams) s->finish(s->submitted);
}

}  // namespace emulation

using emulation::counts;
using emulation::failed;
using emulation::settings;

cudaError_t cudaSetDevice(int device) {
    if (device < 0 || device >= settings().devices) return failed(cudaErrorInvalidDevice);
    emulation::current = device;
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
    *stream = new CUstream_st;
    (*stream)->device = emulation::current;
    (*stream)->deferred = emulation::deferring;
    emulation::streams.push_back(*stream);
    ++counts().live;
    return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    stream->finish(stream->submitted);
    std::erase(emulation::streams, stream);
    delete stream;
    --counts().live;
    return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    ++counts().synchronizations;
    if (stream == nullptr) return failed(cudaErrorInvalidResourceHandle);
    if (stream->capturing) return emulation::refuse_in_capture();
    stream->finish(stream->submitted);
    return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
    if (stream->capturing) return emulation::refuse_in_capture();  // forks and joins are not emulated
    emulation::submit(stream, [now = *event] { now.finish(); });
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
    *event = new CUevent_st;
    ++counts().live;
    return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
    delete event;
    --counts().live;
    return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    if (stream->device != emulation::current) return failed(cudaErrorInvalidResourceHandle);
    if (stream->capturing) return emulation::refuse_in_capture();
    *event = {stream, stream->submitted};
    return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
    ++counts().event_waits;
    event->finish();
    return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
    if (stream->capturing) return emulation::refuse_in_capture();
    if (settings().refuse_capture) return failed(cudaErrorStreamCaptureUnsupported);
    stream->capturing = true;
    stream->broken = false;
    stream->captured.nodes.clear();
    return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
    *graph = nullptr;
    if (!stream->capturing) return failed(cudaErrorInvalidValue);
    stream->capturing = false;
    if (stream->broken) return failed(cudaErrorStreamCaptureInvalidated);
    *graph = new CUgraph_st(std::move(stream->captured));
    ++counts().live;
    return cudaSuccess;
}
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t*, std::size_t* count) {
    *count = graph->nodes.size();
    return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
    *executable = new CUgraphExec_st{graph->nodes};
    ++counts().live;
    return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
    if (stream->device != emulation::current) return failed(cudaErrorInvalidResourceHandle);
    ++counts().graph_launches;
    for (work const& node : executable->nodes) emulation::submit(stream, node);
    return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
    delete graph;
    --counts().live;
    return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
    emulation::finish_all();
    delete executable;
    --counts().live;
    return cudaSuccess;
}
