// SPDX-License-Identifier: Apache-2.0
#pragma once
// Learning rates that `demo --sweep` chose on 200 labeled training images outside every draw, seed 1; the table that
// it printed is in learning_rates.md.

#include <array>

#include "settings.hpp"

namespace demo {

/// Candidates of every row.
inline constexpr std::array<float, 7> candidate_rates{0.02F, 0.05F, 0.1F, 0.2F, 0.5F, 1.0F, 2.0F};

/// By row and label fraction.
inline constexpr std::array<std::array<float, 2>, 8> learning_rates{{
    {{0.5F, 0.2F}},  // Supervised from scratch
    {{0.2F, 0.5F}},  // Fine-tuned from tap 0
    {{0.02F, 0.05F}},  // Fine-tuned from tap 1
    {{0.5F, 2.0F}},  // Linear evaluation
    {{1.0F, 0.5F}},  // Label only
    {{0.5F, 1.0F}},  // Label + distillation loss (on labeled set)
    {{0.2F, 2.0F}},  // Label + distillation loss (on labeled+unlabeled sets)
    {{0.2F, 0.5F}},  // Distillation loss (on labeled+unlabeled sets)
}};

inline constexpr float learning_rate(row r, std::size_t fraction) {
    return learning_rates[static_cast<std::size_t>(r)][fraction];
}

}  // namespace demo
