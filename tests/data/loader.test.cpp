// SPDX-License-Identifier: Apache-2.0
// The loader: what is in a batch, the same for any number of threads, stopping early, failures on its threads.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "../catch.hpp"
#include "../refusal.hpp"

#include <tempera/data/loader.hpp>

using namespace tempera;

namespace {

/// `count` images of 9 x 10 x 3 pixels that all differ; label i % 5.
image_set numbered(int count) {
    shape const s{9, 10, 3};
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(count * s.size()));
    philox_stream stream(3);
    for (auto& p : pixels) p = static_cast<std::uint8_t>(stream.word());
    std::vector<std::int32_t> labels;
    for (int i = 0; i < count; ++i) labels.push_back(i % 5);
    return {s, pixels, labels, 5};
}

/// Everything that a run of a loader gives.
struct record {
    std::vector<float> images;
    std::vector<std::int32_t> labels, positions;
    std::vector<int> counts, epochs;
    std::vector<std::int64_t> steps;

    bool operator==(record const&) const = default;
};

record record_of(image_set const& set, loader_options const& options) {
    record r;
    loader batches(set, options);
    while (auto const b = batches.next()) {
        r.images.insert(r.images.end(), b.images.data, b.images.data + b.images.size());
        r.labels.insert(r.labels.end(), b.labels.data, b.labels.data + b.labels.size());
        r.positions.insert(r.positions.end(), b.positions.begin(), b.positions.end());
        r.counts.push_back(b.count);
        r.epochs.push_back(b.epoch);
        r.steps.push_back(b.step);
    }
    CHECK_FALSE(batches.next());
    return r;
}

loader_options two_views() {
    return {.batch = 7,
            .views = 2,
            .augment = simclr_augmentation{.height = 8, .width = 8, .blur = 0.5F},
            .seed = 11,
            .epochs = 3};
}

}  // namespace

TEST_CASE("an epoch holds every sample once, in an order of its own", "[data][loader]") {
    image_set const set = numbered(23);
    record const r = record_of(set, {.batch = 5, .seed = 4, .epochs = 2, .drop_last = false});
    CHECK(r.counts == std::vector<int>{5, 5, 5, 5, 3, 5, 5, 5, 5, 3});
    CHECK(r.epochs == std::vector<int>{0, 0, 0, 0, 0, 1, 1, 1, 1, 1});
    CHECK(r.steps == std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9});
    std::vector<std::int32_t> const first(r.positions.begin(), r.positions.begin() + 23);
    std::vector<std::int32_t> const second(r.positions.begin() + 23, r.positions.end());
    CHECK(std::set<std::int32_t>(first.begin(), first.end()).size() == 23);
    CHECK(std::set<std::int32_t>(second.begin(), second.end()).size() == 23);
    CHECK(first != second);
    CHECK_FALSE(std::is_sorted(first.begin(), first.end()));
    CHECK(record_of(set, {.batch = 5, .seed = 5, .drop_last = false}).positions != first);

    record const dropped = record_of(set, {.batch = 5, .seed = 4, .epochs = 2});
    CHECK(dropped.counts == std::vector<int>(8, 5));
    CHECK(std::equal(dropped.positions.begin(), dropped.positions.begin() + 20, first.begin()));

    record const plain = record_of(set, {.batch = 5, .shuffle = false, .drop_last = false});
    CHECK(std::is_sorted(plain.positions.begin(), plain.positions.end()));
}

TEST_CASE("rows are the views one after another, with their labels", "[data][loader]") {
    image_set const set = numbered(14);
    loader_options const options = two_views();
    loader batches(set, options);
    distortion_workspace work;
    std::vector<float> expected(8 * 8 * 3);
    int batches_seen = 0;
    while (auto const b = batches.next()) {
        REQUIRE(b.images.dims == extents{14, 8, 8, 3});
        REQUIRE(b.labels.batch() == 14);
        REQUIRE(b.positions.size() == 7);
        for (int v = 0; v < 2; ++v)
            for (int i = 0; i < b.count; ++i) {
                int const sample = b.positions[static_cast<std::size_t>(i)];
                CHECK(b.labels[v * 7 + i] == set.label(sample));
                augment(options.augment, set.image(sample), {expected.data(), {1, 8, 8, 3}},
                        view_stream(11, b.epoch, sample, v), work);
                CHECK(std::equal(expected.begin(), expected.end(), b.images.slice(v * 7 + i, 1).data));
            }
        CHECK_FALSE(std::equal(expected.begin(), expected.end(), b.images.slice(6, 1).data));  // the other view
        ++batches_seen;
    }
    CHECK(batches_seen == 6);
}

TEST_CASE("batches are bitwise the same for any number of threads", "[data][loader]") {
    image_set const set = numbered(40);
    loader_options options = two_views();
    options.augment.blur.per_batch = GENERATE(false, true);
    options.drop_last = GENERATE(false, true);
    options.threads = 0;
    record const reference = record_of(set, options);
    REQUIRE(reference.counts.size() == (options.drop_last ? 15 : 18));
    for (int threads : {1, 2, 3, 8}) {
        CAPTURE(threads);
        options.threads = threads;
        options.ahead = threads;
        CHECK(record_of(set, options) == reference);
    }
}

TEST_CASE("going on at a step gives what an uninterrupted run gives", "[data][loader]") {
    image_set const set = numbered(40);
    loader_options options = two_views();
    record const whole = record_of(set, options);
    for (std::int64_t first : {1, 4, 5, 9, 14, 15}) {
        CAPTURE(first);
        options.first_step = first;
        record const rest = record_of(set, options);
        REQUIRE(rest.steps.size() == static_cast<std::size_t>(15 - first));
        CHECK(std::equal(rest.images.begin(), rest.images.end(),
                         whole.images.end() - static_cast<std::ptrdiff_t>(rest.images.size())));
        CHECK(std::equal(rest.steps.begin(), rest.steps.end(), whole.steps.begin() + first));
    }
}

TEST_CASE("the parts of batches are the batches", "[data][loader]") {
    image_set const set = numbered(40);
    loader_options options = two_views();
    options.batch = 6;
    options.augment.blur.per_batch = GENERATE(false, true);
    loader whole(set, options);
    std::vector<std::unique_ptr<loader>> parts;
    for (options.parts = 3; options.part < 3; ++options.part) parts.push_back(std::make_unique<loader>(set, options));
    CHECK(parts[0]->steps() == whole.steps());
    while (auto const b = whole.next()) {
        for (int p = 0; p < 3; ++p) {
            auto const mine = parts[static_cast<std::size_t>(p)]->next();
            REQUIRE(mine.count == 2);
            CHECK((mine.step == b.step && mine.epoch == b.epoch));
            CHECK(std::equal(mine.positions.begin(), mine.positions.end(), b.positions.begin() + 2 * p));
            for (int v = 0; v < 2; ++v) {
                auto const own = mine.images.slice(2 * v, 2), from = b.images.slice(6 * v + 2 * p, 2);
                CHECK(std::equal(own.data, own.data + own.size(), from.data));
                CHECK(
                    std::equal(mine.labels.data + 2 * v, mine.labels.data + 2 * v + 2, b.labels.data + 6 * v + 2 * p));
            }
        }
    }
    for (auto const& p : parts) CHECK_FALSE(p->next());
}

TEST_CASE("a number of steps overrides the epochs", "[data][loader]") {
    record const r = record_of(numbered(10), {.batch = 4, .epochs = 1, .steps = 7});
    CHECK(r.steps.size() == 7);
    CHECK(r.epochs == std::vector<int>{0, 0, 1, 1, 2, 2, 3});
    loader const batches(numbered(10), {.batch = 4, .epochs = 3});
    CHECK(batches.steps_per_epoch() == 2);
    CHECK(batches.steps() == 6);
    CHECK(batches.image_shape() == shape{9, 10, 3});
}

TEST_CASE("one sigma for a batch where the settings say so", "[data][loader]") {
    // Images that are one bright pixel show the filter: all blurred ones of a batch have the same center.
    std::vector<std::uint8_t> pixels(12 * 21 * 21, 0);
    for (std::size_t i = 0; i < 12; ++i) pixels[i * 441 + 220] = 255;
    image_set const set(shape{21, 21, 1}, pixels, std::vector<std::int32_t>(12, 0), 1);
    for (bool per_batch : {true, false}) {
        loader batches(
            set,
            {.batch = 6, .views = 2, .augment = {.blur = {.probability = 1, .radius = 3, .per_batch = per_batch}}});
        std::set<float> all;
        while (auto const b = batches.next())
            for (int v = 0; v < 2; ++v) {
                std::set<float> centers;
                for (int i = 0; i < 6; ++i) centers.insert(b.images.slice(v * 6 + i, 1)[220]);
                CHECK(centers.size() == (per_batch ? 1U : 6U));
                all.insert(centers.begin(), centers.end());
            }
        CHECK(all.size() == (per_batch ? 4U : 24U));
    }
}

TEST_CASE("a loader stops at once when it is destroyed early", "[data][loader]") {
    image_set const set = numbered(64);
    for (int threads : {0, 1, 3})
        for (int taken : {0, 1, 5}) {
            loader batches(set, {.batch = 4, .epochs = 1'000'000, .threads = threads, .ahead = 3});
            for (int i = 0; i < taken; ++i) REQUIRE(batches.next());
        }
    // A thread that waits for a free slot, one that works, and a consumer that never asks.
    loader waiting(set, {.batch = 4, .epochs = 1'000'000, .threads = 2});
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
}

TEST_CASE("a failure on a thread of the loader reaches the consumer at its batch", "[data][loader]") {
    image_set const set = numbered(24);
    for (int threads : {0, 1, 3}) {
        CAPTURE(threads);
        loader_options options{.batch = 4, .shuffle = false, .threads = threads};
        options.view = [&](view<std::uint8_t const> image, view<float> out, philox_stream) {
            if (image.data == set.image(13).data) throw std::runtime_error("image 13 is broken");
            std::fill_n(out.data, out.size(), 0.25F);
        };
        loader batches(set, options);
        for (int i = 0; i < 3; ++i) {
            auto const b = batches.next();
            REQUIRE(b);
            CHECK(b.images[b.images.size() - 1] == 0.25F);
        }
        CHECK_THROWS_WITH(batches.next(), "image 13 is broken");
        CHECK_FALSE(batches.next());
    }
}

TEST_CASE("the loader refuses options that make no sense", "[data][loader]") {
    image_set const set = numbered(6);
    auto const message = [&](loader_options const& o) { return refusal([&] { loader const batches(set, o); }); };
    CHECK(says(message({.batch = 7}), {"at most the 6 images", "drop_last"}));
    CHECK(message({.batch = 7, .drop_last = false}) == "nothing was thrown");
    CHECK(says(message({.batch = 0}), {"batch"}));
    CHECK(says(message({.batch = 2, .views = 0}), {"views"}));
    CHECK(says(message({.batch = 2, .epochs = 0}), {"epochs"}));
    CHECK(says(message({.batch = 2, .steps = -1}), {"steps"}));
    CHECK(says(message({.batch = 2, .first_step = -1}), {"first_step"}));
    CHECK(says(message({.batch = 2, .threads = -1}), {"threads"}));
    CHECK(says(message({.batch = 2, .ahead = 0}), {"ahead"}));
    CHECK(says(message({.batch = 4, .parts = 3}), {"batch: expected a multiple of its 3 parts, found 4"}));
    CHECK(says(message({.batch = 4, .parts = 0}), {"parts: expected 1 to 65536, found 0"}));
    CHECK(says(message({.batch = 4, .part = 2, .parts = 2}), {"part: expected 0 to 1, found 2"}));
    CHECK(says(message({.batch = 4, .parts = 2, .drop_last = false}), {"drop_last"}));
    CHECK(says(message({.batch = 2, .augment = {.flip = 1.5F}}), {"flip", "1.5"}));
    CHECK(says(refusal([] { loader const batches(image_set{}, {}); }), {"at least one image"}));
}
