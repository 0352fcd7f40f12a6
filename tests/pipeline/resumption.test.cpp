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
    auto const whole = train_supervised(straight, set, optimizer, o).points;

    o.checkpoint = folder / "run";
    o.resume = true;
    o.progress = interrupted(11);  // in the fourth epoch
    CHECK_THROWS_AS(train_supervised(first, set, optimizer, o), std::runtime_error);
    std::vector<std::int64_t> told;
    o.progress = [&](progress_event const& e) {
        told.push_back(e.step);
        CHECK(e.first == 9);
        CHECK(seconds_left(e) <= 9 * e.seconds);
    };
    dynamic_model<cpu> second(device, tiny::student, image, {.max_batch = 10, .seed = 99});
    auto const history = train_supervised(second, set, optimizer, o);
    CHECK(told == std::vector<std::int64_t>{10, 11, 12, 13, 14, 15, 16, 17, 18});
    REQUIRE(history.points.size() == whole.size());
    for (std::size_t i = 0; i < whole.size(); ++i) {
        CHECK(history.points[i].step == whole[i].step);
        CHECK(history.points[i].training.loss == whole[i].training.loss);
        CHECK(history.points[i].training.accuracy == whole[i].training.accuracy);
        CHECK(history.points[i].training.entropy == whole[i].training.entropy);
        CHECK(history.points[i].validation_top1 == -1);
    }
    CHECK(state_of(second) == state_of(straight));
    dynamic_model<cpu> loaded(device, tiny::student, image, start);
    loaded.load(o.checkpoint);
    CHECK(state_of(loaded) == state_of(straight));
    CHECK(train_supervised(second, set, optimizer, o).last().step == 18);  // it is done
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
    struct {
        void (*change)(train_options&);
        char const* words;
    } const changes[] = {
        {[](train_options& c) { c.learning_rate = 0.2F; }, "found rate 0.2"},
        {[](train_options& c) { c.epochs = 3; }, "expected what it was begun with, epochs 1, found epochs 3"},
        {[](train_options& c) { c.batch = 5; }, "batch 10, found batch 5"},
        {[](train_options& c) { c.seed = 2; }, "found seed 2"},
        {[](train_options& c) { c.warmup_epochs = 0.5F; }, "found warm-up epochs 0.5"},
        {[](train_options& c) { c.schedule = [](std::int64_t, std::int64_t) { return 0.1F; }; },
         "nothing more, found a schedule"}};
    for (auto const& [change, words] : changes) {
        train_options other = o;
        change(other);
        CHECK(says(refusal([&] { train_supervised(m, set, sgd{}, other); }), {file, words, "resume with the same"}));
    }
    for (image_set const& another : {tiny::images(10, 2), set.with_labels(std::vector<std::int32_t>(10, 3))})
        CHECK(says(refusal([&] { train_supervised(m, another, sgd{}, o); }), {file, "10 images of checksum "}));
    CHECK(says(refusal([&] { train_supervised(m, set, adam{}, o); }), {file, "expected the state of an optimizer with 2 slots, found 1", "begun with"}));
    dynamic_model<cpu> other(device, tiny::tuned, image, {.max_batch = 10});
    CHECK(says(refusal([&] { train_supervised(other, set, sgd{}, o); }), {file, "optimizer.0"}));
    std::filesystem::resize_file(file, std::filesystem::file_size(file) / 2);
    CHECK(says(refusal([&] { train_supervised(m, set, sgd{}, o); }), {file}));
    std::filesystem::remove(file);
    CHECK(says(refusal([&] { train_supervised(m, set, sgd{}, o); }),
               {"train_options.resume: expected " + file + " beside the checkpoint, found none", "remove or rename"}));
    CHECK(state_of(m) == state);
}

TEST_CASE("what a run left before it was stopped between its two files is enough", "[resumption]") {
    scratch_folder const folder;
    cpu device{.threads = 1};
    image_set const set = tiny::images(10);
    train_options const o{.epochs = 2, .batch = 10, .validation = set, .checkpoint = folder / "run", .resume = true};
    dynamic_model<cpu> m(device, tiny::student, image, {.max_batch = 10}), again(device, tiny::student, image, {.max_batch = 10});
    train_supervised(m, set, sgd{}, o);
    std::filesystem::remove(o.checkpoint);
    train_supervised(again, set, sgd{}, o);
    dynamic_model<cpu> loaded(device, tiny::student, image, {.max_batch = 10});
    loaded.load(o.checkpoint);
    CHECK(state_of(loaded) == state_of(m));
}

TEST_CASE("a linear evaluation that is resumed when all is done still judges", "[resumption]") {
    scratch_folder const folder;
    cpu device{.threads = 1};
    image_set const set = tiny::images(20);
    dynamic_model<cpu> encoder(device, tiny::contrastive, image, {.max_batch = 20});
    train_options const o{.epochs = 2, .batch = 10, .validation = set, .checkpoint = folder / "probe", .resume = true};
    auto const first = linear_evaluation(encoder, set, sgd{}, o), second = linear_evaluation(encoder, set, sgd{}, o);
    CHECK(second.test.images == 20);
    CHECK(second.test.top1 == first.test.top1);
}

TEST_CASE("a history in a file is seven numbers a line", "[resumption]") {
    std::vector<history_point> const points{{1, 31, {0.125F, 1e-9F, 3}, -1, 0.5F}, {1.0 / 3, 62, {-2, 0, 0}, 0.25F, -1}};
    auto const back = detail::history_of("f", detail::text_of(points));
    REQUIRE(back.size() == 2);
    CHECK(back[0].training.accuracy == 1e-9F);
    CHECK(back[1].epoch == 1.0 / 3);
    CHECK(back[1].step == 62);
    CHECK(back[1].probe_accuracy == 0.25F);
    CHECK(detail::history_of("f", "").empty());
    for (char const* const damaged : {"1 2 3", "1 2 3 4 5 6 seven\n", "1 2.5 3 4 5 6 7\n", "\n"})
        CHECK(says(refusal([&] { detail::history_of("f", damaged); }), {"f, metadata \"history\"", "seven numbers"}));
}
