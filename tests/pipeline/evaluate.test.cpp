// SPDX-License-Identifier: Apache-2.0
// Accuracies against a direct count, embeddings against the outputs of one image at a time, neighbours against a sort of
// all similarities in double.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "../catch.hpp"
#include "../refusal.hpp"
#include "tiny.hpp"

using namespace tempera;
using tiny::batch_of;
using tiny::image;
using tiny::seen;

namespace {

/// A classifier that tells some images apart: its weights are drawn.
template <class Model>
void draw(Model& m) {
    philox_stream random(6);
    auto parameters = m.host_parameters();
    for (float& p : parameters) p = random.uniform(-1, 1);
    m.write_parameters(parameters.data());
}

embeddings rows_of(std::vector<float> values, int channels) {
    int const rows = static_cast<int>(values.size()) / channels;
    return {std::move(values), rows, channels};
}

/// All rows by falling similarity; equal ones by place.
std::vector<int> sorted_by_similarity(embeddings const& among, float const* query, int without) {
    std::vector<std::pair<double, int>> all;
    for (int i = 0; i < among.rows; ++i) {
        if (i == without) continue;
        double dot = 0, length = 0, other = 0;
        for (int c = 0; c < among.channels; ++c) {
            double const x = static_cast<double>(among.row(i)[c]), q = static_cast<double>(query[c]);
            dot += x * q, length += x * x, other += q * q;
        }
        all.emplace_back(-dot / std::sqrt(length * other), i);
    }
    std::stable_sort(all.begin(), all.end(), [](auto const& a, auto const& b) { return a.first < b.first - 1e-12; });
    std::vector<int> places;
    for (auto const& [similarity, place] : all) places.push_back(place);
    return places;
}

}  // namespace

TEST_CASE("evaluate counts what sorting the logits of each image counts", "[evaluate]") {
    cpu device{.threads = 1};
    image_set set = tiny::images(50);
    std::vector<std::int32_t> labels(set.labels().begin(), set.labels().end());
    for (std::size_t i = 0; i < labels.size(); i += 7) labels[i] = no_label;
    set = set.with_labels(labels);
    dynamic_model<cpu> m(device, tiny::tuned, image, {.max_batch = 16});  // four batches, the last of two
    draw(m);
    auto const state = state_of(m);
    int first = 0, fifth = 0, labeled = 0;
    for (int i = 0; i < set.size(); ++i) {
        auto const x = seen(set, i, 1);
        auto const z = m.predict(batch_of(x)).last();
        std::vector<int> order(10);
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return z[a] > z[b]; });
        auto const place = std::find(order.begin(), order.end(), set.label(i)) - order.begin();
        labeled += set.label(i) != no_label;
        first += set.label(i) != no_label && place == 0;
        fifth += set.label(i) != no_label && place < 5;
    }
    evaluation const found = evaluate(m, set);
    CHECK(found.images == labeled);
    CHECK(labeled == 42);
    CHECK(found.top1 == static_cast<double>(first) / labeled);
    CHECK(found.top5 == static_cast<double>(fifth) / labeled);
    CHECK((0 < first && first < fifth && fifth < labeled));
    CHECK(state_of(m) == state);
}

TEST_CASE("with fewer than five classes every label is among the five largest logits", "[evaluate]") {
    cpu device{.threads = 1};
    dynamic_model<cpu> m(device, classifier(tiny::encoder, {.classes = 3}), image, {.max_batch = 8});
    std::vector<std::int32_t> labels(10);
    for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<std::int32_t>(i % 3);
    evaluation const found = evaluate(m, tiny::images(10).with_labels(labels, 3));
    CHECK(found.top5 == 1);
    CHECK(found.top1 < 1);
}

TEST_CASE("evaluate takes as many logits as the set has classes", "[evaluate]") {
    cpu device{.threads = 1};
    image_set const set = tiny::images(20);
    dynamic_model<cpu> contrastive(device, tiny::contrastive, image, {.max_batch = 8});
    CHECK(says(refusal([&] { evaluate(contrastive, set); }),
               {"evaluate: expected logits of the 10 classes of the set, found 8", "with_labels"}));
}

TEST_CASE("embed gives one row per image, in the set's order", "[evaluate]") {
    cpu device{.threads = 1};
    image_set const set = tiny::images(20);
    dynamic_model<cpu> m(device, tiny::contrastive, image, {.max_batch = 8});
    draw(m);
    for (char const* const output : {"encoder", "head"}) {
        embeddings const all = embed(m, set, output);
        REQUIRE((all.rows == 20 && all.channels == 8 && all.values.size() == 160));
        float spread = 0;
        for (int i = 0; i < 20; ++i) {
            auto const x = seen(set, i, 1);
            auto const row = m.predict(batch_of(x))[output];
            for (int c = 0; c < 8; ++c) {
                CHECK(std::abs(row[c] - all.row(i)[c]) < 1e-4F);
                spread = std::max(spread, std::abs(row[c] - all.row(0)[c]));
            }
        }
        CHECK(spread > 1e-2F);  // a row in another's place would be seen
    }
    CHECK(says(refusal([&] { embed(m, set, "features"); }),
               {"outputs: expected one of encoder, head", "found \"features\"", "ask for a name"}));
}

TEST_CASE("nearest_neighbours are those of a full sort", "[evaluate]") {
    philox_stream random(2);
    std::vector<float> values(30 * 5), others(4 * 5);
    for (float& v : values) v = random.uniform(-1, 1);
    for (float& v : others) v = random.uniform(-1, 1);
    for (std::size_t c = 0; c < 5; ++c) {
        values[12 * 5 + c] = 3 * values[4 * 5 + c];  // the same direction, another length
        values[20 * 5 + c] = values[4 * 5 + c];      // the same row: equal similarity to all
        values[25 * 5 + c] = -values[4 * 5 + c];     // the least similar
    }
    embeddings const among = rows_of(values, 5), queries = rows_of(others, 5);
    auto const within = nearest_neighbours(among, among, 6);
    REQUIRE(within.size() == 30);
    for (int q = 0; q < 30; ++q) {
        auto expected = sorted_by_similarity(among, among.row(q), q);
        CHECK(expected.size() == 29);
        if (q == 4) {
            CHECK((expected[0] == 12 && expected[1] == 20 && expected[28] == 25));
            CHECK(std::vector<int>{std::min(within[4][0], within[4][1]), std::max(within[4][0], within[4][1])} ==
                  std::vector<int>{12, 20});
            continue;
        }
        // rows 4, 12 and 20 are as similar as each other to every query, up to rounding
        auto const one = [](int row) { return row == 12 || row == 20 ? 4 : row; };
        for (std::size_t k = 0; k < 6; ++k) CHECK(one(within[static_cast<std::size_t>(q)][k]) == one(expected[k]));
    }
    auto const between = nearest_neighbours(among, queries, 100);
    REQUIRE(between.size() == 4);
    for (auto const& row : between) CHECK(row.size() == 30);  // as many as there are
    CHECK(nearest_neighbours(among, queries, 0)[0].empty());
    embeddings ruined = queries;
    ruined.values[1] = std::numeric_limits<float>::quiet_NaN();
    CHECK(says(refusal([&] { nearest_neighbours(among, ruined, 1); }),
               {"nearest_neighbours: expected finite embeddings"}));
    CHECK(says(refusal([&] { nearest_neighbours(ruined, queries, 1); }), {"found nan"}));
    CHECK(says(refusal([&] { nearest_neighbours(rows_of(values, 6), queries, 1); }),
               {"nearest_neighbours: expected embeddings of 5 channels", "found 6", "same output of the same model"}));
}
