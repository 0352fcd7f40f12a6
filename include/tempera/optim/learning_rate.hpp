// SPDX-License-Identifier: Apache-2.0
#pragma once
// Learning rates from batch sizes, and steps from epochs, as the published recipes state them.

#include <cmath>
#include <cstdint>

namespace tempera {

/// lr batch / 256 (Goyal et al. 2017): fine-tuning with SGD and linear evaluation.
inline float scale_linear(float learning_rate, int batch) {
    return static_cast<float>(static_cast<double>(learning_rate) * batch / 256);
}

/// lr sqrt(batch): SimCLRv2's pretraining with LARS (0.1 sqrt(4096) = 6.4).
inline float scale_sqrt(float learning_rate, int batch) {
    return static_cast<float>(learning_rate * std::sqrt(static_cast<double>(batch)));
}

/// Steps of a whole training run: examples * epochs / batch, rounded down, plus 1.
constexpr std::int64_t total_steps(std::int64_t examples, int epochs, int batch) {
    return examples * epochs / batch + 1;
}

/// Steps of a warm-up of that many epochs, rounded down.
inline std::int64_t warmup_steps(std::int64_t examples, double epochs, int batch) {
    return static_cast<std::int64_t>(std::floor(epochs * static_cast<double>(examples) / batch));
}

}  // namespace tempera
