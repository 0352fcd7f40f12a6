// SPDX-License-Identifier: Apache-2.0
// Balanced draws, hold-out sets, hidden labels.

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "../catch.hpp"
#include "../refusal.hpp"

#include <tempera/data/fraction.hpp>

using namespace tempera;

namespace {

/// Images of one byte; class c of `sizes` has sizes[c] of them, mixed; every tenth image beyond has no label.
image_set mixed(std::vector<int> const& sizes) {
    std::vector<std::int32_t> labels;
    for (std::size_t c = 0; c < sizes.size(); ++c)
        labels.insert(labels.end(), static_cast<std::size_t>(sizes[c]), static_cast<std::int32_t>(c));
    labels.insert(labels.end(), labels.size() / 10, no_label);
    philox_stream stream(1);
    shuffle(labels.data(), static_cast<std::int64_t>(labels.size()), stream);
    std::size_t const count = labels.size();
    return {shape{1, 1, 1}, std::vector<std::uint8_t>(count), std::move(labels), static_cast<int>(sizes.size())};
}

std::vector<int> per_class(image_set const& set) {
    std::vector<int> counts(static_cast<std::size_t>(set.classes()));
    for (std::int32_t const label : set.labels()) ++counts.at(static_cast<std::size_t>(label));
    return counts;
}

std::vector<std::int32_t> places(image_set const& set) {
    std::vector<std::int32_t> out;
    for (int i = 0; i < set.size(); ++i) out.push_back(set.place(i));
    return out;
}

}  // namespace

TEST_CASE("a balanced draw takes as many of each class", "[data][fraction]") {
    image_set const set = mixed({30, 50, 40, 80});
    CHECK(per_class(balanced_fraction(set, 0.1, 1)) == std::vector<int>{5, 5, 5, 5});
    CHECK(balanced_fraction(set, 0.1, 1).size() == 20);  // of the 200 labeled, not of all 220
    auto const uneven = per_class(balanced_count(set, 22, 1));
    CHECK(*std::min_element(uneven.begin(), uneven.end()) == 5);
    CHECK(*std::max_element(uneven.begin(), uneven.end()) == 6);
    CHECK(balanced_count(set, 22, 1).size() == 22);
    CHECK(balanced_count(set, 3, 1).size() == 3);
    auto const chosen = places(balanced_count(set, 20, 1));
    CHECK(std::is_sorted(chosen.begin(), chosen.end()));
    CHECK(std::adjacent_find(chosen.begin(), chosen.end()) == chosen.end());
}

TEST_CASE("draws depend on the seed alone, and contain smaller ones", "[data][fraction]") {
    image_set const set = mixed({30, 50, 40, 80});
    CHECK(places(balanced_count(set, 20, 1)) == places(balanced_count(set, 20, 1)));
    CHECK(places(balanced_count(set, 20, 1)) != places(balanced_count(set, 20, 2)));
    auto larger = places(balanced_count(set, 120, 7));
    for (int count = 119; count > 0; count -= 7) {
        auto const smaller = places(balanced_count(set, count, 7));
        CHECK(std::includes(larger.begin(), larger.end(), smaller.begin(), smaller.end()));
        larger = smaller;
    }
}

TEST_CASE("every image of a class is drawn equally often", "[data][fraction]") {
    image_set const set = mixed({20, 20});
    std::vector<int> seen(static_cast<std::size_t>(set.size()));
    constexpr int rounds = 4000;
    for (std::uint64_t seed = 0; seed < rounds; ++seed)
        for (std::int32_t const p : places(balanced_count(set, 10, seed))) ++seen[static_cast<std::size_t>(p)];
    // Binomial(4000, 1/4): mean 1000, deviation 27.4; 40 images within 4.5 deviations.
    for (int i = 0; i < set.size(); ++i) {
        CAPTURE(i);
        if (set.label(i) == no_label) CHECK(seen[static_cast<std::size_t>(i)] == 0);
        else CHECK(std::abs(seen[static_cast<std::size_t>(i)] - 1000) < 123);
    }
}

TEST_CASE("a hold-out set and the rest have no image in common", "[data][fraction]") {
    image_set const set = mixed({30, 50, 40, 80});
    auto const [kept, held] = hold_out(set, 40, 3);
    CHECK(per_class(held) == std::vector<int>{10, 10, 10, 10});
    CHECK(kept.size() + held.size() == set.size());
    auto all = places(kept);
    CHECK(std::is_sorted(all.begin(), all.end()));
    auto const out = places(held);
    all.insert(all.end(), out.begin(), out.end());
    std::sort(all.begin(), all.end());
    CHECK(all == places(set));
}

TEST_CASE("labels can be hidden, all or all but a draw's", "[data][fraction]") {
    image_set const set = mixed({30, 50, 40, 80});
    image_set const hidden = unlabeled(set);
    CHECK(hidden.size() == set.size());
    CHECK(std::all_of(hidden.labels().begin(), hidden.labels().end(), [](std::int32_t l) { return l == no_label; }));

    image_set const labeled = balanced_count(set, 20, 1);
    image_set const partly = unlabeled_except(set, labeled);
    auto const known = places(labeled);
    int count = 0;
    for (int i = 0; i < partly.size(); ++i) {
        bool const is_known = std::binary_search(known.begin(), known.end(), set.place(i));
        CHECK(partly.label(i) == (is_known ? set.label(i) : no_label));
        count += is_known ? 1 : 0;
    }
    CHECK(count == 20);
    CHECK(says(refusal([&] { unlabeled_except(labeled, set); }), {"labeled images that lie in the set"}));
    CHECK(says(refusal([&] {
                   unlabeled_except(set, balanced_count(mixed({30, 50, 3, 80}), 8, 1));
               }),
               {"unlabeled_except: expected labeled images drawn from the set, found those of other data"}));
}

TEST_CASE("draws that cannot be made are refused", "[data][fraction]") {
    image_set const set = mixed({30, 50, 3, 80});
    CHECK(says(refusal([&] { balanced_count(set, 16, 1); }), {"4 labeled images of class 2, found 3"}));
    CHECK(balanced_count(set, 12, 1).size() == 12);
    CHECK(says(refusal([&] { balanced_count(set, 0, 1); }), {"at least one image"}));
    CHECK(says(refusal([&] { balanced_fraction(set, 0, 1); }), {"a fraction above 0"}));
    CHECK(says(refusal([&] { balanced_fraction(set, 1.5, 1); }), {"at most 1, found 1.5"}));
    CHECK(says(refusal([&] { balanced_fraction(set, 0.0001, 1); }), {"at least one image, found 0"}));
    CHECK(says(refusal([&] { balanced_count(image_set{}, 1, 1); }), {"a set with images"}));
    CHECK(says(refusal([&] { balanced_fraction(unlabeled(set), 0.5, 1); }), {"images with labels, found none"}));
    CHECK(says(refusal([&] { hold_out(set, set.size() - 1, 1); }), {"labeled images"}));
    CHECK(says(refusal([&] { hold_out(set, set.size(), 1); }), {"hold_out: expected fewer than the", "train on"}));
}
