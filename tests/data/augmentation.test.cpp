// SPDX-License-Identifier: Apache-2.0
// What is drawn and how often, what the settings of each stage do, images of one channel, and what is refused.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "../catch.hpp"
#include "../refusal.hpp"

#include <tempera/data/distortion.hpp>
#include <tempera/data/streams.hpp>

using namespace tempera;

namespace {

constexpr int draws = 20'000;

/// `draws` decisions for images of 32 x 32 x 3.
std::vector<distortion> draw_all(augmentation const& a) {
    std::vector<distortion> out;
    for (int i = 0; i < draws; ++i) out.push_back(draw_distortion(a, {32, 32, 3}, view_stream(2, 0, i, 1), 0.75F));
    return out;
}

/// Whether `count` of the draws is what a chance of p gives, within 5 standard deviations.
bool near(int count, double p) { return std::abs(count - p * draws) <= 5 * std::sqrt(draws * p * (1 - p)); }

template <class F>
int count_of(std::vector<distortion> const& all, F const& f) {
    return static_cast<int>(std::count_if(all.begin(), all.end(), f));
}

std::vector<std::uint8_t> noise(std::int64_t size) {
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>(size));
    philox_stream stream(8);
    for (auto& b : bytes) b = static_cast<std::uint8_t>(stream.word());
    return bytes;
}

std::vector<float> augmented(augmentation const& a, shape source, std::vector<std::uint8_t> const& bytes, int sample = 0) {
    shape const s = augmented_shape(a, source);
    std::vector<float> out(static_cast<std::size_t>(s.size()), -1.0F);
    distortion_workspace work;
    augment(a, {bytes.data(), {1, source.height, source.width, source.channels}},
            {out.data(), {1, s.height, s.width, s.channels}}, view_stream(1, 0, sample, 0), work);
    return out;
}

}  // namespace

TEST_CASE("decisions of pretraining come as often as they should", "[data][augmentation]") {
    auto const all = draw_all(simclr_augmentation{});
    CHECK(near(count_of(all, [](auto& d) { return d.flip; }), 0.5));
    CHECK(near(count_of(all, [](auto& d) { return d.color_steps == 4; }), 0.8));
    CHECK(near(count_of(all, [](auto& d) { return d.color_steps == 0; }), 0.2));
    CHECK(near(count_of(all, [](auto& d) { return d.grayscale; }), 0.2));
    CHECK(near(count_of(all, [](auto& d) { return d.sigma > 0; }), 0.5));
    CHECK(near(count_of(all, [](auto& d) { return d.flip && d.grayscale && d.sigma > 0 && d.color_steps > 0; }),
               0.5 * 0.2 * 0.5 * 0.8));

    // Every order of the four operations, 1/24 each of the 0.8; every value even over its range.
    std::map<std::vector<int>, int> orders;
    std::map<color_operation, std::pair<double, double>> const ranges{{color_operation::brightness, {0.2, 1.8}},
                                                                      {color_operation::contrast, {0.2, 1.8}},
                                                                      {color_operation::saturation, {0.2, 1.8}},
                                                                      {color_operation::hue, {-0.2, 0.2}}};
    std::map<color_operation, std::vector<double>> values;
    for (distortion const& d : all) {
        if (d.color_steps == 0) continue;
        std::vector<int> order;
        for (color_step const& s : d.colors) {
            order.push_back(static_cast<int>(s.operation));
            auto const [low, high] = ranges.at(s.operation);
            values[s.operation].push_back((static_cast<double>(s.value) - low) / (high - low));
        }
        ++orders[order];
    }
    CHECK(orders.size() == 24);
    for (auto const& [order, count] : orders) CHECK(near(count, 0.8 / 24));
    for (auto& [operation, list] : values) {
        CAPTURE(static_cast<int>(operation));
        std::sort(list.begin(), list.end());
        double worst = 0;
        for (std::size_t i = 0; i < list.size(); ++i)
            worst = std::max(worst, std::abs(list[i] - (static_cast<double>(i) + 0.5) / static_cast<double>(list.size())));
        CHECK(worst < 1.95 / std::sqrt(static_cast<double>(list.size())));  // Kolmogorov and Smirnov, once in a thousand
    }
    std::vector<double> sigmas;
    for (distortion const& d : all)
        if (d.sigma > 0) sigmas.push_back(static_cast<double>(d.sigma));
    auto const [least, most] = std::minmax_element(sigmas.begin(), sigmas.end());
    CHECK((*least >= 0.1 && *least < 0.11 && *most < 2.0 && *most > 1.99));
    CHECK(all[0].blur_radius == (all[0].sigma > 0 ? 1 : 0));  // 32 / 10 / 2
}

TEST_CASE("settings change what is drawn", "[data][augmentation]") {
    augmentation a = simclr_augmentation{.strength = 0.5F, .blur = 1};
    for (distortion const& d : draw_all(a))
        for (int i = 0; i < d.color_steps; ++i) {
            color_step const& s = d.colors[static_cast<std::size_t>(i)];
            if (s.operation == color_operation::hue) CHECK(std::abs(s.value) <= 0.1F);
            else CHECK(std::abs(s.value - 1) <= 0.4001F);
        }
    a.blur.per_batch = true;
    a.blur.radius = 4;
    a.jitter.probability = 1;
    a.jitter.random_order = false;
    a.jitter.additive = true;
    a.jitter.hue = 0;
    auto const all = draw_all(a);
    CHECK(count_of(all, [](auto& d) { return d.sigma == 0.75F && d.blur_radius == 4; }) == draws);
    CHECK(count_of(all, [](auto& d) {
              return d.color_steps == 3 && d.colors[0].operation == color_operation::brightness_shift &&
                     std::abs(d.colors[0].value) <= 0.4F && d.colors[1].operation == color_operation::contrast &&
                     d.colors[2].operation == color_operation::saturation;
          }) == draws);
    // Brightness never turns negative.
    for (distortion const& d : draw_all({.jitter = {.probability = 1, .brightness = 1.5F}}))
        CHECK((d.colors[0].value >= 0 && d.colors[0].value <= 2.5F));
}

TEST_CASE("fine-tuning crops and flips, evaluation does neither", "[data][augmentation]") {
    auto const tuned = draw_all(crop_and_flip{});
    CHECK(near(count_of(tuned, [](auto& d) { return d.flip; }), 0.5));
    CHECK(count_of(tuned, [](auto& d) { return d.color_steps > 0 || d.grayscale || d.sigma > 0; }) == 0);
    CHECK(count_of(tuned, [](auto& d) { return d.crop.height < 32; }) > draws / 2);
    auto const evaluated = draw_all(center_crop{});
    CHECK(count_of(evaluated, [](auto& d) { return d.flip || d.color_steps > 0 || d.crop != crop_box{2, 2, 28, 28}; }) == 0);
    auto const untouched = draw_all({});
    CHECK(count_of(untouched, [](auto& d) { return d.flip || d.crop != crop_box{0, 0, 32, 32}; }) == 0);
}

TEST_CASE("without settings an image becomes floats and nothing else", "[data][augmentation]") {
    shape const s{5, 7, 3};
    auto const bytes = noise(s.size());
    auto const out = augmented({}, s, bytes);
    for (std::size_t i = 0; i < bytes.size(); ++i)
        CHECK(out[i] == static_cast<float>(bytes[i]) * (1.0F / 255.0F));
    CHECK(*std::max_element(out.begin(), out.end()) <= 1.0F);
    std::vector<std::uint8_t> const white(static_cast<std::size_t>(s.size()), 255);
    CHECK(augmented({}, s, white) == std::vector<float>(white.size(), 1.0F));

    auto const flipped = augmented({.flip = 1}, s, bytes);
    for (int y = 0; y < 5; ++y)
        for (int x = 0; x < 7; ++x)
            for (int c = 0; c < 3; ++c)
                CHECK(flipped[static_cast<std::size_t>((y * 7 + x) * 3 + c)] ==
                      out[static_cast<std::size_t>((y * 7 + 6 - x) * 3 + c)]);
}

TEST_CASE("augmented images stay in [0, 1] for any number of channels and size", "[data][augmentation]") {
    for (int channels : {1, 2, 3, 4})
        for (auto const& [height, width] : {std::pair{28, 28}, {3, 2}, {1, 1}, {17, 40}}) {
            CAPTURE(channels, height, width);
            augmentation a = simclr_augmentation{.height = 13, .width = 11, .blur = 0.7F};
            a.blur.radius = 3;
            if (channels == 2 || channels == 4) a.jitter.saturation = a.jitter.hue = a.grayscale = 0;
            shape const source{height, width, channels};
            check(a, source);
            auto const bytes = noise(source.size());
            for (int sample = 0; sample < 50; ++sample)
                for (float const v : augmented(a, source, bytes, sample)) REQUIRE((v >= 0.0F && v <= 1.0F));
        }
}

TEST_CASE("an image of one channel is treated as the gray image it stands for", "[data][augmentation]") {
    // Three equal channels and one channel must give the same: hue, saturation and grayscale leave gray as it is.
    auto const gray = noise(28 * 28);
    std::vector<std::uint8_t> rgb;
    for (std::uint8_t const g : gray) rgb.insert(rgb.end(), 3, g);
    augmentation const a = simclr_augmentation{.blur = 0.5F};
    for (int sample = 0; sample < 40; ++sample) {
        CAPTURE(sample);
        auto const one = augmented(a, {28, 28, 1}, gray, sample), three = augmented(a, {28, 28, 3}, rgb, sample);
        double worst = 0;
        for (std::size_t i = 0; i < one.size(); ++i)
            for (std::size_t c = 0; c < 3; ++c)
                worst = std::max(worst, std::abs(static_cast<double>(one[i]) - static_cast<double>(three[3 * i + c])));
        CHECK(worst < 3e-4);  // the gray weights sum to 0.9999
    }
}

TEST_CASE("a full turn of hue is no turn, and half a turn is the complement", "[data][augmentation]") {
    std::vector<float> const colors{0.9F, 0.2F, 0.4F, 0.1F, 0.7F, 0.3F, 0.5F, 0.5F, 0.5F, 0.0F, 0.0F, 1.0F};
    auto const shifted = [&](float turns) {
        std::vector<float> v = colors;
        shift_hue({v.data(), {1, 2, 2, 3}}, turns);
        return v;
    };
    for (std::size_t i = 0; i < colors.size(); ++i) {
        CHECK_THAT(shifted(1.0F)[i], Catch::Matchers::WithinAbs(static_cast<double>(colors[i]), 1e-6));
        CHECK_THAT(shifted(-2.0F)[i], Catch::Matchers::WithinAbs(static_cast<double>(colors[i]), 1e-6));
    }
    auto const half_turn = shifted(0.5F);
    for (std::size_t p = 0; p < colors.size(); p += 3)
        for (std::size_t c = 0; c < 3; ++c) {
            // Largest and smallest stay, and every channel is mirrored between them.
            float const sum = std::max({colors[p], colors[p + 1], colors[p + 2]}) +
                              std::min({colors[p], colors[p + 1], colors[p + 2]});
            CHECK_THAT(half_turn[p + c], Catch::Matchers::WithinAbs(static_cast<double>(sum - colors[p + c]), 1e-6));
        }
}

TEST_CASE("a pixel's colors do not depend on its place in the row", "[data][augmentation]") {
    // Rows of any length, so that every pixel is taken both among four and alone.
    std::vector<float> row;
    philox_stream stream(6);
    for (int i = 0; i < 3 * 23; ++i) row.push_back(stream.uniform(-0.1F, 1.1F));
    for (auto const& [operation, value] :
         {std::pair{color_operation::saturation, 0.4F}, {color_operation::saturation, 1.7F}, {color_operation::hue, -0.13F},
          {color_operation::hue, 0.2F}, {color_operation::brightness, 1.3F}, {color_operation::brightness_shift, -0.2F}}) {
        CAPTURE(static_cast<int>(operation), value);
        std::vector<float> together = row, alone = row;
        adjust({together.data(), {1, 1, 23, 3}}, operation, value);
        for (std::size_t i = 0; i < row.size(); i += 3) adjust({alone.data() + i, {1, 1, 1, 3}}, operation, value);
        CHECK(together == alone);
    }
    std::vector<float> together = row, alone = row;
    to_grayscale({together.data(), {1, 1, 23, 3}});
    for (std::size_t i = 0; i < row.size(); i += 3) to_grayscale({alone.data() + i, {1, 1, 1, 3}});
    CHECK(together == alone);

    // Contrast 0 leaves the mean of each channel, however many there are.
    for (int channels : {1, 2, 3, 5}) {
        CAPTURE(channels);
        auto const width = static_cast<int>(row.size()) / channels / 2;
        std::vector<float> values = row;
        adjust_contrast({values.data(), {1, 2, width, channels}}, 0);
        for (int c = 0; c < channels; ++c) {
            double mean = 0;
            for (int i = 0; i < 2 * width; ++i) mean += static_cast<double>(row[static_cast<std::size_t>(i * channels + c)]);
            mean /= 2 * width;
            for (int i = 0; i < 2 * width; ++i)
                CHECK_THAT(values[static_cast<std::size_t>(i * channels + c)], Catch::Matchers::WithinAbs(mean, 1e-6));
        }
    }
}

TEST_CASE("a reserved workspace does not grow", "[data][augmentation]") {
    augmentation const a = simclr_augmentation{.height = 30, .width = 26, .blur = 0.5F};
    shape const source{28, 33, 3};
    auto const bytes = noise(source.size());
    std::vector<float> out(30 * 26 * 3);
    distortion_workspace work;
    work.reserve(a, source);
    auto const room = [&] {
        return std::vector<std::size_t>{work.crop.capacity(),         work.resize.rows.capacity(),
                                        work.resize.columns.capacity(), work.resize.row.capacity(),
                                        work.blur.filter.capacity(),  work.blur.row.capacity(),
                                        work.blur.horizontal.capacity()};
    };
    auto const before = room();
    CHECK(std::find(before.begin(), before.end(), 0U) == before.end());
    for (int i = 0; i < 500; ++i)
        augment(a, {bytes.data(), {1, 28, 33, 3}}, {out.data(), {1, 30, 26, 3}}, view_stream(1, 0, i, 0), work);
    distort({.crop = {0, 0, 28, 33}, .sigma = 1, .blur_radius = 1}, a.resize, {bytes.data(), {1, 28, 33, 3}},
            {out.data(), {1, 30, 26, 3}}, work);
    CHECK(room() == before);
}

TEST_CASE("settings out of their range are refused by name", "[data][augmentation]") {
    auto const message = [](augmentation const& a, int channels = 3) {
        return refusal([&] { check(a, {32, 32, channels}); });
    };
    CHECK(message({}) == "nothing was thrown");
    CHECK(message(simclr_augmentation{}) == "nothing was thrown");
    CHECK(message(simclr_augmentation{}, 1) == "nothing was thrown");
    CHECK(says(message(simclr_augmentation{}, 4), {"1 or 3 channels", "4 channels"}));
    CHECK(says(message({.height = -1}), {"size", "-1 x 0"}));
    CHECK(says(message({.crop = {.area_min = 0}}), {"crop area"}));
    CHECK(says(message({.crop = {.area_min = 0.9F, .area_max = 0.8F}}), {"crop area", "0.9"}));
    CHECK(says(message({.crop = {.area_max = 1.1F}}), {"crop area", "1.1"}));
    CHECK(says(message({.crop = {.aspect_min = 2}}), {"crop aspect"}));
    CHECK(says(message({.crop = {.min_object_covered = 2}}), {"min_object_covered"}));
    CHECK(says(message({.crop = {.attempts = 0}}), {"attempts"}));
    CHECK(says(message({.crop = {.proportion = 0}}), {"proportion"}));
    CHECK(says(message({.flip = -0.1F}), {"flip", "-0.1"}));
    CHECK(says(message({.flip = std::nanf("")}), {"flip", "nan"}));
    CHECK(says(message({.jitter = {.probability = 2}}), {"jitter"}));
    CHECK(says(message({.jitter = {.brightness = -1}}), {"brightness"}));
    CHECK(says(message({.jitter = {.contrast = 1.2F}}), {"contrast"}));
    CHECK(says(message({.jitter = {.saturation = 1.2F}}), {"saturation"}));
    CHECK(says(message({.jitter = {.hue = 0.6F}}), {"hue"}));
    CHECK(says(message({.grayscale = 2}), {"grayscale"}));
    CHECK(says(message({.blur = {.probability = 2}}), {"blur"}));
    CHECK(says(message({.blur = {.sigma_min = 0}}), {"blur sigma"}));
    CHECK(says(message({.blur = {.radius = -2}}), {"blur radius"}));
    std::vector<float> four(4);
    CHECK(says(refusal([&] { shift_hue({four.data(), {1, 1, 1, 4}}, 0.1F); }), {"hue", "4"}));
    blur_workspace work;
    CHECK(says(refusal([&] { gaussian_blur({four.data(), {1, 2, 2, 1}}, 1, 0, work); }), {"sigma above 0"}));
}
