// SPDX-License-Identifier: Apache-2.0
// Resampling against Pillow's (make_fixtures.py), whole and by the middle, and from reduced JPEGs.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "../catch.hpp"
#include "../fixture.hpp"
#include "../scratch_folder.hpp"

#include <tempera/image/decode.hpp>
#include <tempera/image/fit.hpp>

using namespace tempera;

namespace {

raster decoded(std::string const& name, decode_request const& request = {}) {
    raster out;
    decode_image(scratch_folder::read(TEMPERA_TEST_FIXTURES "/image/" + name), name, request, out);
    return out;
}

/// The largest difference of a byte to Pillow's result.
int difference(std::vector<std::uint8_t> const& found, fixture::tensor const& expected) {
    REQUIRE(static_cast<std::int64_t>(found.size()) == expected.size());
    int worst = 0;
    for (std::size_t i = 0; i < found.size(); ++i)
        worst = std::max(worst, std::abs(static_cast<int>(expected.integers[i]) - found[i]));
    return worst;
}

std::vector<std::uint8_t> fitted(raster const& image, shape size, image_fit fit) {
    static resample_workspace work;  // of another image's sizes
    std::vector<std::uint8_t> out(static_cast<std::size_t>(size.size()));
    fit_image(image, size, fit, out, work);
    return out;
}

}  // namespace

TEST_CASE("resampling gives Pillow's bytes, up and down", "[image][resample]") {
    fixture::file const expected("image/expected");
    raster const colour = decoded("rgb.png");
    for (shape const size : {shape{24, 24, 3}, {8, 40, 3}, {37, 53, 3}, {64, 64, 3}, {5, 3, 3}, {120, 17, 3}}) {
        std::string const name = std::to_string(size.height) + "x" + std::to_string(size.width);
        INFO(name);
        auto const stretched = fitted(colour, size, image_fit::stretch);
        CHECK(difference(stretched, expected["columns_first." + name]) == 0);
        // Pillow 13 begins with the axis that costs less, and between both rounds to bytes: by 1/2, times the weights of one
        // axis, whose sizes sum to 1.4 at most. A byte is so off by one.
        CHECK(difference(stretched, expected["stretch." + name]) <= 1);
        CHECK(difference(fitted(colour, size, image_fit::cover), expected["cover." + name]) <= 1);
    }
    CHECK(fitted(colour, {37, 53, 3}, image_fit::stretch) == colour.pixels);
    CHECK(difference(fitted(decoded("gray.png", {.channels = 1}), {24, 24, 1}, image_fit::cover),
                     expected["cover_gray.24x24"]) == 0);
}

TEST_CASE("reduced JPEGs are resampled by the place of their pixels in the whole", "[image][resample]") {
    fixture::file const expected("image/expected");
    // At a quarter and an eighth Pillow's newer libjpeg-turbo and Debian's round as one; others as decode.test.cpp says, and a
    // cubic's weights sum to at most 1.4 in size.
#ifdef LIBJPEG_TURBO_VERSION
    int const tolerance = 0;
#else
    int const tolerance = 6;
#endif
    for (int const side : {60, 30, 17, 100}) {
        INFO(side);
        raster const image = decoded("large.jpg", {.height = side, .width = side});
        CHECK(difference(fitted(image, {side, side, 3}, image_fit::cover),
                         expected["reduced." + std::to_string(side)]) <= tolerance);
    }
}

TEST_CASE("flat images stay flat, and edges do not leave bytes", "[image][resample]") {
    raster flat{{50, 31, 3}, std::vector<std::uint8_t>(50 * 31 * 3, 255), 50, 31, 1};
    for (int const side : {1, 7, 50, 90}) {
        auto const out = fitted(flat, {side, side, 3}, image_fit::cover);
        CHECK(std::all_of(out.begin(), out.end(), [](std::uint8_t b) { return b == 255; }));
    }
    for (int i = 0; i < 72; ++i) {  // of few bytes, none of which lies behind the image
        int const h = 1 + i % 6, w = 1 + i / 6 % 6, c = i < 36 ? 1 : 3;
        raster const few{{h, w, c}, std::vector<std::uint8_t>(static_cast<std::size_t>(h * w * c), 77), h, w, 1};
        auto const out = fitted(few, {5, 4, c}, image_fit::cover);
        CHECK(std::all_of(out.begin(), out.end(), [](std::uint8_t b) { return b == 77; }));
    }
    raster edge{{1, 8, 1}, {0, 0, 0, 0, 255, 255, 255, 255}, 1, 8, 1};
    auto const out = fitted(edge, {1, 32, 1}, image_fit::stretch);
    CHECK((out.front() == 0 && out.back() == 255));
    CHECK(std::is_sorted(out.begin() + 14, out.begin() + 18));
}
