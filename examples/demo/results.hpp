// SPDX-License-Identifier: Apache-2.0
#pragma once
// What all draws gave, and the two tables made of it.

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <tempera/pipeline/report/table.hpp>
#include <tempera/pipeline/train_options.hpp>

#include "settings.hpp"

namespace demo {

struct statistics {
    double mean = 0;
    double deviation = 0;  ///< sample standard deviation
};

class results {
public:
    results(settings const& s, std::array<std::int64_t, 8> const& parameters) : settings_(s), parameters_(parameters) {}

    void add(row r, std::size_t fraction, double top1) { cell(r, fraction).push_back(top1); }
    std::vector<double> const& draws(row r, std::size_t fraction) const {
        return accuracies_[static_cast<std::size_t>(r)][fraction];
    }
    statistics of(row r, std::size_t fraction) const;
    /// Points of accuracy by which one row exceeds another, mean over the draws.
    double gain(row better, row than, std::size_t fraction) const {
        return 100 * (of(better, fraction).mean - of(than, fraction).mean);
    }

    /// Table 1: the encoder. Table 2: the student.
    tempera::report_table encoder_table() const;
    tempera::report_table student_table() const;

private:
    std::vector<double>& cell(row r, std::size_t fraction) { return accuracies_[static_cast<std::size_t>(r)][fraction]; }
    std::string spell(row r, std::size_t fraction) const;

    settings settings_;
    std::array<std::int64_t, 8> parameters_;
    std::array<std::array<std::vector<double>, 2>, 8> accuracies_{};
};

/// The table as text for a terminal.
std::string text_of(tempera::report_table const& table);

}  // namespace demo
