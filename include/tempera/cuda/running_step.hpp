// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a training step reads and leaves in device memory instead of passing it by value, so that a graph of the step
// (captured_step.hpp) can be replayed with other numbers and needs no answer from the host.

#include <cstdint>

namespace tempera {

/// What changes from one replay of a step to the next. A null pointer to it means: take the arguments as they are.
struct replay_numbers {
    float learning_rate = 0;
    std::uint32_t changed_pass = 0;  ///< bits in which the number of the training pass differs from the captured one
    std::int64_t later_updates = 0;  ///< updates since the captured one
};

/// Sums of the losses of all steps since it was cleared; accuracy and entropy are those of a step's first loss.
struct loss_tally {
    double loss = 0;
    double accuracy = 0;
    double entropy = 0;
    float bad = 0;  ///< rows whose label no class has
};

/// The memory of the step that a gpu is running.
struct running_step {
    replay_numbers const* replay = nullptr;  ///< null: the step is not being captured
    loss_tally* tally = nullptr;             ///< null: values are wanted on the host alone
    int losses = 0;                          ///< added to the tally so far
};

}  // namespace tempera
