// SPDX-License-Identifier: Apache-2.0
// Decoders against what Pillow reads from the same files (make_fixtures.py), and every kind of damage.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "../catch.hpp"
#include "../fixture.hpp"
#include "../refusal.hpp"
#include "../scratch_folder.hpp"

#include <tempera/image/decode.hpp>

using namespace tempera;

namespace {

std::vector<std::uint8_t> file(std::string const& name) {
    return scratch_folder::read(TEMPERA_TEST_FIXTURES "/image/" + name);
}

raster decoded(std::vector<std::uint8_t> const& bytes, decode_request const& request = {}) {
    raster out;
    decode_image(bytes, "x", request, out);
    return out;
}

std::string refusal_of(std::vector<std::uint8_t> const& bytes, decode_request const& request = {}) {
    return refusal([&] { static_cast<void>(decoded(bytes, request)); });
}

/// The largest difference of a byte; 256 for other sizes.
int difference(raster const& found, fixture::tensor const& expected) {
    if (expected.dims != std::vector<int>{found.size.height, found.size.width, found.size.channels}) return 256;
    int worst = 0;
    for (std::size_t i = 0; i < found.pixels.size(); ++i)
        worst = std::max(worst, std::abs(static_cast<int>(expected.integers[i]) - found.pixels[i]));
    return worst;
}

// PNG says what each byte is. Of JPEG, libjpeg-turbo and Pillow (which links it) compute the same integers; another libjpeg
// may round its transforms otherwise, by one in Y and in each colour, which the matrix to RGB makes up to four.
#ifdef LIBJPEG_TURBO_VERSION
constexpr int jpeg_tolerance = 0;
#else
constexpr int jpeg_tolerance = 4;
#endif

/// A JPEG header that claims a size.
std::vector<std::uint8_t> sized(std::vector<std::uint8_t> jpeg, unsigned height, unsigned width) {
    for (std::size_t i = 0; i + 9 < jpeg.size(); ++i)
        if (jpeg[i] == 0xff && jpeg[i + 1] == 0xc0) {
            std::uint8_t const size[] = {static_cast<std::uint8_t>(height >> 8U), static_cast<std::uint8_t>(height),
                                         static_cast<std::uint8_t>(width >> 8U), static_cast<std::uint8_t>(width)};
            std::copy(std::begin(size), std::end(size), jpeg.begin() + static_cast<std::ptrdiff_t>(i) + 5);
            break;
        }
    return jpeg;
}

}  // namespace

TEST_CASE("decoders give what Pillow gives, gray and in colour", "[image][decode]") {
    fixture::file const expected("image/expected");
    for (std::string const name :
         {"baseline_420.jpg", "baseline_444.jpg", "progressive.jpg", "gray.jpg", "rgb.jpg", "cmyk_adobe.jpg",
          "cmyk_plain.jpg", "ycck.jpg", "rgb.png", "gray.png", "palette.png", "palette_transparent.png", "bilevel.png",
          "alpha.png", "gray_alpha.png", "gray_16.png", "rgb_16.png", "interlaced.png"}) {
        INFO(name);
        bool const jpeg = name.ends_with(".jpg");
        raster const colour = decoded(file(name)), gray = decoded(file(name), {.channels = 1});
        CHECK((colour.height == 37 && colour.width == 53 && colour.reduction == 1));
        CHECK(difference(colour, expected[name + ".rgb"]) <= (jpeg ? jpeg_tolerance : 0));
        CHECK(difference(gray, expected[name + ".gray"]) <= (jpeg ? jpeg_tolerance : 0));
    }
}

TEST_CASE("a JPEG is reduced to no less than what is asked for", "[image][decode]") {
    auto const large = file("large.jpg");  // 139 x 221
    auto const size_of = [&](int height, int width) {
        raster const out = decoded(large, {.height = height, .width = width});
        CHECK((out.height == 139 && out.width == 221));
        return std::vector<int>{out.size.height, out.size.width, out.reduction};
    };
    CHECK(size_of(0, 0) == std::vector<int>{139, 221, 1});
    CHECK(size_of(70, 100) == std::vector<int>{139, 221, 1});
    CHECK(size_of(69, 110) == std::vector<int>{70, 111, 2});
    CHECK(size_of(69, 111) == std::vector<int>{139, 221, 1});
    CHECK(size_of(34, 34) == std::vector<int>{35, 56, 4});
    CHECK(size_of(1, 1) == std::vector<int>{18, 28, 8});
    CHECK(decoded(file("rgb.png"), {.height = 4, .width = 4}).size == shape{37, 53, 3});
}

TEST_CASE("images that are cut off anywhere are refused", "[image][decode]") {
    for (std::string const name :
         {"baseline_420.jpg", "progressive.jpg", "ycck.jpg", "palette.png", "interlaced.png"}) {
        INFO(name);
        auto const whole = file(name);
        int taken = 0;
        for (std::size_t n = 0; n < whole.size(); ++n) {
            std::string const said = refusal_of({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n)});
            taken += !says(said, {"x: expected", "found"});
        }
        CHECK(taken == 0);
        CHECK(refusal_of(whole) == "nothing was thrown");
    }
    auto const whole = file("baseline_420.jpg");
    CHECK(says(refusal_of({whole.begin(), whole.begin() + 900}),
               {"an intact JPEG image, found", "Premature end", "leave it out"}));
    CHECK(says(refusal_of({whole.begin(), whole.begin() + 900}, {.channels = 1}), {"Premature end"}));
    auto const png = file("rgb.png");
    CHECK(says(refusal_of({png.begin(), png.begin() + 900}), {"an intact PNG image, found one that is cut off"}));
}

TEST_CASE("damaged bytes of a PNG are found, and of a JPEG where they break the code", "[image][decode]") {
    auto png = file("rgb.png");
    png[1000] ^= 1U;
    CHECK(says(refusal_of(png), {"an intact PNG image"}));
    auto jpeg = file("baseline_420.jpg");
    std::fill(jpeg.begin() + 800, jpeg.begin() + 900, std::uint8_t{0xff});
    CHECK(says(refusal_of(jpeg), {"an intact JPEG image"}));
    // Bytes before a marker, as some cameras write them, change no pixel.
    auto padded = file("baseline_420.jpg");
    padded.insert(padded.end() - 2, {0, 0, 0});
    CHECK(decoded(padded).pixels == decoded(file("baseline_420.jpg")).pixels);
}

TEST_CASE("what is no image is told by its bytes", "[image][decode]") {
    auto const bytes = [](std::string_view text) { return std::vector<std::uint8_t>(text.begin(), text.end()); };
    CHECK(says(refusal_of({}), {"x: expected a JPEG or PNG image, found an empty file"}));
    CHECK(says(refusal_of(bytes("just text")), {"found another kind of file"}));
    CHECK(says(refusal_of(bytes("GIF89a...")), {"found a GIF image; convert"}));
    CHECK(says(refusal_of(bytes("\xff\xd8\xff")), {"an intact JPEG image"}));
    CHECK(says(refusal_of(bytes("\x89PNG\r\n\x1a\n")), {"an intact PNG image"}));
    CHECK(says(refusal_of(file("gray.png"), {.channels = 2}), {"1 or 3 channels", "found 2"}));
}

TEST_CASE("too large images are refused before memory is taken", "[image][decode]") {
    auto const huge = sized(file("baseline_420.jpg"), 60000, 60000);
    CHECK(says(refusal_of(huge), {"1 to 178956970 pixels, found 60000 x 60000", "leave the file out"}));
    raster out;
    CHECK_THROWS_AS(decode_image(huge, "x", {}, out), error);
    CHECK(out.pixels.capacity() == 0);
    CHECK(says(refusal_of(file("rgb.png"), {.most_pixels = 37 * 53 - 1}), {"found 37 x 53"}));
    CHECK(refusal_of(file("rgb.png"), {.most_pixels = 37 * 53}) == "nothing was thrown");
    auto png = file("rgb.png");  // the width, and the check sum of its chunk, which libpng reads first
    png[17] = 0x7f;
    CHECK(says(refusal_of(png), {"an intact PNG image"}));
    CHECK(says(refusal_of(sized(file("baseline_420.jpg"), 0, 8)), {"an intact JPEG image"}));
}

TEST_CASE("memory is used again from image to image", "[image][decode]") {
    fixture::file const expected("image/expected");
    raster out;
    for (std::string const name : {"large.jpg", "gray_16.png", "rgb.png", "cmyk_adobe.jpg"})
        decode_image(file(name), "x", {}, out);
    CHECK(difference(out, expected["cmyk_adobe.jpg.rgb"]) <= jpeg_tolerance);
    CHECK_THROWS_AS(decode_image(std::vector<std::uint8_t>{1}, "x", {}, out), error);
    decode_image(file("gray.png"), "x", {.channels = 1}, out);
    CHECK(difference(out, expected["gray.png.gray"]) == 0);
}
