// SPDX-License-Identifier: Apache-2.0
// The demo: SimCLRv2 from pretraining to a distilled student on 10,000 real images, with tables and a report.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <exception>
#include <string>

#include <tempera/data/fashion_mnist.hpp>
#include <tempera/data/fraction.hpp>
#ifdef TEMPERA_HAS_ZLIB
#include <tempera/data/fashion_mnist_full.hpp>
#endif

#include "devices.hpp"
#include "experiment.hpp"
#include "learning_rates.hpp"
#include "page.hpp"
#include "precisions.hpp"
#include "results.hpp"
#include "sweep.hpp"

#ifndef TEMPERA_EXAMPLE_DATA
#define TEMPERA_EXAMPLE_DATA "examples/data"
#endif

namespace {

using namespace tempera;
using namespace demo;

struct arguments {
    bool sweep = false, longer = false, full = false;
    int threads = 0, draws = 3;
    std::string device = "cpu", report = "report.html", precisions, data = TEMPERA_EXAMPLE_DATA, command = "demo";
};

train_test load(arguments const& a) {
    if (!a.full) return fashion_mnist(a.data);
#ifdef TEMPERA_HAS_ZLIB
    return fashion_mnist_full();
#else
    throw error("--full", "a build with zlib", "one without", "install zlib and the package dataset-fashion-mnist, then build again");
#endif
}

double seconds_since(std::chrono::steady_clock::time_point begin) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

template <class Device>
void announce(experiment<Device>& e, image_set const& train, int test_images) {
    double const tflop = e.tflop(train.size(), test_images);
    double const rate = e.measured_rate(train) * 1e-12;
    std::printf("SimCLRv2 on %d training and %d test images of Fashion-MNIST.\n", train.size(), test_images);
    std::printf("About %.1f TFLOP; at the %.0f GFLOP/s measured here about %.0f s.\n", tflop, rate * 1e3, tflop / rate);
    std::printf("Learning rates: examples/demo/learning_rates.md, chosen by --sweep on images outside every draw.\n\n");
    std::fflush(stdout);
}

/// All rows for every draw and fraction; curves of the first draw.
template <class Device>
void run_draws(experiment<Device>& e, image_set const& train, image_set const& drawn_from, image_set const& test, results& r,
               std::vector<row_curve>& curves) {
    settings const& s = e.chosen();
    image_set const some = balanced_count(test, 500, 1);
    for (int draw = 1; draw <= s.draws; ++draw) {
        for (std::size_t f = 0; f < s.fractions.size(); ++f) {
            image_set const labeled = balanced_count(drawn_from, s.fractions[f].labels, static_cast<std::uint64_t>(draw));
            task t{labeled, unlabeled_except(train, labeled), test, f, static_cast<std::uint64_t>(draw)};
            t.label = std::string(s.fractions[f].name) + ", draw " + std::to_string(draw) + ": ";
            if (draw == 1) t.curve = some;
            std::unique_ptr<network<Device>> teacher;
            for (row const which : all_rows) {
                auto done = e.run(which, t, learning_rate(which, f), teacher.get());
                r.add(which, f, done.top1);
                if (draw == 1) curves.push_back({which, f, std::move(done.history)});
                if (which == row::tap1) teacher = std::move(done.model);
            }
        }
    }
}

std::string where(cpu const& device) { return std::to_string(device.thread_count()) + " threads"; }
#ifdef TEMPERA_DEMO_CUDA
std::string where(gpu const& device) { return device.context.name(); }
#endif

template <class Device>
int run(arguments const& a, Device& device) {
    auto const begin = std::chrono::steady_clock::now();
    train_test const data = load(a);
    settings s = a.longer ? long_settings() : settings{};
    s.draws = a.draws;
    if (a.full)  // the same fractions of 60,000 images
        for (label_fraction& f : s.fractions) f.labels = f.labels * data.train.size() / 8000;
    hold_out_split const split = hold_out(data.train, 200, s.seed);
    if (!a.precisions.empty()) {
        compare_precisions(device, s, terminal_progress(stderr), data.train, split.kept, data.test, a.precisions);
        return 0;
    }
    experiment e(device, s, terminal_progress(stderr));

    announce(e, data.train, data.test.size());
    page_content content;
    content.pretraining = e.pretrain(data.train);
    if (a.sweep) {
        print_sweep(e, data.train, split.kept, split.held);
        return 0;
    }
    std::array<std::int64_t, 8> parameters{};
    for (row const r : all_rows) parameters[static_cast<std::size_t>(r)] = e.parameters(r);
    results r(s, parameters);
    run_draws(e, data.train, split.kept, data.test, r, content.curves);

    std::printf("\n%s\n%s\n", text_of(r.encoder_table()).c_str(), text_of(r.student_table()).c_str());
    char summary[200];
    std::snprintf(summary, sizeof summary, "%.1f TFLOP in %.0f s on %s; %d draws of labels", e.tflop(data.train.size(), data.test.size()),
                  seconds_since(begin), where(device).c_str(), s.draws);
    content.summary = summary;
    content.command = a.command;
    write_page(a.report, e, r, content, data.train, data.test);
    std::printf("%s.\nReport: %s\n", summary, a.report.c_str());
    return 0;
}

int run(arguments const& a) {
    if (a.device == "cuda") {
#ifdef TEMPERA_DEMO_CUDA
        gpu device{};
        return run(a, device);
#else
        throw error("--device", "a build with tempera::cuda for cuda", "one without",
                    "install the CUDA Toolkit and run sh cmake/run demo --device cuda, which builds with it");
#endif
    }
    cpu device{.threads = a.threads};
    return run(a, device);
}

}  // namespace

int main(int count, char** values) {
    arguments a;
    CLI::App app{"SimCLRv2 on Fashion-MNIST: pretrain without labels, fine-tune with 1 % and 10 % of them, distill into a "
                 "small network; tables on standard output, progress on standard error, an HTML report in a file."};
    app.add_flag("--sweep", a.sweep, "choose learning rates on 200 held-out training images and print the table");
    app.add_flag("--long", a.longer, "the wider networks and longer training (up to 30 minutes)");
    app.add_flag("--full", a.full, "all 70,000 images of Debian's package dataset-fashion-mnist");
    app.add_option("--device", a.device, "what trains: cpu, or cuda for the first NVIDIA GPU")
        ->check(CLI::IsMember({"cpu", "cuda"}))
        ->capture_default_str();
    app.add_option("--threads", a.threads, "threads (0: all cores)")->check(CLI::Range(0, 1024));
    app.add_option("--draws", a.draws, "draws of labels")->check(CLI::Range(1, 100));
    app.add_option("--precisions", a.precisions,
                   "a file: only compare accuracies in float32 and bfloat16, five seeds each, with a chart there");
    app.add_option("--report", a.report, "file of the report")->capture_default_str();
    app.add_option("--data", a.data, "folder of the shipped images")->capture_default_str();
    CLI11_PARSE(app, count, values);
    for (int i = 1; i < count; ++i) a.command += std::string(" ") + values[i];
    a.command = "sh cmake/run " + a.command;
    try {
        return run(a);
    } catch (std::exception const& problem) {
        std::fprintf(stderr, "\nerror: %s\n", problem.what());
        return 1;
    }
}
