// SPDX-License-Identifier: Apache-2.0
#include "precisions.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include <tempera/data/fraction.hpp>
#include <tempera/io/atomic_file.hpp>
#include <tempera/pipeline/report/chart_file.hpp>

#include "devices.hpp"
#include "experiment.hpp"
#include "learning_rates.hpp"
#include "results.hpp"

namespace demo {

using namespace tempera;

namespace {

constexpr std::array compared_rows{row::scratch, row::tap1, row::linear, row::student_all};
constexpr std::size_t fraction = 1;  // 10 % of the labels
constexpr int seeds = 5;

/// One stage in one precision: the last accuracy of every seed in percent, and the accuracies on the way.
struct stage_runs {
    std::vector<double> top1;
    std::vector<training_history> histories;

    double mean() const {
        double sum = 0;
        for (double const x : top1) sum += x;
        return sum / static_cast<double>(top1.size());
    }
    /// Largest minus smallest.
    double spread() const {
        auto const [low, high] = std::minmax_element(top1.begin(), top1.end());
        return *high - *low;
    }
};
using precision_runs = std::array<stage_runs, compared_rows.size()>;

/// All stages in all seeds. A seed sets weights, order and augmentation; the labels stay the same.
template <precision P, class Device>
precision_runs run_stages(Device& device, settings s, progress_sink const& progress, image_set const& train,
                          image_set const& labeled, image_set const& test) {
    precision_runs out;
    for (int seed = 1; seed <= seeds; ++seed) {
        s.seed = static_cast<std::uint64_t>(seed);
        experiment<Device, P> e(device, s, progress);
        e.pretrain(train);
        task t{labeled, unlabeled_except(train, labeled), test, fraction, s.seed, test};
        t.label =
            std::string(P == precision::float32 ? "float32" : "bfloat16") + ", seed " + std::to_string(seed) + ": ";
        outcome<Device, P> teacher;
        for (std::size_t i = 0; i < compared_rows.size(); ++i) {
            row const r = compared_rows[i];
            auto done = e.run(r, t, learning_rate(r, fraction), teacher.model.get());
            out[i].top1.push_back(100 * done.top1);
            out[i].histories.push_back(done.history);
            if (r == row::tap1) teacher = std::move(done);
        }
    }
    return out;
}

std::string decimals(double x, int digits) {
    char text[32];
    std::snprintf(text, sizeof text, "%.*f", digits, x);
    return text;
}

std::string all_of(stage_runs const& runs) {
    std::string out = decimals(runs.mean(), 2) + " (";
    for (std::size_t i = 0; i < runs.top1.size(); ++i) out += (i > 0 ? ", " : "") + decimals(runs.top1[i], 2);
    return out + ")";
}

report_table table_of(precision_runs const& float32, precision_runs const& bfloat16, int images) {
    report_table t;
    t.id = "precisions";
    t.title = "Top-1 accuracy in float32 and bfloat16";
    t.columns = {{"Method, 10 % of the labels"}, {"float32"}, {"bfloat16"}, {"difference"},
                 {"spread of float32"},          {""}};
    for (std::size_t i = 0; i < compared_rows.size(); ++i) {
        double const difference = bfloat16[i].mean() - float32[i].mean();
        t.rows.push_back({name_of(compared_rows[i]), all_of(float32[i]), all_of(bfloat16[i]), decimals(difference, 2),
                          decimals(float32[i].spread(), 2),
                          std::abs(difference) < float32[i].spread() ? "within" : "outside"});
    }
    t.caption = "Percent of " + std::to_string(images) +
                " test images: the mean of five seeds, and each of them. "
                "Spread: the best seed minus the worst.";
    return t;
}

/// Mean over the seeds after as many updates, with a band from the worst to the best.
report_series curve_of(std::string name, stage_runs const& runs) {
    report_series out;
    out.name = std::move(name);
    for (std::size_t p = 0; p < runs.histories.front().points.size(); ++p) {
        history_point const& point = runs.histories.front().points[p];
        if (point.validation_top1 < 0) continue;
        stage_runs here;
        for (training_history const& h : runs.histories)
            here.top1.push_back(100 * static_cast<double>(h.points[p].validation_top1));
        auto const [low, high] = std::minmax_element(here.top1.begin(), here.top1.end());
        out.xs.push_back(static_cast<double>(point.step));
        out.ys.push_back(here.mean());
        out.low.push_back(*low);
        out.high.push_back(*high);
    }
    return out;
}

report_panel chart_of(precision_runs const& float32, precision_runs const& bfloat16) {
    report_panel panel;
    panel.title = "Accuracy while training in float32 and bfloat16";
    panel.x_label = "updates";
    panel.y_label = "top-1, %";
    for (std::size_t i = 0; i < 2; ++i) {  // the stages with as many updates: from scratch, fine-tuned
        std::string const name = i == 0 ? "from scratch, " : "fine-tuned, ";
        panel.series.push_back(curve_of(name + "float32", float32[i]));
        panel.series.push_back(curve_of(name + "bfloat16", bfloat16[i]));
        panel.series.back().dashed = true;
    }
    return panel;
}

}  // namespace

template <class Device>
void compare_precisions(Device& device, settings s, progress_sink const& progress, image_set const& train,
                        image_set const& drawn_from, image_set const& test, std::string const& chart) {
    s.pretrain_epochs = 6;
    s.distill_epochs = 2;
    image_set const labeled = balanced_count(drawn_from, s.fractions[fraction].labels, 1);
    auto const float32 = run_stages<precision::float32>(device, s, progress, train, labeled, test);
    auto const bfloat16 = run_stages<precision::bfloat16>(device, s, progress, train, labeled, test);
    std::printf("\n%s\n", text_of(table_of(float32, bfloat16, test.size())).c_str());
    atomic_file file(chart);
    file.write(chart_svg(chart_of(float32, bfloat16)));
    file.commit();
    std::printf("Chart: %s\n", chart.c_str());
}

template void compare_precisions(cpu&, settings, progress_sink const&, image_set const&, image_set const&, image_set const&,
                                 std::string const&);
#ifdef TEMPERA_DEMO_CUDA
template void compare_precisions(gpu&, settings, progress_sink const&, image_set const&, image_set const&, image_set const&,
                                 std::string const&);
#endif

}  // namespace demo
