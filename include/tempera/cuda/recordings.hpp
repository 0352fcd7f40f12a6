// SPDX-License-Identifier: Apache-2.0
#pragma once
// recordings: work that is done again and again on the same few pieces of memory.
//
//   | on the same memory | the work                                                  |
//   | the first time     | runs as it is, and allocates what it needs                |
//   | the second         | is captured as one graph, then launched                   |
//   | every other        | is launched                                               |
//
// A graph points to memory, scratch memory included: it is captured again when that has moved.

#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <tempera/cuda/graph.hpp>

namespace tempera {

/// Place: where the memory lies, compared by ==. Numbers: what a graph was captured with and replays must know.
template <class Place, class Numbers>
class recordings {
public:
    struct recording {
        Place place;
        bool ran = false;  ///< once, so that what it needs is allocated
        std::optional<cuda_kernels::graph> graph{};
        void* scratch = nullptr;  ///< of the device, when captured
        Numbers numbers{};
    };

    /// `work`: what it is called in messages.
    explicit recordings(gpu& device, char const* work = "prediction") : device_(&device), work_(work) {}
    recordings(recordings&&) = default;
    recordings& operator=(recordings&&) = default;
    /// In this thread's turn, so that no graph goes while another thread captures one.
    ~recordings() {
        auto const turn = device_->context.exclusive();
        recordings_.clear();
    }

    /// Does the work on a place, as the table says; as it is where it is part of what is being captured.
    template <class Work>
    void operator()(Place const& place, Work const& work) {
        auto const turn = device_->context.exclusive();
        if (device_->context.capturing) return work();
        recording& r = at(place);
        if (wants_capture(r)) capture(r, work);
        if (r.graph) {
            r.graph->launch(*device_);
        } else {
            work();
            r.ran = true;
        }
    }

    /// The oldest one is given up for a new place.
    recording& at(Place const& place) {
        for (recording& r : recordings_) {
            if (!(r.place == place)) continue;
            if (r.scratch != device_->context.scratch(0)) r.graph.reset();
            return r;
        }
        if (recordings_.size() == most) recordings_.erase(recordings_.begin());
        return recordings_.emplace_back(recording{place});
    }
    bool wants_capture(recording const& r) const { return !r.graph && r.ran && refusal_.empty(); }

    /// Nothing is done yet. Where the capture is refused there is no graph, now and later.
    template <class Work>
    void capture(recording& r, Work const& work) {
        try {
            r.graph.emplace(*device_, work);
            r.scratch = device_->context.scratch(0);
            report("captured as one graph of " + std::to_string(r.graph->nodes()) + " nodes");
        } catch (error const& e) {
            r.graph.reset();
            refuse(e.what());
        }
    }
    void refuse(std::string why) {
        refusal_ = std::move(why);
        report("not captured, each kernel is launched by the host: " + refusal_);
    }
    void drop_graphs() {
        for (recording& r : recordings_) r.graph.reset();
    }

    /// Why work is not captured; empty where it is. TEMPERA_VERBOSE=1 prints it.
    std::string const& refusal() const { return refusal_; }
    /// Graphs at hand.
    int graphs() const {
        int count = 0;
        for (recording const& r : recordings_) count += r.graph ? 1 : 0;
        return count;
    }

private:
    static constexpr std::size_t most = 4;  // two buffers, each for a whole and for a last batch

    void report(std::string const& what) const {
        if (device_->context.verbose)
            std::fprintf(stderr, "tempera: %s, %s: %s\n", device_->context.name().c_str(), work_, what.c_str());
    }

    gpu* device_;
    char const* work_;
    std::vector<recording> recordings_;
    std::string refusal_;
};

}  // namespace tempera
