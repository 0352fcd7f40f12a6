// SPDX-License-Identifier: Apache-2.0
// A stage that was interrupted and goes on has the bits of one that was not; files of other runs are refused.
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "../catch.hpp"
#include "../refusal.hpp"
#include "../scratch_folder.hpp"
#include "tiny.hpp"

using namespace tempera;
using tiny::image;

namespace {

constexpr auto with_masks = [](value x) {
    return outputs(output{"logits", dense{.units = 10}(dropout{.rate = 0.3F}(global_average_pool(conv{.filters = 8}(x))))});
};

/// Stops a run before step `at`, as a power failure would.
progress_sink interrupted(std::int64_t at) {
    return [at](progress_event const& e) {
        if (e.step == at) throw std::runtime_error("interrupted");
    };
}

template <class Optimizer>
void goes_on(Optimizer const& optimizer) {
    scratch_folder const folder;
    cpu device{.threads = 1};
    image_set const set = tiny::images(30);
    train_options o{.epochs = 6,
                    .batch = 10,
                    .learning_rate = 0.05F,
                    .warmup_epochs = 1,
                    .augment = crop_and_flip{.area_min = 0.5F}};
    model_options const start{.max_batch = 10, .seed = 3};
    dynamic_model<cpu> straight(device, tiny::student, image, start), first(device, tiny::student, image, start);
    train_supervised(straight, set, optimizer, o);

    o.checkpoint = folder / "run";
    o.resume = true;
    o.progress = interrupted(11);  // in the fourth epoch
    CHECK_THROWS_AS(train_supervised(first, set, optimizer, o), std::runtime_error);
    o.progress = {};
    dynamic_model<cpu> second(device, tiny::student, image, {.max_batch = 10, .seed = 99});
    auto const history = train_supervised(second, set, optimizer, o);
    CHECK(history.points.size() == 3);
    CHECK(history.last().step == 18);
    CHECK(state_of(second) == state_of(straight));
    dynamic_model<cpu> loaded(device, tiny::student, image, start);
    loaded.load(o.checkpoint);
    CHECK(state_of(loaded) == state_of(straight));
    CHECK(train_supervised(second, set, optimizer, o).points.empty());  // it is done
}

}  // namespace

TEST_CASE("an interrupted stage goes on to the bits of one that was not", "[resumption]") {
    SECTION("lars") { goes_on(lars{}); }
    SECTION("sgd") { goes_on(sgd{}); }
    SECTION("adam") { goes_on(adam{}); }
}

TEST_CASE("random masks go on too", "[resumption]") {
    scratch_folder const folder;
    cpu device{.threads = 1};
    image_set const set = tiny::images(20);
    train_options o{.epochs = 4, .batch = 10, .learning_rate = 0.05F};
    dynamic_model<cpu> straight(device, with_masks, image, {.max_batch = 10}),
        other(device, with_masks, image, {.max_batch = 10});
    train_supervised(straight, set, sgd{}, o);
    o.checkpoint = folder / "run";
    o.resume = true;
    o.progress = interrupted(5);
    CHECK_THROWS_AS(train_supervised(other, set, sgd{}, o), std::runtime_error);
    o.progress = {};
    train_supervised(other, set, sgd{}, o);
    CHECK(state_of(other) == state_of(straight));
}

TEST_CASE("files of other networks and optimizers, and damaged ones, are refused and nothing is taken", "[resumption]") {
    scratch_folder const folder;
    cpu device{.threads = 1};
    image_set const set = tiny::images(10);
    train_options const o{.epochs = 1, .batch = 10, .checkpoint = folder / "run", .resume = true};
    dynamic_model<cpu> m(device, tiny::student, image, {.max_batch = 10});
    train_supervised(m, set, sgd{}, o);
    auto const state = state_of(m);
    std::string const file = folder / "run.resume";
    CHECK(says(refusal([&] { train_supervised(m, set, adam{}, o); }), {file, "optimizer.1"}));
    dynamic_model<cpu> other(device, tiny::tuned, image, {.max_batch = 10});
    CHECK(says(refusal([&] { train_supervised(other, set, sgd{}, o); }), {file, "optimizer.0"}));
    std::filesystem::resize_file(file, std::filesystem::file_size(file) / 2);
    CHECK(says(refusal([&] { train_supervised(m, set, sgd{}, o); }), {file}));
    CHECK(state_of(m) == state);
}
