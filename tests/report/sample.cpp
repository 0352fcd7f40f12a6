// SPDX-License-Identifier: Apache-2.0
// Writes a report of the demo's form, two tables and five figures, with invented numbers and images: for the render
// test, and to look at when the style changes.  sample OUT.html
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include <tempera/core/philox.hpp>
#include <tempera/report.hpp>

namespace {

using namespace tempera;

constexpr int classes = 10, side = 28;

/// A picture of a class: rings whose width tells the class, shifted and lit at random.
std::vector<std::uint8_t> pixels_of(int kind, philox_stream& draws) {
    float const x0 = draws.uniform(10, 18), y0 = draws.uniform(10, 18), light = draws.uniform(120, 255);
    std::vector<std::uint8_t> out;
    for (int y = 0; y < side; ++y)
        for (int x = 0; x < side; ++x) {
            float const radius = std::hypot(static_cast<float>(x) - x0, static_cast<float>(y) - y0);
            out.push_back(static_cast<std::uint8_t>(
                light * (0.5F + 0.5F * std::cos(radius * (0.3F + 0.1F * static_cast<float>(kind))))));
        }
    return out;
}

report_series curve(std::string name, int steps, double first, double last, double noise, philox_stream& draws) {
    report_series out{std::move(name), {}, {}};
    for (int i = 1; i <= steps; ++i) {
        out.xs.push_back(i);
        out.ys.push_back(last + (first - last) * std::exp(-6.0 * i / steps) +
                         noise * static_cast<double>(draws.uniform(-1, 1)));
    }
    return out;
}

void tables(report& page) {
    using column = report_table::column;
    column const one{"1 %", "Label fraction", true}, ten{"10 %", "Label fraction", true};
    page.table({"methods",
                "Top-1 accuracy (invented)",
                {{"Method"}, {"Depth"}, {"Width"}, {"SK"}, {"Param (k)"}, one, ten},
                {{"Supervised from scratch", "10", "1×", "yes", "97.5", "61.0 ± 1.0", "71.0 ± 0.5"},
                 {"Fine-tuned, tap 0", "10", "1×", "yes", "97.5", "62.0 ± 1.0", "72.0 ± 0.5"},
                 {"Fine-tuned, tap 1", "10", "1×", "yes", "101.6", "64.0 ± 1.0", "74.0 ± 0.5"},
                 {"Linear evaluation", "10", "1×", "yes", "97.5", "63.0 ± 1.0", "73.0 ± 0.5"}},
                "",
                {"Bold: the best of each column."}});
    page.table({"student",
                "Distillation into a small network (invented)",
                {{"Method"}, one, ten},
                {{"Label only", "61.0 ± 1.0", "71.0 ± 0.5"},
                 {"Label + distillation loss (on labeled set)", "62.0 ± 1.0", "72.0 ± 0.5"},
                 {"Label + distillation loss (on labeled+unlabeled sets)", "63.0 ± 1.0", "73.0 ± 0.5"},
                 {"Distillation loss (on labeled+unlabeled sets)", "64.0 ± 1.0", "74.0 ± 0.5"}}});
}

void curves(report& page, philox_stream& draws) {
    auto accuracy = curve("contrastive accuracy", 1200, 5, 62, 4, draws), probe = curve("probe", 40, 45, 76, 1, draws);
    accuracy.color = 1;
    probe.color = 2;
    page.lines({"pretraining",
                "Pretraining",
                {{"Contrastive loss", "step", "nats", {curve("loss", 1200, 6, 3, 0.2, draws)}},
                 {"Contrastive accuracy", "step", "%", {accuracy}},
                 {"Linear probe", "epoch", "top-1, %", {probe}}},
                "Shade: least and largest value of neighbouring steps."});
    report_lines rows{"accuracy", "Accuracy of every row", {}, "Shade: one standard deviation."};
    for (char const* title : {"1 % of the labels", "10 % of the labels"}) {
        report_panel panel{title, "epoch", "top-1, %", {}};
        for (char const* name : {"scratch", "fine-tuned, tap 0", "fine-tuned, tap 1", "linear evaluation",
                                 "student, labels", "student, distilled"}) {
            auto series = curve(name, 30, 30, 60 + 3 * static_cast<double>(panel.series.size()), 0.5, draws);
            series.dashed = panel.series.size() > 3;
            for (double const y : series.ys) {
                series.low.push_back(y - 1);
                series.high.push_back(y + 1);
            }
            panel.series.push_back(series);
        }
        rows.panels.push_back(panel);
    }
    page.lines(rows);
}

void pictures(report& page, philox_stream& draws) {
    using frame = report_images::frame;
    report_images views{"views", "Augmented views", {{"view a", {}}, {"view b", {}}}, "", 56};
    report_images neighbours{"neighbours", "Nearest neighbours before and after", {}, "", 52};
    for (int i = 0; i < 12; ++i)
        for (auto& row : views.rows)
            row.images.push_back(
                {{side, side, 1, pixels_of(i % classes, draws)}, "class " + std::to_string(i % classes)});
    for (int query = 0; query < 3; ++query)
        for (bool const after : {false, true}) {
            report_images::row row{after ? "after" : "before", {}, 1, !after};
            for (int i = 0; i < 9; ++i) {
                int const kind = i == 0 || after ? query : i % 4;
                row.images.push_back({{side, side, 1, pixels_of(kind, draws)},
                                      "class " + std::to_string(kind),
                                      i == 0          ? frame::none
                                      : kind == query ? frame::right
                                                      : frame::wrong});
            }
            neighbours.rows.push_back(row);
        }
    page.images(views);
    page.images(neighbours);
}

void map(report& page, philox_stream& draws) {
    report_scatter figure{"map", "Map of the embeddings", {}, {{"", {}, {}}}, ""};
    for (int c = 0; c < classes; ++c) figure.class_names.push_back("class " + std::to_string(c));
    std::vector<float> rows;
    int const count = 600;
    for (int i = 0; i < count; ++i) {
        figure.panels[0].classes.push_back(i % classes);
        for (std::uint8_t const p : pixels_of(i % classes, draws)) rows.push_back(static_cast<float>(p) / 255);
    }
    figure.panels[0].points = embedding_map({rows.data(), {count, 1, 1, side * side}}, {.iterations = 300});
    page.scatter(figure);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fputs("usage: sample OUT.html\n", stderr);
        return 2;
    }
    try {
        philox_stream draws(7);
        report page("A sample report", "All numbers and images here are invented: the page shows the form");
        page.facts({{"+3.0 points", "an invented headline"}, {"1 s", "another"}});
        page.heading("Tables");
        tables(page);
        page.heading("Figures");
        curves(page, draws);
        pictures(page, draws);
        map(page, draws);
        page.write(argv[1]);
    } catch (tempera::error const& e) {
        std::fprintf(stderr, "%s\n", e.what());
        return 1;
    }
    return 0;
}
