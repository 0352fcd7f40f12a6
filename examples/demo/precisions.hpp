// SPDX-License-Identifier: Apache-2.0
#pragma once
// bfloat16 beside float32: a shorter form of the demo's stages, with the same labels, in five seeds of each.

#include <string>

#include <tempera/data/image_set.hpp>
#include <tempera/pipeline/progress.hpp>

#include "settings.hpp"

namespace demo {

/// Prints the table, and writes a chart of the accuracies while training (SVG) to a file.
template <class Device>
void compare_precisions(Device& device, settings s, tempera::progress_sink const& progress,
                        tempera::image_set const& train, tempera::image_set const& drawn_from,
                        tempera::image_set const& test, std::string const& chart);

}  // namespace demo
