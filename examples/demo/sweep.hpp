// SPDX-License-Identifier: Apache-2.0
#pragma once
// The choice of learning rates: every row with every candidate, seed 1, judged on held-out training images.

#include "experiment.hpp"

namespace demo {

/// Prints the table of learning_rates.md and the rows of learning_rates.hpp. Student rows learn from a teacher
/// fine-tuned with the rate chosen for tap 1.
template <class Device>
void print_sweep(experiment<Device>& e, tempera::image_set const& train, tempera::image_set const& drawn_from,
                 tempera::image_set const& held);

}  // namespace demo
