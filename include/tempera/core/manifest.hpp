// SPDX-License-Identifier: Apache-2.0
#pragma once
// The manifest: every tensor of a network by name, shape, role and place in its flat block.
// Optimizers, checkpoints, EMA and all-reduce work on these ranges, not on layer objects.

#include <array>
#include <cstdint>
#include <vector>

#include <tempera/core/role.hpp>
#include <tempera/core/text.hpp>

namespace tempera {

/// One tensor. Weights are OHWI {out, kh, kw, in}; vectors are {n, 1, 1, 1}.
struct manifest_entry {
    path_text name;  ///< "encoder.stage2.block0.conv1.weight"
    std::array<int, 4> dims{1, 1, 1, 1};
    int rank = 1;  ///< 4 for convolution weights, 2 for dense (out, in), 1 for vectors
    tempera::role role = role::weight;
    std::int64_t offset = 0;  ///< elements from the start of the block (statistics for moving_*, else parameters)
    std::int64_t count = 0;
    bool trained = true;  ///< false: frozen, or no output reaches it
};

using manifest = std::vector<manifest_entry>;

}  // namespace tempera
