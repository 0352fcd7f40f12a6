// SPDX-License-Identifier: Apache-2.0
// The crop samplers: TensorFlow's against quantiles of 40,000 draws of TensorFlow, torchvision's against the
// distribution that its documentation defines, the central crop by hand.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "../catch.hpp"
#include "../fixture.hpp"

#include <tempera/data/crop.hpp>
#include <tempera/data/streams.hpp>

using namespace tempera;

namespace {

constexpr int draws = 40'000;

std::vector<crop_box> draw_boxes(crop_settings const& s, int height, int width, float aspect = 1) {
    std::vector<crop_box> boxes;
    for (int i = 0; i < draws; ++i) {
        philox_stream stream = view_stream(5, 0, i, 0);
        boxes.push_back(draw_crop(s, height, width, aspect, stream));
    }
    return boxes;
}

std::vector<double> sorted(std::vector<crop_box> const& boxes, std::function<double(crop_box const&)> const& f) {
    std::vector<double> values;
    for (crop_box const& b : boxes) values.push_back(f(b));
    std::sort(values.begin(), values.end());
    return values;
}

/// The largest distance of the empirical distribution from quantiles at 0, 1, ..., 100 %. Where many draws share a
/// value, the fraction must lie between those below it and those up to it.
double distance(std::vector<double> const& values, std::vector<float> const& quantiles) {
    auto const n = static_cast<double>(values.size());
    double worst = 0;
    for (std::size_t i = 0; i < quantiles.size(); ++i) {
        double const p = static_cast<double>(i) / static_cast<double>(quantiles.size() - 1);
        // Quantiles are float32: values that differ by rounding count as equal.
        double const q = static_cast<double>(quantiles[i]), slack = 1e-6 * std::abs(q);
        double const below = static_cast<double>(std::lower_bound(values.begin(), values.end(), q - slack) - values.begin());
        double const upto = static_cast<double>(std::upper_bound(values.begin(), values.end(), q + slack) - values.begin());
        if (i > 0) worst = std::max(worst, p - upto / n);
        if (i + 1 < quantiles.size()) worst = std::max(worst, below / n - p);
    }
    return worst;
}

/// Kolmogorov and Smirnov's distance from the uniform distribution on [0, 1].
double distance_from_uniform(std::vector<double> const& values) {
    double worst = 0;
    auto const n = static_cast<double>(values.size());
    for (std::size_t i = 0; i < values.size(); ++i)
        worst = std::max({worst, std::abs(values[i] - static_cast<double>(i) / n),
                          std::abs(values[i] - static_cast<double>(i + 1) / n)});
    return worst;
}

struct image_size {
    char const* name;
    int height, width;
};

}  // namespace

TEST_CASE("the tensorflow sampler draws from TensorFlow's distribution", "[data][crop][fixtures]") {
    fixture::file const file("crop_sampling");
    auto const size = GENERATE(image_size{"224x224", 224, 224}, image_size{"375x500", 375, 500});
    std::string const at = std::string(size.name) + "/";
    CAPTURE(at);
    CHECK(file.names().size() == 14);  // seven tensors for each of the two sizes
    double const whole = static_cast<double>(size.height) * size.width;
    auto const boxes = draw_boxes({.rule = crop_rule::tensorflow}, size.height, size.width);

    std::pair<char const*, std::function<double(crop_box const&)>> const measures[] = {
        {"area", [&](crop_box const& b) { return b.height * b.width / whole; }},
        {"aspect", [](crop_box const& b) { return static_cast<double>(b.width) / b.height; }},
        {"height", [](crop_box const& b) { return static_cast<double>(b.height); }},
        {"width", [](crop_box const& b) { return static_cast<double>(b.width); }},
        {"x", [](crop_box const& b) { return static_cast<double>(b.x); }},
        {"y", [](crop_box const& b) { return static_cast<double>(b.y); }}};
    for (auto const& [name, measure] : measures) {
        CAPTURE(name);
        CHECK(distance(sorted(boxes, measure), file[at + "quantiles/" + name].values) < 0.015);
    }
    // The bound can fail: torchvision's distribution is another one.
    auto const others = draw_boxes({.rule = crop_rule::torchvision, .attempts = 10}, size.height, size.width);
    CHECK(distance(sorted(others, measures[0].second), file[at + "quantiles/area"].values) > 0.05);

    // How the numbers of a box go together: means of products within 5 standard errors of the 4,096 reference boxes.
    auto const& reference = file[at + "boxes_y_x_h_w"];
    auto const rows = static_cast<std::size_t>(reference.dims[0]);
    auto const joint = [&](std::function<double(crop_box const&)> const& f) {
        double sum = 0, square = 0, own = 0;
        for (std::size_t i = 0; i < rows; ++i) {
            float const* r = reference.values.data() + 4 * i;
            double const v = f({static_cast<int>(r[0]), static_cast<int>(r[1]), static_cast<int>(r[2]), static_cast<int>(r[3])});
            sum += v;
            square += v * v;
        }
        for (crop_box const& b : boxes) own += f(b);
        auto const n = static_cast<double>(rows);
        double const mean = sum / n, deviation = std::sqrt(square / n - mean * mean);
        return std::abs(own / draws - mean) / (deviation * std::sqrt(1 / n + 1.0 / draws));
    };
    CHECK(joint([](crop_box const& b) { return static_cast<double>(b.height) * b.width; }) < 5);
    CHECK(joint([](crop_box const& b) { return static_cast<double>(b.height) * b.y; }) < 5);
    CHECK(joint([](crop_box const& b) { return static_cast<double>(b.width) * b.x; }) < 5);
    CHECK(joint([](crop_box const& b) { return static_cast<double>(b.y) * b.x; }) < 5);
    CHECK(joint([](crop_box const& b) { return std::log(static_cast<double>(b.width) / b.height); }) < 5);
}

TEST_CASE("torchvision's sampler: area and log aspect are uniform and independent", "[data][crop]") {
    // Areas up to one half of a large square fit with every aspect, so no draw is rejected, and rounding is small.
    crop_settings const s{.rule = crop_rule::torchvision, .area_min = 0.1F, .area_max = 0.5F, .attempts = 10};
    auto const boxes = draw_boxes(s, 20'000, 20'000);
    auto const area = [](crop_box const& b) { return (b.height / 20'000.0 * b.width / 20'000.0 - 0.1) / 0.4; };
    auto const log_aspect = [](crop_box const& b) {
        return (std::log(static_cast<double>(b.width) / b.height) - std::log(0.75)) / std::log(16.0 / 9.0);
    };
    // Exceeded once in a thousand times: 1.95 / sqrt(40000) = 0.00975.
    CHECK(distance_from_uniform(sorted(boxes, area)) < 0.00975);
    CHECK(distance_from_uniform(sorted(boxes, log_aspect)) < 0.00975);
    CHECK(distance_from_uniform(sorted(boxes, [](crop_box const& b) { return (b.y + 0.5) / (20'001 - b.height); })) < 0.00975);
    CHECK(distance_from_uniform(sorted(boxes, [](crop_box const& b) { return (b.x + 0.5) / (20'001 - b.width); })) < 0.00975);
    double product = 0;
    for (crop_box const& b : boxes) product += (area(b) - 0.5) * (log_aspect(b) - 0.5);
    CHECK(std::abs(product / draws) < 5.0 / 12 / std::sqrt(draws));

    // Aspects are those of the image itself, whatever the output's.
    philox_stream one(1), two(1);
    CHECK(draw_crop(s, 50, 60, 1.0F, one) == draw_crop(s, 50, 60, 2.0F, two));
}

TEST_CASE("a crop lies inside the image and keeps to its ranges", "[data][crop]") {
    auto const rule = GENERATE(crop_rule::tensorflow, crop_rule::torchvision);
    crop_settings const s{.rule = rule, .area_min = 0.2F};
    for (auto const& [height, width] : {std::pair{28, 28}, {7, 31}, {64, 3}, {1, 1}, {2, 1}}) {
        CAPTURE(height, width);
        for (int i = 0; i < 2000; ++i) {
            philox_stream stream = view_stream(9, 1, i, 0);
            crop_box const b = draw_crop(s, height, width, 1, stream);
            REQUIRE((b.y >= 0 && b.x >= 0 && b.height >= 1 && b.width >= 1));
            REQUIRE((b.y + b.height <= height && b.x + b.width <= width));
        }
    }
    std::set<int> tops;
    int tallest = 0;
    for (int i = 0; i < 5000; ++i) {
        philox_stream stream = view_stream(9, 1, i, 0);
        crop_box const b = draw_crop(s, 28, 28, 1, stream);
        // Rounding of both sides moves the area of a small crop by up to half a row and half a column.
        CHECK(b.height * b.width >= 0.2 * 784 - (rule == crop_rule::torchvision ? (b.height + b.width) / 2.0 : 0.0));
        CHECK(std::abs(b.width - b.height) <= b.height / 3.0 + 1);
        if (b.height == 27) tops.insert(b.y);
        tallest = std::max(tallest, b.height);
    }
    CHECK(tallest == 28);
    // TensorFlow never draws the last position.
    CHECK(tops == (rule == crop_rule::tensorflow ? std::set<int>{0} : std::set<int>{0, 1}));
}

TEST_CASE("what is left when no crop fits", "[data][crop]") {
    philox_stream stream(1);
    // No crop of 9/10 of a strip has an aspect near 1.
    crop_settings s{.rule = crop_rule::tensorflow, .area_min = 0.9F};
    CHECK(draw_crop(s, 100, 10, 1, stream) == crop_box{0, 0, 100, 10});
    s.rule = crop_rule::torchvision;
    CHECK(draw_crop(s, 100, 10, 1, stream) == crop_box{43, 0, 13, 10});  // 10 / (3/4) = 13.3 rows
    CHECK(draw_crop(s, 10, 100, 1, stream) == crop_box{0, 43, 10, 13});  // 10 (4/3) = 13.3 columns
    // A strip whose output is a strip of the same aspect is cropped.
    s.rule = crop_rule::tensorflow;
    CHECK_FALSE(draw_crop(s, 100, 10, 0.1F, stream) == crop_box{0, 0, 100, 10});
    // An object that must be covered wholly leaves only the whole image.
    CHECK(draw_crop({.rule = crop_rule::tensorflow, .min_object_covered = 1}, 40, 40, 1, stream) == crop_box{0, 0, 40, 40});
}

TEST_CASE("the central crop keeps 7/8 of the shorter side", "[data][crop]") {
    CHECK(center_box(256, 256, 1, 0.875F) == crop_box{16, 16, 224, 224});
    CHECK(center_box(256, 320, 1, 0.875F) == crop_box{16, 48, 224, 224});
    CHECK(center_box(33, 47, 1, 0.875F) == crop_box{2, 9, 29, 29});  // rests of 4 and 18
    CHECK(center_box(100, 300, 2, 0.5F) == crop_box{25, 100, 50, 100});
    CHECK(center_box(100, 100, 2, 0.5F) == crop_box{38, 25, 25, 50});  // wider than the image: the width decides
    CHECK(center_box(1, 1, 1, 0.1F) == crop_box{0, 0, 1, 1});
}

TEST_CASE("own exp and log agree with the C library", "[data][crop]") {
    for (double x = -690; x < 690; x += 0.37) {
        CAPTURE(x);
        CHECK(std::abs(pixels::exponential(x) / std::exp(x) - 1) < 2e-15);
    }
    CHECK(pixels::exponential(-800) == 0);
    CHECK(pixels::exponential(0) == 1);
    for (double x : {1e-5, 0.1, 0.75, 1.0, 16.0 / 9.0, 2.0, 10.0, 12345.0}) {
        CAPTURE(x);
        CHECK(std::abs(pixels::logarithm(x) - std::log(x)) < 1e-15 * std::max(1.0, std::abs(std::log(x)) * 4));
    }
}
