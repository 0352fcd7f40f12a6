// SPDX-License-Identifier: Apache-2.0
#pragma once
// solo: the communicator of a single process.

#include <tempera/core/error.hpp>
#include <tempera/core/view.hpp>
#include <tempera/device/communicator.hpp>
#include <tempera/device/store.hpp>

namespace tempera {

struct solo {
    static constexpr int rank() { return 0; }
    static constexpr int size() { return 1; }

    template <class Device>
    void all_reduce_sum(Device&, view<float>) const {}

    /// Copies mine to all, which must be as large; nothing where they are the same memory.
    template <class Device>
    void all_gather(Device& device, view<float const> mine, view<float> all) const {
        if (mine.size() != all.size()) {
            throw error("solo.all_gather", {mine.size(), " elements"}, all.size(),
                        "make the target size() times as large as the source");
        }
        if (mine.data != all.data) copy(device, mine.size(), mine.data, all.data, store::write);
    }
};

}  // namespace tempera
