// SPDX-License-Identifier: Apache-2.0
#include "results.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace demo {

namespace {

std::string thousands(std::int64_t n) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f k", static_cast<double>(n) / 1000);
    return text;
}

/// Letters on the screen: bytes of UTF-8 that begin one.
std::size_t width_of(std::string const& s) {
    return static_cast<std::size_t>(std::count_if(s.begin(), s.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

}  // namespace

statistics results::of(row r, std::size_t fraction) const {
    std::vector<double> const& values = draws(r, fraction);
    statistics out;
    for (double const v : values) out.mean += v / static_cast<double>(values.size());
    if (values.size() < 2) return out;
    double squares = 0;
    for (double const v : values) squares += (v - out.mean) * (v - out.mean);
    out.deviation = std::sqrt(squares / static_cast<double>(values.size() - 1));
    return out;
}

std::string results::spell(row r, std::size_t fraction) const {
    statistics const s = of(r, fraction);
    char text[48];
    std::snprintf(text, sizeof text, "%.1f ± %.1f", 100 * s.mean, 100 * s.deviation);
    return text;
}

tempera::report_table results::encoder_table() const {
    tempera::report_table t;
    t.id = "encoder";
    t.title = "Top-1 accuracy of the encoder with few labels";
    t.columns = {{"Method"}, {"Depth"}, {"Width"}, {"Use SK"}, {"Param"}, {"1%", "Label fraction", true}, {"10%", "Label fraction", true}};
    char width[32];
    std::snprintf(width, sizeof width, "%d", settings_.base_filters);
    for (row const r : {row::scratch, row::tap0, row::tap1, row::linear})
        t.rows.push_back({name_of(r), "10", width, "True", thousands(parameters_[static_cast<std::size_t>(r)]), spell(r, 0), spell(r, 1)});
    t.caption = "Percent of the 2,000 test images, mean and standard deviation over " + std::to_string(settings_.draws) +
                " draws of labels. Width: filters of the first of three stages.";
    return t;
}

tempera::report_table results::student_table() const {
    tempera::report_table t;
    t.id = "student";
    t.title = "Top-1 accuracy of a small student";
    t.columns = {{"Method"}, {"1%", "Label fraction", true}, {"10%", "Label fraction", true}};
    for (row const r : {row::student_labels, row::student_labeled, row::student_both, row::student_all})
        t.rows.push_back({name_of(r), spell(r, 0), spell(r, 1)});
    t.caption = "The student has " + thousands(parameters_[static_cast<std::size_t>(row::student_all)]) +
                " parameters; its teacher is the encoder fine-tuned from tap 1 with the same labels.";
    return t;
}

std::string text_of(tempera::report_table const& table) {
    std::vector<std::size_t> widths;
    for (std::size_t c = 0; c < table.columns.size(); ++c) {
        widths.push_back(width_of(table.columns[c].title));
        for (auto const& r : table.rows) widths[c] = std::max(widths[c], width_of(r[c]));
    }
    auto line = [&](auto const& cell_of) {
        std::string out;
        for (std::size_t c = 0; c < widths.size(); ++c) {
            std::string const cell = cell_of(c);
            std::string const space(widths[c] - width_of(cell), ' ');
            out += (c > 0 ? "  " : "") + (c == 0 ? cell + space : space + cell);
        }
        return out + "\n";
    };
    std::string text = table.title + "\n\n" + line([&](std::size_t c) { return table.columns[c].title; });
    text += line([&](std::size_t c) { return std::string(widths[c], '-'); });
    for (auto const& r : table.rows) text += line([&](std::size_t c) { return r[c]; });
    return text + "\n" + table.caption + "\n";
}

}  // namespace demo
