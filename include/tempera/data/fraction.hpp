// SPDX-License-Identifier: Apache-2.0
#pragma once
// Few labels: class-balanced draws, hold-out sets, and sets whose labels are hidden (paper, section 3: 1 % and 10 %
// of the labels, the same number for each class).

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include <tempera/data/image_set.hpp>
#include <tempera/data/streams.hpp>

namespace tempera {

namespace fraction_detail {

/// Positions of a class-balanced draw, ascending. A larger draw with the same seed contains every smaller one.
inline std::vector<int> balanced_positions(image_set const& set, int count, std::uint64_t seed) {
    if (set.empty()) throw error("balanced draw", "a set with images", "an empty one", "load the data first");
    if (!set.labeled()) throw error("balanced draw", "images with labels", "none", "give labels: with_labels");
    if (count < 1) throw error("balanced draw", "at least one image", count, "ask for more images");
    auto const classes = static_cast<std::size_t>(set.classes());
    std::vector<std::vector<int>> members(classes);
    for (int i = 0; i < set.size(); ++i)
        if (set.label(i) != no_label) members[static_cast<std::size_t>(set.label(i))].push_back(i);

    // Where count does not divide evenly, the first classes of a random order give one image more.
    std::vector<std::size_t> order(classes);
    for (std::size_t c = 0; c < classes; ++c) order[c] = c;
    philox_stream classes_stream = class_order_stream(seed);
    shuffle(order.data(), set.classes(), classes_stream);

    std::vector<int> chosen;
    for (std::size_t i = 0; i < classes; ++i) {
        std::size_t const c = order[i];
        int const wanted = count / set.classes() + (static_cast<int>(i) < count % set.classes() ? 1 : 0);
        auto const found = static_cast<int>(members[c].size());
        if (found < wanted)
            throw error({"balanced draw of ", count},
                        {wanted, " labeled images of class ", set.class_name(static_cast<int>(c))}, found,
                        "draw fewer images or give more labels");
        philox_stream stream = draw_stream(seed, static_cast<int>(c));
        shuffle(members[c].data(), found, stream);
        chosen.insert(chosen.end(), members[c].begin(), members[c].begin() + wanted);
    }
    std::sort(chosen.begin(), chosen.end());
    return chosen;
}

}  // namespace fraction_detail

/// `count` labeled images, the same number of each class (one more for some where it does not divide evenly).
/// Throws error when a class has too few. Draws of one seed are nested.
inline image_set balanced_count(image_set const& set, int count, std::uint64_t seed) {
    return set.subset(fraction_detail::balanced_positions(set, count, seed));
}

/// The same, with count = `fraction` of the labeled images, rounded to the nearest. 0 < fraction <= 1.
inline image_set balanced_fraction(image_set const& set, double fraction, std::uint64_t seed) {
    if (!(fraction > 0 && fraction <= 1))
        throw error("balanced_fraction", "a fraction above 0 and at most 1", fraction, "give 0.01 for one percent");
    auto const labels = set.labels();
    auto const labeled = labels.size() - static_cast<std::size_t>(std::count(labels.begin(), labels.end(), no_label));
    return balanced_count(set, static_cast<int>(std::lround(fraction * static_cast<double>(labeled))), seed);
}

/// A set in two parts without a common image.
struct hold_out_split {
    image_set kept;  ///< what remains, in the order of the set
    image_set held;  ///< the class-balanced draw
};

/// Takes a class-balanced draw of `count` images out of the set, for instance to choose learning rates on.
inline hold_out_split hold_out(image_set const& set, int count, std::uint64_t seed) {
    if (!set.empty() && count >= set.size())
        throw error("hold_out", {"fewer than the ", set.size(), " images of the set"}, count, "leave some to train on");
    std::vector<int> const held = fraction_detail::balanced_positions(set, count, seed);
    std::vector<int> kept;
    auto next = held.begin();
    for (int i = 0; i < set.size(); ++i) {
        if (next != held.end() && *next == i) ++next;
        else kept.push_back(i);
    }
    return {set.subset(kept), set.subset(held)};
}

/// All images, none with a label.
inline image_set unlabeled(image_set const& set) {
    return set.with_labels(std::vector<std::int32_t>(static_cast<std::size_t>(set.size()), no_label));
}

/// All images, with a label only for those that `labeled`, a subset of the same data, holds: what semi-supervised
/// training sees.
inline image_set unlabeled_except(image_set const& set, image_set const& labeled) {
    auto const places_of = [](image_set const& s) {
        std::vector<std::int32_t> places;
        for (int i = 0; i < s.size(); ++i) places.push_back(s.place(i));
        std::sort(places.begin(), places.end());
        places.erase(std::unique(places.begin(), places.end()), places.end());
        return places;
    };
    std::vector<std::int32_t> const known = places_of(labeled), all = places_of(set);
    if (!labeled.empty() && !set.shares_pixels(labeled))
        throw error("unlabeled_except", "labeled images drawn from the set", "those of other data",
                    "draw them from this set");
    if (!std::includes(all.begin(), all.end(), known.begin(), known.end()))
        throw error("unlabeled_except", "labeled images that lie in the set", "one that does not",
                    "draw them from this set");
    std::vector<std::int32_t> labels(static_cast<std::size_t>(set.size()), no_label);
    for (int i = 0; i < set.size(); ++i)
        if (std::binary_search(known.begin(), known.end(), set.place(i)))
            labels[static_cast<std::size_t>(i)] = set.label(i);
    return set.with_labels(std::move(labels));
}

}  // namespace tempera
