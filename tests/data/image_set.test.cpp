// SPDX-License-Identifier: Apache-2.0
// image_set: what it holds, that subsets share the pixels, and what it refuses.

#include <cstdint>
#include <string>
#include <vector>

#include "../catch.hpp"
#include "../refusal.hpp"

#include <tempera/data/image_set.hpp>

using namespace tempera;

namespace {

image_set three() {
    return {shape{1, 2, 2}, {0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23}, {1, no_label, 0}, 2, {"cat", "dog"}};
}

}  // namespace

TEST_CASE("an image set gives its images, labels and names", "[data][image_set]") {
    image_set const set = three();
    CHECK(set.size() == 3);
    CHECK(set.image_shape() == shape{1, 2, 2});
    CHECK(set.classes() == 2);
    CHECK(set.image(1).dims == extents{1, 1, 2, 2});
    CHECK(set.image(1)[0] == 10);
    CHECK(set.image(2)[3] == 23);
    CHECK(std::vector<std::int32_t>(set.labels().begin(), set.labels().end()) == std::vector<std::int32_t>{1, -1, 0});
    CHECK(set.class_name(1) == "dog");
    CHECK(image_set(shape{}, {7}, {0}, 3).class_name(2) == "2");
    CHECK(image_set().empty());
}

TEST_CASE("a subset shares the pixels and keeps places", "[data][image_set]") {
    image_set const set = three();
    int const positions[] = {2, 0, 2};
    image_set const sub = set.subset(positions);
    CHECK(sub.size() == 3);
    CHECK(sub.image(0).data == set.image(2).data);
    CHECK(sub.label(1) == 1);
    CHECK(sub.place(2) == 2);
    int const second[] = {1};
    CHECK(sub.subset(second).image(0).data == set.image(0).data);
    CHECK(sub.subset(second).place(0) == 0);
    image_set const other = set.with_labels({0, 0, no_label});
    CHECK(other.label(0) == 0);
    CHECK(set.label(0) == 1);
    CHECK(other.image(0).data == set.image(0).data);
}

TEST_CASE("an image set refuses what does not fit together", "[data][image_set]") {
    auto const make = [](shape s, std::size_t pixels, std::vector<std::int32_t> labels, int classes,
                         std::vector<std::string> names = {}) {
        return refusal([&] { image_set(s, std::vector<std::uint8_t>(pixels), labels, classes, names); });
    };
    CHECK(make({2, 2, 1}, 8, {0, 1}, 2) == "nothing was thrown");
    CHECK(says(make({2, 2, 1}, 0, {}, 2), {"at least one image, found none"}));
    CHECK(says(make({2, 2, 1}, 7, {0, 1}, 2), {"8 bytes for 2 images of 2 x 2 x 1, found 7"}));
    CHECK(says(make({2, 0, 1}, 8, {0, 1}, 2), {"1 x 1 x 1, found 2 x 0 x 1"}));
    CHECK(says(make({2, 2, 1}, 8, {0, 1}, 0), {"at least one class"}));
    CHECK(says(make({2, 2, 1}, 8, {0, 2}, 2), {"labels 0 to 1 or -1", "2 at image 1"}));
    CHECK(says(make({2, 2, 1}, 8, {-2, 1}, 2), {"-2 at image 0"}));
    CHECK(says(make({2, 2, 1}, 8, {0, 1}, 2, {"one"}), {"2 class names or none, found 1"}));
    image_set const set = three();
    int const outside[] = {0, 3};
    CHECK(says(refusal([&] { (void)set.subset(outside); }), {"positions 0 to 2, found 3"}));
    CHECK(says(refusal([&] { (void)set.subset({}); }), {"at least one position"}));
    CHECK(says(refusal([&] { (void)set.with_labels({0}); }), {"3 labels, found 1"}));
    CHECK(says(refusal([&] { (void)set.with_labels({0, 1, 2}); }), {"2 at image 2"}));
}

TEST_CASE("an image set without labels, which come later", "[data][image_set]") {
    image_set const set({2, 2, 1}, std::vector<std::uint8_t>(12, 7));
    CHECK(set.size() == 3);
    CHECK((set.label(0) == no_label && set.label(2) == no_label));
    CHECK(set.class_name(no_label) == "no label");
    image_set const coarse = set.with_labels({4, 0, no_label}, 5);
    CHECK(coarse.classes() == 5);
    CHECK(coarse.label(0) == 4);
    CHECK(coarse.class_name(4) == "4");
    CHECK(says(refusal([&] { (void)coarse.class_name(5); }), {"expected a label from -1 (none) to 4, found 5"}));
    CHECK(says(refusal([&] { (void)set.with_labels({4, 0, 0}); }), {"labels 0 to 0"}));
    CHECK(says(refusal([&] {
                   image_set const s({2, 2, 1}, std::vector<std::uint8_t>(11));
               }),
               {"a multiple of the 4 bytes of an image, found 11"}));
    CHECK(says(refusal([&] { image_set const s({2, 2, 1}, {}); }), {"at least one image"}));
}

TEST_CASE("image sets are joined, labeled and not", "[data][image_set]") {
    image_set const a({1, 2, 1}, {1, 2, 3, 4}, {0, 1}, 2, {"cat", "dog"}), b({1, 2, 1}, {5, 6, 7, 8});
    for (image_set const& both : {a.joined(b), b.joined(a)}) {
        CHECK(both.size() == 4);
        CHECK(both.classes() == 2);
        CHECK(both.class_name(1) == "dog");
        CHECK_FALSE(both.shares_pixels(a));
    }
    image_set const both = a.subset(std::vector<int>{1}).joined(b);
    CHECK((both.size() == 3 && both.label(0) == 1 && both.label(1) == no_label));
    CHECK((both.image(0)[1] == 4 && both.image(1)[0] == 5 && both.image(2)[1] == 8));
    CHECK(says(refusal([&] {
                   (void)a.joined(image_set({2, 1, 1}, {1, 2}));
               }),
               {"images of 1 x 2 x 1, found 2 x 1 x 1"}));
    CHECK(says(refusal([&] { (void)a.joined(b.with_labels({0, 2}, 3)); }), {"expected 2 classes, found 3"}));
    CHECK(says(refusal([&] {
                   (void)a.joined(image_set({1, 2, 1}, {1, 2}, {0}, 2, {"dog", "cat"}));
               }),
               {"the same class names"}));
    CHECK(a.joined(image_set({1, 2, 1}, {1, 2}, {1}, 2)).class_name(1) == "dog");
    CHECK(image_set{}.joined(a).size() == 2);
    CHECK(a.joined(image_set{}).size() == 2);
}
