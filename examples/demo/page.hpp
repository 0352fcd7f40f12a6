// SPDX-License-Identifier: Apache-2.0
#pragma once
// The HTML report of the demo: both tables and five figures.

#include <string>
#include <vector>

#include "experiment.hpp"
#include "results.hpp"

namespace demo {

/// The accuracy curve of one row with one label fraction (first draw).
struct row_curve {
    row which = row::scratch;
    std::size_t fraction = 0;
    tempera::training_history history;
};

struct page_content {
    tempera::training_history pretraining;
    std::vector<row_curve> curves;
    std::string summary;   ///< one sentence about machine, time and operations
    std::string command;   ///< that makes this page
};

template <class Device>
void write_page(std::string const& path, experiment<Device>& e, results const& r, page_content const& content,
                tempera::image_set const& train, tempera::image_set const& test);

}  // namespace demo
