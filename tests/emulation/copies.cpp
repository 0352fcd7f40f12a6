// SPDX-License-Identifier: Apache-2.0
// Asynchronous copies of a thread: done when their group is awaited and not before, so that a missing wait shows.

#include "cuda_runtime.h"

#include <cstring>
#include <vector>

namespace emulation {

void drop_copies();

namespace {

struct pending_copies {
    struct copy {
        void* target;
        void const* source;
        std::size_t bytes;
    };
    std::vector<copy> copies;
    std::vector<std::size_t> group_sizes;  ///< of the closed groups, the oldest first
    std::size_t open = 0;                  ///< copies after the last closed group
};

pending_copies& of_this_thread() {
    static thread_local std::vector<pending_copies> of_thread(1024);
    return of_thread[thread_number()];
}

}  // namespace

void copy_later(void* target, void const* source, std::size_t bytes) {
    pending_copies& pending = of_this_thread();
    pending.copies.push_back({target, source, bytes});
    ++pending.open;
}

void close_copies() {
    pending_copies& pending = of_this_thread();
    pending.group_sizes.push_back(pending.open);
    pending.open = 0;
}

void await_copies(std::size_t newest) {
    pending_copies& pending = of_this_thread();
    std::size_t const groups = pending.group_sizes.size();
    for (std::size_t group = newest; group < groups; ++group) {
        auto const count = static_cast<std::ptrdiff_t>(pending.group_sizes.front());
        auto const first = pending.copies.begin();
        for (auto c = first; c != first + count; ++c) {
            if (c->source == nullptr) std::memset(c->target, 0, c->bytes);
            else std::memcpy(c->target, c->source, c->bytes);
        }
        pending.copies.erase(first, first + count);
        pending.group_sizes.erase(pending.group_sizes.begin());
    }
}

/// At the end of a thread.
void drop_copies() {
    pending_copies& pending = of_this_thread();
    pending.copies.clear();
    pending.group_sizes.clear();
    pending.open = 0;
}

}  // namespace emulation
