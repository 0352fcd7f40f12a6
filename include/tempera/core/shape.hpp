// SPDX-License-Identifier: Apache-2.0
#pragma once
// shape: the size of one sample, height x width x channels (NHWC without the N).

#include <cstdint>

namespace tempera {

/// Per-sample size. Vectors (embeddings, logits) are {1, 1, channels}. Structural: usable as a
/// template argument.
struct shape {
    int height = 1;
    int width = 1;
    int channels = 1;

    /// Spatial positions.
    constexpr std::int64_t positions() const { return std::int64_t{1} * height * width; }
    /// Elements of one sample.
    constexpr std::int64_t size() const { return positions() * channels; }
    constexpr bool is_vector() const { return height == 1 && width == 1; }

    friend constexpr bool operator==(shape, shape) = default;
};

}  // namespace tempera
