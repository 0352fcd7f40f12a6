// SPDX-License-Identifier: Apache-2.0
// All of Fashion-MNIST from gzip files: from small ones made here, and from the distribution's where they are
// installed, of which the shipped images must be a part.

#include <zlib.h>

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "../catch.hpp"
#include "../refusal.hpp"
#include "../scratch_folder.hpp"

#include <tempera/data/fashion_mnist_full.hpp>

using namespace tempera;

namespace {

void write_packed(std::string const& path, std::vector<std::uint8_t> const& bytes) {
    gzFile file = gzopen(path.c_str(), "wb");
    REQUIRE(file != nullptr);
    REQUIRE(gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size())) == static_cast<int>(bytes.size()));
    REQUIRE(gzclose(file) == Z_OK);
}

std::string pixels_of(image_set const& set, int i) {
    view<std::uint8_t const> const image = set.image(i);
    return {reinterpret_cast<char const*>(image.data), static_cast<std::size_t>(image.size())};
}

}  // namespace

TEST_CASE("gzip files of a data set are read", "[data][fashion_mnist]") {
    scratch_folder const folder;
    for (std::string const part : {"/train", "/t10k"}) {
        write_packed(folder.path() + part + "-images-idx3-ubyte.gz",
                     {0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 5, 6, 7, 8});
        write_packed(folder.path() + part + "-labels-idx1-ubyte.gz", {0, 0, 8, 1, 0, 0, 0, 2, 9, 3});
    }
    train_test const data = fashion_mnist_full(folder.path());
    CHECK(data.train.image_shape() == shape{1, 2, 1});
    CHECK(data.test.image(1)[1] == 8);
    CHECK(data.test.label(0) == 9);
    CHECK(says(refusal([] { fashion_mnist_full("nowhere"); }), {"nowhere/train-images-idx3-ubyte.gz"}));
}

TEST_CASE("the shipped images are images of the full set", "[data][fashion_mnist]") {
    if (!std::ifstream("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz")) {
        std::puts("SKIPPED: Debian's package dataset-fashion-mnist is not installed");
        return;
    }
    train_test const full = fashion_mnist_full(), cut = fashion_mnist(TEMPERA_EXAMPLE_DATA);
    CHECK(full.train.size() == 60'000);
    CHECK(full.test.size() == 10'000);
    for (auto const& [whole, part] : {std::pair{full.train, cut.train}, {full.test, cut.test}}) {
        std::set<std::pair<std::string, int>> known;
        for (int i = 0; i < whole.size(); ++i) known.emplace(pixels_of(whole, i), whole.label(i));
        int found = 0;
        for (int i = 0; i < part.size(); ++i) found += static_cast<int>(known.count({pixels_of(part, i), part.label(i)}));
        CHECK(found == part.size());
    }
}
