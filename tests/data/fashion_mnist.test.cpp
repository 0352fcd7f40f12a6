// SPDX-License-Identifier: Apache-2.0
// The data that ships: its counts, some pixels, and that a changed file is refused.

#include <cstdint>
#include <string>
#include <vector>

#include "../catch.hpp"
#include "../refusal.hpp"
#include "../scratch_folder.hpp"

#include <tempera/data/fashion_mnist.hpp>

using namespace tempera;

namespace {

std::string const shipped = TEMPERA_EXAMPLE_DATA;

void copy(std::string const& name, scratch_folder const& to, int changed_byte = -1) {
    std::vector<std::uint8_t> bytes = scratch_folder::read(shipped + "/" + name);
    REQUIRE_FALSE(bytes.empty());
    if (changed_byte >= 0) bytes.at(static_cast<std::size_t>(changed_byte)) ^= 1;
    scratch_folder::write(to / name, {reinterpret_cast<char const*>(bytes.data()), bytes.size()});
}

}  // namespace

TEST_CASE("the shipped images of Fashion-MNIST", "[data][fashion_mnist]") {
    train_test const data = fashion_mnist(shipped);
    CHECK(data.train.size() == 8000);
    CHECK(data.test.size() == 2000);
    for (image_set const& set : {data.train, data.test}) {
        CHECK(set.image_shape() == shape{28, 28, 1});
        CHECK(set.classes() == 10);
        std::vector<int> counts(10);
        for (std::int32_t const label : set.labels()) ++counts.at(static_cast<std::size_t>(label));
        CHECK(counts == std::vector<int>(10, set.size() / 10));
        CHECK(set.class_name(0) == "t-shirt");
        CHECK(set.class_name(9) == "ankle boot");
    }
    // Trousers are tall: their middle column is brighter than their left border.
    double middle = 0, border = 0;
    for (int i = 0; i < data.train.size(); ++i)
        if (data.train.label(i) == 1)
            for (int y = 0; y < 28; ++y) middle += data.train.image(i)[y * 28 + 10], border += data.train.image(i)[y * 28];
    CHECK(middle > 20 * border);
}

TEST_CASE("a file that is not the shipped one is refused", "[data][fashion_mnist]") {
    char const* const names[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
                                 "t10k-labels-idx1-ubyte"};
    scratch_folder const folder;
    for (char const* name : names) copy(name, folder);
    CHECK(fashion_mnist(folder.path()).test.size() == 2000);
    for (char const* name : names) {
        CAPTURE(name);
        copy(name, folder, 100);
        CHECK(says(refusal([&] { fashion_mnist(folder.path()); }), {name, "SHA-256", "make.py"}));
        copy(name, folder);
    }
    CHECK(says(refusal([] { fashion_mnist("nowhere"); }), {"nowhere/train-images-idx3-ubyte", "a readable file"}));
}

TEST_CASE("images and labels that do not belong together are refused", "[data][fashion_mnist]") {
    idx_array const images{{2, 3, 4}, std::vector<std::uint8_t>(24)}, labels{{2}, {1, 0}};
    auto const message = [](idx_array const& i, idx_array const& l) {
        return refusal([&] { images_of_idx(i, l, 2, {}, "here"); });
    };
    CHECK(images_of_idx(images, labels, 2, {}, "here").image_shape() == shape{3, 4, 1});
    CHECK(says(message(labels, images), {"three dimensions", "exchanged"}));
    CHECK(says(message(images, {{3}, {1, 0, 1}}), {"2 labels, found 3"}));
    CHECK(says(message(images, images), {"2 labels, found 24 in 3 dimensions"}));
    CHECK(says(message(images, {{2}, {1, 2}}), {"labels 0 to 1", "2 at image 1"}));
}
