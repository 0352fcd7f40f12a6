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
    float weight = 1;                ///< of the step's losses in the tally
};

/// Sums of the losses of all steps since it was cleared, each with its weight; accuracy and entropy are those of a step's
/// first loss.
struct loss_tally {
    double loss = 0;
    double accuracy = 0;
    double entropy = 0;
    double bad = 0;  ///< rows whose label no class has
};

/// The loss scale and how it has fared (loss_scale.hpp).
struct scale_numbers {
    float scale = 1;
    float not_finite = 0;         ///< above 0: the gradients of this step hold infinity or NaN, it is skipped
    std::int32_t good_steps = 0;  ///< since the scale was changed
    std::int32_t skipped = 0;     ///< steps in all
};

/// What an update reads in device memory. Null: nothing.
struct update_memory {
    replay_numbers const* replay = nullptr;
    scale_numbers const* scaling = nullptr;
};

/// The memory of the step that a gpu is running.
struct running_step {
    replay_numbers const* replay = nullptr;  ///< null: the step is not being captured
    loss_tally* tally = nullptr;             ///< null: values are wanted on the host alone
    scale_numbers const* scaling = nullptr;  ///< null: gradients are not scaled
    int losses = 0;                          ///< added to the tally so far

    update_memory update() const { return {replay, scaling}; }
};

}  // namespace tempera
