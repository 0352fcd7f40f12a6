// SPDX-License-Identifier: Apache-2.0
// Color, blur, crop, evaluation and the whole chain against the values of the reference's TensorFlow code.

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "../catch.hpp"
#include "../fixture.hpp"
#include "../recorded_distortion.hpp"

#include <tempera/data/distortion.hpp>

using namespace tempera;

namespace {

/// A float image with its pixels.
struct image {
    extents dims;
    std::vector<float> values;

    explicit image(fixture::tensor const& t) : dims{1, t.dims[0], t.dims[1], t.dims[2]}, values(t.values) {}
    image(int h, int w, int c) : dims{1, h, w, c}, values(static_cast<std::size_t>(dims.size()), -7.0F) {}
    view<float> all() { return {values.data(), dims}; }
};

double largest_gap(std::vector<float> const& a, fixture::tensor const& b) {
    REQUIRE(a.size() == b.values.size());
    double worst = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        double const gap = std::abs(static_cast<double>(a[i]) - static_cast<double>(b.values[i]));
        worst = std::isnan(gap) ? INFINITY : std::max(worst, gap);
    }
    return worst;
}

/// The operator codes of the fixtures.
bool starts_with(std::string const& text, std::string const& start) { return text.rfind(start, 0) == 0; }

std::string config(std::string const& path) { return "/config/" + path; }

// Of the manifest: 1e-5 for colors, blur and bicubic; 2e-5 where hue or saturation take part.
constexpr double tolerance = 1e-5, hue_tolerance = 2e-5;

/// The first numbers of names such as "3/output", each once.
int cases_under(fixture::file const& file, std::string const& prefix) {
    int count = 0;
    while (file.has(prefix + std::to_string(count) + "/output")) ++count;
    return count;
}

}  // namespace

TEST_CASE("every color operation of the reference", "[data][fixtures]") {
    fixture::file const file("augment");
    int seen = 0;
    for (int i = 0; i < 27; ++i) {
        std::string const at = config("color/" + std::to_string(i));
        std::string const operation = fixture::text("augment", at + "/op");
        std::string const name = fixture::text("augment", at + "/name");
        CAPTURE(name);
        image x(file["color/image"]);
        auto const value = [&](char const* key) {
            return static_cast<float>(fixture::number("augment", at + "/" + key));
        };
        double bound = tolerance;
        if (operation == "brightness_v2") adjust_brightness(x.all(), value("factor"));
        else if (operation == "brightness_v1") shift_brightness(x.all(), value("delta"));
        else if (operation == "contrast") adjust_contrast(x.all(), value("factor"));
        else if (operation == "grayscale") to_grayscale(x.all());
        else if (operation == "flip") flip_horizontally(x.all());
        else if (operation == "saturation" || operation == "hue") {
            bound = hue_tolerance;
            if (operation == "hue") shift_hue(x.all(), value("delta"));
            else adjust_saturation(x.all(), value("factor"));
        } else FAIL("unknown operation " << operation);
        CHECK(largest_gap(x.values, file["color/" + name]) <= bound);
        ++seen;
    }
    CHECK(seen + 1 == static_cast<int>(file.names("color/").size()));  // and color/image
}

TEST_CASE("color jitter with recorded order and values", "[data][fixtures]") {
    fixture::file const file("augment");
    int const cases = cases_under(file, "jitter/");
    CHECK(cases == 8);
    for (int i = 0; i < cases; ++i) {
        std::string const at = "jitter/" + std::to_string(i);
        CAPTURE(at);
        image x(file["color/image"]);
        auto const& operations = file[at + "/ops"].values;
        auto const& values = file[at + "/values"].values;
        for (std::size_t k = 0; k < operations.size(); ++k) {
            adjust(x.all(), operation_of(operations[k]), values[k]);
            clip(x.all());
        }
        CHECK(largest_gap(x.values, file[at + "/output"]) <= hue_tolerance);
    }
}

TEST_CASE("gaussian blur of the reference", "[data][fixtures]") {
    fixture::file const file("augment");
    blur_workspace work;
    int const cases = cases_under(file, "blur/");
    CHECK(cases == 4);
    for (int i = 0; i < cases; ++i) {
        std::string const at = config("blur/" + std::to_string(i));
        CAPTURE(at);
        image x(file["color/image"]);
        auto const size = static_cast<int>(fixture::number("augment", at + "/kernel_size"));
        gaussian_blur(x.all(), size / 2, static_cast<float>(fixture::number("augment", at + "/sigma")), work);
        CHECK(largest_gap(x.values, file["blur/" + std::to_string(i) + "/output"]) <= tolerance);
    }
}

TEST_CASE("blur of some images of a batch with one sigma", "[data][fixtures]") {
    fixture::file const file("augment");
    blur_workspace work;
    for (std::string const at : {"batch_blur/view0/", "batch_blur/view1/"}) {
        CAPTURE(at);
        fixture::tensor const& images = file[at + "images"];
        auto const& selected = file[at + "selected"].values;
        float const sigma = file[at + "sigma"].values.at(0);
        std::vector<float> values = images.values;
        view<float> const batch{values.data(), {images.dims[0], images.dims[1], images.dims[2], images.dims[3]}};
        for (int i = 0; i < batch.batch(); ++i) {
            if (selected.at(static_cast<std::size_t>(i)) > 0)
                gaussian_blur(batch.slice(i, 1), blur_radius(batch.dims.h), sigma, work);
            clip(batch.slice(i, 1));
        }
        CHECK(largest_gap(values, file[at + "output"]) <= tolerance);
    }
}

TEST_CASE("crops resized in both conventions", "[data][fixtures]") {
    auto const [name, rule] = GENERATE(table<std::string, resize_rule>(
        {{"augment", resize_rule::half_pixel}, {"resize_tf1", resize_rule::legacy}}));
    CAPTURE(name);
    fixture::file const file(name);
    image const source(file["crop/image"]);
    resize_workspace work;
    int const cases = cases_under(file, "crop/");
    CHECK(cases == 9);
    for (int i = 0; i < cases; ++i) {
        std::string const at = "crop/" + std::to_string(i);
        CAPTURE(at);
        auto const& box = file[at + "/box_y_x_h_w"].values;
        auto const y = static_cast<int>(box[0]), x = static_cast<int>(box[1]);
        image cut(static_cast<int>(box[2]), static_cast<int>(box[3]), 3);
        for (int r = 0; r < cut.dims.h; ++r)
            std::copy_n(source.values.begin() + ((y + r) * source.dims.w + x) * 3, cut.dims.w * 3,
                        cut.values.begin() + r * cut.dims.w * 3);
        fixture::tensor const& expected = file[at + "/output"];
        image out(expected.dims[0], expected.dims[1], 3);
        resize_bicubic(cut.all(), out.all(), rule, false, work);
        CHECK(largest_gap(out.values, expected) <= tolerance);

        // The same pixels one channel at a time and with a fourth channel take the other loops.
        for (int channels : {1, 4}) {
            image part(cut.dims.h, cut.dims.w, channels), resized(out.dims.h, out.dims.w, channels);
            for (int p = 0; p < cut.dims.h * cut.dims.w; ++p)
                for (int c = 0; c < channels; ++c)
                    part.values[static_cast<std::size_t>(p * channels + c)] =
                        cut.values[static_cast<std::size_t>(p * 3 + c % 3)];
            resize_bicubic(part.all(), resized.all(), rule, false, work);
            bool same = true;
            for (int p = 0; p < out.dims.h * out.dims.w; ++p)
                for (int c = 0; c < channels; ++c)
                    same = same && resized.values[static_cast<std::size_t>(p * channels + c)] ==
                                       out.values[static_cast<std::size_t>(p * 3 + c % 3)];
            CHECK(same);
        }

        image mirrored(out.dims.h, out.dims.w, 3);
        resize_bicubic(cut.all(), mirrored.all(), rule, true, work);
        flip_horizontally(mirrored.all());
        CHECK(mirrored.values == out.values);
    }
}

TEST_CASE("evaluation crop in both conventions", "[data][fixtures]") {
    fixture::file const sources("augment");
    auto const [name, rule] = GENERATE(table<std::string, resize_rule>(
        {{"augment", resize_rule::half_pixel}, {"resize_tf1", resize_rule::legacy}}));
    CAPTURE(name);
    fixture::file const file(name);
    distortion_workspace work;
    int const cases = cases_under(file, "eval/");
    CHECK(cases == 3);
    for (int i = 0; i < cases; ++i) {
        std::string const at = "eval/" + std::to_string(i);
        CAPTURE(at);
        fixture::tensor const& input = sources[at + "/image_u8"];
        fixture::tensor const& expected = file[at + "/output"];
        std::vector<std::uint8_t> const bytes(input.values.begin(), input.values.end());
        image out(expected.dims[0], expected.dims[1], 3);
        augment(center_crop{.height = out.dims.h, .width = out.dims.w, .resize = rule},
                {bytes.data(), {1, input.dims[0], input.dims[1], 3}}, out.all(), philox_stream(1), work);
        CHECK(largest_gap(out.values, expected) <= tolerance);
    }
}

TEST_CASE("whole training chain with recorded decisions", "[data][fixtures]") {
    fixture::file const file("augment");
    fixture::tensor const& input = file["pipeline/image_u8"];
    std::vector<std::uint8_t> const bytes(input.values.begin(), input.values.end());
    distortion_workspace work;
    int const cases = cases_under(file, "pipeline/");
    CHECK(cases == 10);
    for (int i = 0; i < cases; ++i) {
        std::string const at = "pipeline/" + std::to_string(i);
        CAPTURE(at);
        distortion const d = recorded_distortion(file, at);
        fixture::tensor const& expected = file[at + "/output"];
        image out(expected.dims[0], expected.dims[1], 3);
        distort(d, resize_rule::half_pixel, {bytes.data(), {1, input.dims[0], input.dims[1], 3}}, out.all(), work);
        CHECK(largest_gap(out.values, expected) <= hue_tolerance);
    }
}

TEST_CASE("no tensor of the reference is left out", "[data][fixtures]") {
    for (std::string const& name : fixture::file("augment").names()) {
        CAPTURE(name);
        bool known = false;
        for (char const* group : {"color/", "jitter/", "blur/", "batch_blur/", "crop/", "eval/", "pipeline/"})
            known = known || starts_with(name, group);
        CHECK(known);
    }
}
