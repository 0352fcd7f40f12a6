// SPDX-License-Identifier: Apache-2.0
// Augmented views made on the device, against the CPU's and against the authors' values.

#include <tempera/tempera.hpp>

#include "../fixture.hpp"
#include "../recorded_distortion.hpp"
#include "../refusal.hpp"
#include "lab.hpp"

using namespace tempera;

namespace {

/// A pixel is some 50 operations on numbers of at most 2, each rounded to 6e-8; contrast and saturation enlarge what is off
/// by up to 1.8 each, and the mean of a channel is summed in another order. Measured in the emulation: 6.6e-7 at most.
/// Devices fuse products with sums besides.
constexpr double rounding = 1e-5;

std::vector<std::uint8_t> noise(std::int64_t size, std::uint32_t stream) {
    philox_stream draws(21, stream);
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>(size));
    for (auto& b : bytes) b = static_cast<std::uint8_t>(draws.word());
    return bytes;
}

/// Images of one shape on both sides.
struct pictures {
    shape image;
    int count;
    std::vector<std::uint8_t> bytes;
    gpu device{.index = 0};
    image_memory memory{device, image, count};

    pictures(shape s, int n) : pictures(s, n, noise(n * s.size(), 0)) {}
    pictures(shape s, int n, std::vector<std::uint8_t> pixels) : image(s), count(n), bytes(std::move(pixels)) {
        memory.put(0, view<std::uint8_t const>{bytes.data(), {count, image.height, image.width, image.channels}});
        device.synchronize();
    }
    std::vector<float> on_device(std::vector<drawn_view> const& drawn, int height, int width, resize_rule rule) {
        view<float const> const made = memory(drawn, height, width, rule);
        std::vector<float> host(static_cast<std::size_t>(made.size()));
        device.download(made, view<float>{host.data(), made.dims});
        return host;
    }
    std::vector<double> on_cpu(std::vector<drawn_view> const& drawn, int height, int width, resize_rule rule) const {
        extents const one{1, height, width, image.channels};
        std::vector<float> made(static_cast<std::size_t>(one.size()) * drawn.size());
        distortion_workspace work;
        for (std::size_t i = 0; i < drawn.size(); ++i)
            distort(drawn[i].decisions, rule,
                    {bytes.data() + drawn[i].image * image.size(), {1, image.height, image.width, image.channels}},
                    {made.data() + static_cast<std::int64_t>(i) * one.size(), one}, work);
        return lab::exact(made);
    }
    double gap(std::vector<drawn_view> const& drawn, int height, int width, resize_rule rule) {
        return lab::difference(on_device(drawn, height, width, rule), on_cpu(drawn, height, width, rule));
    }
    crop_box whole() const { return {0, 0, image.height, image.width}; }
};

distortion one_color(crop_box crop, color_operation operation, float value) {
    distortion d{.crop = crop, .color_steps = 1};
    d.colors[0] = {operation, value};
    return d;
}

std::vector<drawn_view> drawn_for(augmentation const& a, shape source, int images, int views, std::uint64_t seed) {
    std::vector<drawn_view> drawn;
    for (int v = 0; v < views; ++v)
        for (int i = 0; i < images; ++i) drawn.push_back({i, draw_distortion(a, source, view_stream(seed, 0, i, v))});
    return drawn;
}

}  // namespace

TEST_CASE("gpu augmentation: crops are resized as on the CPU, to the bit where nothing is fused") {
    emulation::with const machine(lab::any_order());
    auto const rule = GENERATE(resize_rule::half_pixel, resize_rule::legacy);
    int const channels = GENERATE(1, 3, 4);
    pictures p({13, 17, channels}, 2);
    std::vector<drawn_view> drawn;
    for (crop_box const crop : {crop_box{0, 0, 13, 17}, crop_box{3, 5, 9, 11}, crop_box{12, 16, 1, 1},
                                crop_box{0, 2, 3, 2}, crop_box{4, 0, 4, 15}})
        for (bool const flip : {false, true})
            drawn.push_back({static_cast<int>(drawn.size() % 2), {.crop = crop, .flip = flip}});
    for (auto const& [height, width] : {std::pair{13, 17}, {9, 11}, {22, 7}, {1, 1}}) {
        CAPTURE(channels, height, width);
        CHECK(p.gap(drawn, height, width, rule) <= (emulation::fuses_products ? 1e-6 : 0));
    }
}

TEST_CASE("gpu augmentation: every operation alone, as on the CPU") {
    emulation::with const machine(lab::any_order());
    int const channels = GENERATE(1, 3);
    pictures p({11, 14, channels}, 1);
    std::vector<distortion> alone;
    for (float const factor : {0.3F, 1.7F})
        for (auto const operation :
             {color_operation::brightness, color_operation::contrast, color_operation::saturation})
            alone.push_back(one_color(p.whole(), operation, factor));
    for (float const delta : {-0.4F, 0.0F, 0.4F}) {
        alone.push_back(one_color(p.whole(), color_operation::hue, delta));
        alone.push_back(one_color(p.whole(), color_operation::brightness_shift, delta));
    }
    alone.push_back({.crop = p.whole(), .grayscale = true});
    for (int const radius : {0, 1, 6, 20}) alone.push_back({.crop = p.whole(), .sigma = 1.3F, .blur_radius = radius});
    for (std::size_t i = 0; i < alone.size(); ++i) {
        CAPTURE(channels, i);
        CHECK(p.gap({{0, alone[i]}}, 11, 14, resize_rule::half_pixel) <= rounding);
    }
}

TEST_CASE("gpu augmentation: the mean of a channel over several parts, and two contrasts of one view") {
    emulation::with const machine(lab::any_order());
    int const channels = GENERATE(3, 5);
    pictures p({67, 65, channels}, 1);  // more than one part of 4096 positions
    distortion d = one_color(p.whole(), color_operation::contrast, 0.4F);
    std::vector<drawn_view> drawn{{0, d}};
    d.color_steps = 3;
    d.colors[1] = {color_operation::brightness, 1.3F};
    d.colors[2] = {color_operation::contrast, 0.6F};
    drawn.push_back({0, d});
    drawn.push_back({0, {.crop = p.whole()}});
    CHECK(p.gap(drawn, 67, 65, resize_rule::half_pixel) <= rounding);
}

TEST_CASE("gpu augmentation: the whole of SimCLR's, whatever else is in the batch and however many fit at once") {
    emulation::with const machine(lab::any_order());
    int const channels = GENERATE(1, 3);
    shape const source{21, 18, channels};
    augmentation const a = simclr_augmentation{.height = 23, .width = 20};
    pictures p(source, 8);
    auto const drawn = drawn_for(a, source, 8, 2, 3);
    auto const all = p.on_device(drawn, 23, 20, a.resize);
    CHECK(lab::difference(all, p.on_cpu(drawn, 23, 20, a.resize)) <= rounding);

    std::size_t const size = all.size() / drawn.size();
    bool same = true;
    for (std::size_t i = 0; i < drawn.size(); i += 5) {
        auto const alone = p.on_device({drawn[i]}, 23, 20, a.resize);
        same = same && std::equal(alone.begin(), alone.end(), all.begin() + static_cast<std::ptrdiff_t>(i * size));
    }
    CHECK(same);
    p.device.context.tile_bytes = static_cast<std::int64_t>(3 * size * sizeof(float));
    CHECK(p.on_device(drawn, 23, 20, a.resize) == all);
}

TEST_CASE("gpu augmentation: the authors' training chain with recorded decisions") {
    emulation::with const machine(lab::any_order());
    fixture::file const file("augment");
    fixture::tensor const& input = file["pipeline/image_u8"];
    pictures p({input.dims[0], input.dims[1], 3}, 1, {input.values.begin(), input.values.end()});
    for (int i = 0; i < 10; ++i) {
        std::string const at = "pipeline/" + std::to_string(i);
        CAPTURE(at);
        distortion const d = recorded_distortion(file, at);
        fixture::tensor const& expected = file[at + "/output"];
        CHECK(lab::difference(p.on_device({{0, d}}, expected.dims[0], expected.dims[1], resize_rule::half_pixel),
                              lab::exact(expected.values)) <= 2e-5);  // of the fixtures' manifest
    }
}

TEST_CASE("gpu augmentation: decisions that do not fit the images are refused") {
    pictures p({6, 5, 4}, 2);
    auto const message = [&](drawn_view const& v) {
        return refusal([&] { p.memory(std::vector{v}, 6, 5, resize_rule::half_pixel); });
    };
    CHECK(message({1, {.crop = {1, 1, 5, 4}}}) == "nothing was thrown");
    CHECK(says(message({2, {.crop = p.whole()}}), {"view 0", "an image from 0 to 1", "2"}));
    CHECK(says(message({-1, {.crop = p.whole()}}), {"an image from 0 to 1", "-1"}));
    CHECK(says(message({0, {}}), {"a crop inside 6 x 5", "0 x 0"}));
    CHECK(says(message({0, {.crop = {2, 0, 5, 5}}}), {"a crop inside 6 x 5", "row 2"}));
    CHECK(says(message({0, {.crop = {0, -1, 5, 5}}}), {"a crop inside 6 x 5", "column -1"}));
    CHECK(says(message({0, {.crop = p.whole(), .color_steps = 5}}), {"0 to 4 color steps", "5"}));
    CHECK(says(message({0, {.crop = p.whole(), .grayscale = true}}), {"1 or 3 channels", "4 channels"}));
    CHECK(says(message({0, one_color(p.whole(), color_operation::hue, 0.1F)}), {"1 or 3 channels"}));
    CHECK(says(message({0, {.crop = p.whole(), .sigma = 1, .blur_radius = -1}}), {"radius 0 or more"}));
    CHECK(says(refusal([&] { p.memory(std::vector<drawn_view>{{0, {.crop = p.whole()}}}, 0, 5, resize_rule::half_pixel); }),
               {"views of at least 1 x 1 x 1", "0 x 5 x 4"}));
    view<std::uint8_t const> const image{p.bytes.data(), {1, 6, 5, 4}};
    CHECK(says(refusal([&] { p.memory.put(2, image); }), {"below place 2"}));
    CHECK(says(refusal([&] { p.memory.put(0, {p.bytes.data(), {1, 5, 6, 4}}); }), {"5 x 6 x 4"}));
}

TEST_CASE("gpu augmentation: a set on the device gives the batches of the loader, and does not where it has no room",
          "[emulated]") {
    emulation::machine machine = lab::any_order();
    bool const roomy = GENERATE(true, false);
    machine.memory = roomy ? std::size_t{1} << 22 : 12'000;
    emulation::with const small(machine);
    shape const source{8, 9, 3};
    std::vector<std::int32_t> labels(40);
    image_set const all(source, noise(40 * source.size(), 1), labels, 1);
    std::vector<int> places;
    for (int i = 0; i < 31; ++i) places.push_back((i / 3 * 13 + i % 3) % 40);  // neighbours and others
    image_set const set = all.subset(places);
    augmentation const a = simclr_augmentation{.height = 6, .width = 7};
    gpu device{.index = 0};
    device_views<gpu> views(device, set, a);
    CHECK(views.draw_only() == roomy);

    loader_options options{.batch = 2, .views = 2, .augment = a, .epochs = 1, .drop_last = false};
    loader pixels(set, options);
    options.draw_only = views.draw_only();
    loader decisions(set, options);
    int batches = 0;
    while (image_batch const expected = pixels.next()) {
        image_batch const batch = decisions.next();
        REQUIRE(batch.images.dims == expected.images.dims);
        view<float const> const made = views(batch);
        REQUIRE(made.dims == expected.images.dims);
        std::vector<float> found(static_cast<std::size_t>(made.size()));
        device.download(made, view<float>{found.data(), made.dims});
        std::vector<float> const wanted(expected.images.data, expected.images.data + made.size());
        CHECK(lab::difference(found, lab::exact(wanted)) <= rounding);
        CHECK(std::equal(expected.labels.data, expected.labels.data + made.dims.n, batch.labels.data));
        ++batches;
    }
    CHECK(batches == 16);
    CHECK_FALSE(decisions.next());
}

TEST_CASE("gpu augmentation: pretraining on images of the device follows the CPU's") {
    emulation::with const machine(lab::any_order());
    constexpr auto network = [](value x) {
        x = global_average_pool(relu(batch_norm{}(conv{.filters = 8}(x))));
        return outputs(output{"encoder", x}, output{"head", dense{.units = 6}(x)});
    };
    shape const source{10, 10, 3};
    image_set const set(source, noise(12 * source.size(), 2), std::vector<std::int32_t>(12, no_label), 1);
    train_options const options{.epochs = 2, .batch = 6, .augment = simclr_augmentation{.height = 8, .width = 8}};
    auto const losses = [&]<class Device>(Device& device) {
        dynamic_model<Device> m(device, network, shape{8, 8, 3}, {.max_batch = 12, .seed = 5});
        auto const history = pretrain(m, set, nt_xent{}, sgd{}, options);
        return std::vector{history.points.at(0).training.loss, history.points.at(1).training.loss};
    };
    gpu on_gpu{.index = 0};
    cpu on_cpu{.threads = 1};
    auto const found = losses(on_gpu);
    CHECK(lab::difference(found, lab::exact(losses(on_cpu))) <= 1e-4);
}

TEST_CASE("gpu augmentation: a captured step takes its views from one place, and the host waits for nothing") {
    emulation::with const machine(lab::any_order());
    constexpr auto network = [](value x) { return outputs(output{"head", dense{.units = 6}(global_average_pool(x))}); };
    shape const source{10, 10, 3};
    pictures p(source, 4);
    dynamic_model<gpu> m(p.device, network, shape{8, 8, 3}, {.max_batch = 8, .seed = 5});
    optimizer_state state(m, sgd{});
    captured_step step(m, nt_xent{}, state);
    long waits = 0;
    for (int k = 0; k < 6; ++k) {
        auto const drawn =
            drawn_for(simclr_augmentation{.height = 8, .width = 8}, source, 4, 2, static_cast<std::uint64_t>(k));
        long const before = emulation::counts().synchronizations;
        step(p.memory(drawn, 8, 8, resize_rule::half_pixel), {}, 0.1F);
        if (k >= 2) waits += emulation::counts().synchronizations - before;
    }
    CHECK(step.refusal().empty());
    CHECK(step.graphs() == 1);
    CHECK(waits == 0);
    CHECK(std::isfinite(step.take().loss));
}
