// SPDX-License-Identifier: Apache-2.0
// Stages over several processes: the weights, losses and accuracies of one process that has the whole batch.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <filesystem>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "../catch.hpp"
#include "../pipeline/tiny.hpp"
#include "../refusal.hpp"
#include "../scratch_folder.hpp"
#include "threads_communicator.hpp"

using namespace tempera;

namespace {

/// What a stage leaves.
struct outcome {
    std::vector<float> parameters, statistics;
    training_history history;
    evaluation judged;
};

constexpr int batch = 24;

train_options options() {
    return {.steps = 3, .batch = batch, .learning_rate = 0.05F, .augment = crop_and_flip{.area_min = 0.5F}};
}

double difference(std::vector<float> const& a, std::vector<float> const& b) {
    double worst = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        worst = std::max(worst, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
    return a.size() == b.size() ? worst : 1e30;
}

/// Runs a stage alone and in processes: the same bits in all of them, and to rounding those of one. Three steps of
/// small networks multiply what rounding does by some hundreds.
template <class Stage>
void agrees(Stage const& stage) {
    cpu alone{.threads = 1};
    outcome const expected = stage(alone);
    for (int const processes : {2, 3}) {
        INFO(processes << " processes");
        std::vector<outcome> got(static_cast<std::size_t>(processes));
        in_processes(processes,
                     [&](cpu& device) { got[static_cast<std::size_t>(device.processes.rank())] = stage(device); });
        for (outcome const& o : got) {
            CHECK(o.parameters == got[0].parameters);
            CHECK(o.statistics == got[0].statistics);
            CHECK(o.judged.top1 == got[0].judged.top1);
        }
        CHECK(difference(got[0].parameters, expected.parameters) < 2e-4);
        CHECK(difference(got[0].statistics, expected.statistics) < 2e-4);
        CHECK(std::abs(got[0].judged.top1 - expected.judged.top1) <= 0.02);  // an image or two near a border
        CHECK(got[0].judged.images == expected.judged.images);
        REQUIRE(got[0].history.points.size() == expected.history.points.size());
        for (std::size_t i = 0; i < expected.history.points.size(); ++i) {
            auto const &a = got[0].history.points[i], &b = expected.history.points[i];
            CHECK(std::abs(a.training.loss - b.training.loss) < 2e-4F);
            CHECK(std::abs(a.training.accuracy - b.training.accuracy) < 0.03F);
            CHECK(std::abs(a.probe_accuracy - b.probe_accuracy) < 0.03F);
        }
    }
}

template <class Model>
outcome outcome_of(Model& m, training_history history, evaluation judged = {}) {
    return {m.host_parameters(), m.host_statistics(), std::move(history), judged};
}

/// Selective kernels, whose branches have batch norm in their readers.
resnet_network const selective{
    {.depth = 10, .base_filters = 8, .stages = 2, .stem = stem::small, .selective_kernel = true}};

}  // namespace

TEST_CASE("processes pretrain as one does", "[parallel][stages]") {
    image_set const set = tiny::images(60);
    auto const network = simclr(selective, tiny::head);
    agrees([&](cpu& device) {
        dynamic_model<cpu> m(device, network, tiny::image, {.max_batch = 2 * batch, .seed = 5});
        return outcome_of(m, pretrain(m, set, nt_xent{.temperature = 0.5F}, lars{}, options()));
    });
}

TEST_CASE("processes pretrain in bfloat16", "[parallel][stages]") {
    image_set const set = tiny::images(60);
    std::vector<std::vector<float>> weights(2);
    in_processes(2, [&](cpu& device) {
        dynamic_model<cpu, precision::bfloat16> m(device, tiny::contrastive, tiny::image, {.max_batch = 2 * batch});
        pretrain(m, set, nt_xent{}, lars{}, options());
        weights[static_cast<std::size_t>(device.processes.rank())] = m.host_parameters();
    });
    CHECK(weights[0] == weights[1]);
}

TEST_CASE("processes fine-tune, evaluate and distill as one does", "[parallel][stages]") {
    image_set const set = tiny::images(60), test = tiny::images(50, 2);
    // Labels are few, and not evenly spread.
    std::vector<std::int32_t> some(set.labels().begin(), set.labels().end());
    for (std::size_t i = 0; i < some.size(); ++i)
        if (i % 3 != 0) some[i] = no_label;
    image_set const few = set.with_labels(some);
    SECTION("supervised") {
        std::atomic<bool> same = true;
        agrees([&](cpu& device) {
            dynamic_model<cpu> m(device, tiny::tuned, tiny::image, {.max_batch = batch});
            auto history = train_supervised(m, few, sgd{}, options());
            evaluation const shared = evaluate(m, test, {}, device.processes), own = evaluate(m, test);
            if (shared.top1 != own.top1 || shared.top5 != own.top5 || shared.images != own.images) same = false;
            return outcome_of(m, std::move(history), shared);
        });
        CHECK(same);
    }
    SECTION("the unbiased moving variance") {
        agrees([&](cpu& device) {
            dynamic_model<cpu> m(device, tiny::tuned, tiny::image, {.max_batch = batch, .unbiased_variance = true});
            auto history = train_supervised(m, set, sgd{}, options());
            return outcome_of(m, std::move(history));
        });
    }
    SECTION("distillation with labels") {
        agrees([&](cpu& device) {
            dynamic_model<cpu> teacher(device, tiny::tuned, tiny::image, {.max_batch = batch, .seed = 9});
            dynamic_model<cpu> m(device, tiny::student, tiny::image, {.max_batch = batch});
            auto history = distill(m, teacher, few, distillation{.temperature = 2, .alpha = 0.5F}, adam{}, options());
            return outcome_of(m, std::move(history), evaluate(m, test));
        });
    }
    SECTION("linear evaluation") {
        agrees([&](cpu& device) {
            dynamic_model<cpu> encoder(device, tiny::contrastive, tiny::image, {.max_batch = batch});
            auto o = options();
            o.validation = test;
            auto found = linear_evaluation(encoder, few, sgd{}, o);
            return outcome_of(found.probe->model(), std::move(found.history), found.test);
        });
    }
}

TEST_CASE("processes draw masks of their own", "[parallel][stages]") {
    constexpr auto masked = [](value x) { return outputs(output{"y", dropout{.rate = 0.5F}(x)}); };
    std::vector<std::vector<float>> seen(2);
    in_processes(2, [&](cpu& device) {
        dynamic_model<cpu> m(device, masked, shape{1, 1, 64}, {.max_batch = 1});
        std::vector<float> const ones(64, 1.0F);
        auto const y = m.forward({ones.data(), {1, 1, 1, 64}}).last();
        seen[static_cast<std::size_t>(device.processes.rank())].assign(y.data, y.data + 64);
    });
    CHECK(seen[0] != seen[1]);
}

TEST_CASE("the first process tells and saves, and all go on from what it saved", "[parallel][stages]") {
    scratch_folder const folder;
    image_set const set = tiny::images(60);
    auto const network = tiny::student;
    std::vector<int> told(2);
    std::vector<std::vector<float>> weights(2), resumed(2);
    in_processes(2, [&](cpu& device) {
        auto const r = static_cast<std::size_t>(device.processes.rank());
        train_options o = options();
        o.steps = 6;
        o.checkpoint = folder / "run";
        o.resume = true;
        o.progress = [&](progress_event const& e) {
            ++told[r];
            CHECK(e.total_steps == 6);
        };
        dynamic_model<cpu> m(device, network, tiny::image, {.max_batch = batch});
        train_supervised(m, set, sgd{}, o);
        weights[r] = m.host_parameters();
        dynamic_model<cpu> other(device, network, tiny::image, {.max_batch = batch, .seed = 77});
        train_supervised(other, set, sgd{}, o);  // all is done: the file's weights
        resumed[r] = other.host_parameters();
    });
    CHECK(told == std::vector<int>{6, 0});
    CHECK(weights[0] == weights[1]);
    CHECK(resumed[0] == weights[0]);
    CHECK(resumed[1] == weights[0]);
}

TEST_CASE("what one process throws within a stage ends it in all", "[parallel][stages]") {
    scratch_folder const folder;
    image_set const set = tiny::images(60);
    auto const said_where = [&](auto const& fails) {
        std::vector<std::string> said(2);
        in_processes(2, [&](cpu& device) {
            train_options o = options();
            fails(o, device.processes.rank());
            dynamic_model<cpu> m(device, tiny::student, tiny::image, {.max_batch = batch});
            try {
                train_supervised(m, set, sgd{}, o);
            } catch (std::exception const& e) {
                said[static_cast<std::size_t>(device.processes.rank())] = e.what();
            }
        });
        return said;
    };
    auto const stopped = said_where([](train_options& o, int) {
        o.progress = [](progress_event const& e) {
            if (e.step == 2) throw std::runtime_error("early");
        };
    });
    CHECK(stopped[0] == "early");
    CHECK(says(stopped[1], {"supervised: expected all processes to go on, found an exception in another one"}));
    auto const broken = said_where([](train_options& o, int rank) {
        o.view = [rank](view<std::uint8_t const>, view<float> out, philox_stream) {
            if (rank == 1) throw std::runtime_error("a broken image");
            std::fill_n(out.data, out.size(), 0.5F);
        };
        o.augment = {};
    });
    CHECK(says(broken[0], {"an exception in another one"}));
    CHECK(broken[1] == "a broken image");
    auto const full = said_where([&](train_options& o, int) {
        o.checkpoint = folder / "run";
        std::filesystem::create_directories(o.checkpoint);  // no file can be put there
    });
    CHECK(says(full[0], {folder / "run", "a regular file"}));
    CHECK(says(full[1], {"an exception in another one"}));
}

TEST_CASE("a loss that is no number in one process is refused by all, and what it comes from is named",
          "[parallel][stages]") {
    image_set const set = tiny::images(60);
    constexpr auto plain = [](value x) {
        return dense{.units = 10}(global_average_pool(conv{.filters = 8, .bias = true}(x)));
    };
    struct {
        float pixel;
        char const* words;
    } const cases[] = {{std::numeric_limits<float>::quiet_NaN(), "the model's input holds such values already"},
                       {3e38F, "comes from conv"}};
    for (auto const& bad : cases) {
        std::vector<std::string> said(2);
        in_processes(2, [&](cpu& device) {
            auto const r = static_cast<std::size_t>(device.processes.rank());
            train_options o = options();
            o.augment = {};
            o.view = [r, &bad](view<std::uint8_t const>, view<float> out, philox_stream) {
                std::fill_n(out.data, out.size(), r == 1 ? bad.pixel : 0.5F);
            };
            dynamic_model<cpu> m(device, plain, tiny::image, {.max_batch = batch});
            std::fill_n(m.parameters().data(), 9 * 8, 1.0F);  // the convolution's: sums of what is large
            said[r] = refusal([&] { train_supervised(m, set, sgd{}, o); });
        });
        CHECK(says(said[0], {"step 0: expected a finite loss", bad.words}));
        CHECK(said[0] == said[1]);
    }
}

TEST_CASE("weights that are no number in one process are reported by all", "[parallel][stages]") {
    std::vector<int> said(2);
    in_processes(2, [&](cpu& device) {
        auto const r = static_cast<std::size_t>(device.processes.rank());
        dynamic_model<cpu> m(device, [](value x) { return batch_norm{}(x); }, shape{1, 1, 1}, {.max_batch = 2});
        if (r == 1) m.parameters().data()[0] = std::numeric_limits<float>::quiet_NaN();
        std::vector<float> const x{1, 5};
        said[r] = m.finite_on({x.data(), {2, 1, 1, 1}});
    });
    CHECK(said == std::vector<int>{0, 0});
}

TEST_CASE("a value for each of two processes is enough for batch norm, other numbers of rows are not", "[parallel]") {
    constexpr auto vector_norm = [](value x) { return batch_norm{}(x); };
    std::vector<float> out(2);
    std::vector<std::string> said(2);
    in_processes(2, [&](cpu& device) {
        auto const r = static_cast<std::size_t>(device.processes.rank());
        dynamic_model<cpu> m(device, vector_norm, shape{1, 1, 1}, {.max_batch = 2});
        std::vector<float> const x{r == 0 ? 1.0F : 3.0F, 5.0F};
        out[r] = m.forward({x.data(), {1, 1, 1, 1}}).last()[0];
        said[r] = refusal([&] { m.forward({x.data(), {1 + static_cast<int>(r), 1, 1, 1}}); });
    });
    CHECK(std::abs(out[0] + 1) < 1e-4F);
    CHECK(std::abs(out[1] - 1) < 1e-4F);
    CHECK(says(said[0], {"batch norm: expected as many rows in every process, found 2 in process 1, here 1"}));
    CHECK(says(said[1], {"found 1 in process 0, here 2"}));
}

TEST_CASE("processes that do not fit are refused", "[parallel][stages]") {
    image_set const set = tiny::images(60);
    auto const said_by = [&](int batch_size, bool other_seeds) {
        std::vector<std::string> said(2);
        in_processes(2, [&](cpu& device) {
            auto const r = static_cast<std::size_t>(device.processes.rank());
            train_options o = options();
            o.batch = batch_size;
            dynamic_model<cpu> m(device, tiny::student, tiny::image,
                                 {.max_batch = batch, .seed = other_seeds ? r + 1 : 1});
            said[r] = refusal([&] { train_supervised(m, set, sgd{}, o); });
        });
        CHECK(said[0] == said[1]);
        return said[0];
    };
    CHECK(says(said_by(25, false), {"batch: expected a multiple of its 2 parts, found 25", "share evenly"}));
    CHECK(
        says(said_by(24, true), {"the same weights and options in all processes, found others in process 1", "seed"}));

    scratch_folder const folder;
    auto const said_with = [&](auto const& train) {
        std::vector<std::string> said(2);
        in_processes(2, [&](cpu& device) {
            dynamic_model<cpu> m(device, tiny::student, tiny::image, {.max_batch = batch});
            train_options o = options();
            o.steps = 0;
            o.epochs = 2;
            bool const first = device.processes.rank() == 0;
            said[first ? 0 : 1] = refusal([&] { train(m, o, first); });
        });
        CHECK(said[0] == said[1]);
        return said[0];
    };
    for (auto const &change : {+[](train_options&o, std::string const&file, image_set const&) { o.checkpoint = file; },
                               +[](train_options&o, std::string const&, image_set const&s) { o.validation = s; },
                               +[](train_options&o, std::string const&, image_set const&) { o.validate_every = 2; },
                               +[](train_options&o, std::string const&, image_set const&) { o.batch = 12; }}) {
        CHECK(says(said_with([&](auto& m, train_options o, bool first) {
                       if (first) change(o, folder / "run", set);
                       train_supervised(m, set, sgd{}, o);
                   }),
                   {"supervised: expected the same weights and options in all processes"}));
    }
    CHECK(says(said_with([&](auto& m, train_options const& o, bool first) {
                   train_supervised(m, set, sgd{.momentum = first ? 0.9F : 0.0F}, o);
               }),
               {"supervised: expected the same weights in all processes after an epoch", "optimizers"}));
}
