// SPDX-License-Identifier: Apache-2.0
// Predictors on the GPU: convolutions with their residual and ReLU, filters converted once, and sessions that are captured,
// beside the CPU's.

#include <thread>

#include <tempera/tempera.hpp>

#include "lab.hpp"
#include "steps.hpp"

using namespace tempera;

namespace {

constexpr shape image{17, 15, 3};
constexpr int largest = 3;

/// Weights and statistics as after some training.
template <class Model>
void draw(Model& m) {
    auto const parameters = lab::random_values<float>(m.plan().parameters, 1);
    auto statistics = lab::random_values<float>(m.plan().statistics, 2);
    for (float& s : statistics) s = 1.25F + 0.75F * s;
    m.write_parameters(parameters.data());
    m.write_statistics(statistics.data());
}

view<float const> view_of_images(float const* at, int images) {
    return {at, {images, image.height, image.width, image.channels}};
}
std::vector<float> drawn_images(std::uint32_t stream) {
    return lab::random_values<float>(largest * image.size(), stream);
}

template <class Device>
std::vector<float> downloaded(Device& device, view<float const> x) {
    std::vector<float> host(static_cast<std::size_t>(x.size()));
    device.download(x, view<float>{host.data(), x.dims});
    return host;
}

/// The last output for a whole batch.
template <precision P, class Device>
std::vector<float> predicted(Device& device, auto const& network) {
    dynamic_model<Device, P> m(device, network, image, {.max_batch = largest});
    draw(m);
    predictor<Device, P> const shared(m, largest);
    auto session = shared.make_session();
    device_batch<float, Device> to_device(device);
    auto const host = drawn_images(3);
    return downloaded(device, session.predict(to_device(view_of_images(host.data(), largest))).last());
}

constexpr resnet_network plain18{{.depth = 18, .base_filters = 8, .stages = 3, .stem = stem::small}};
constexpr resnet_network plain50{{.depth = 50, .base_filters = 8, .stages = 2, .stem = stem::imagenet}};
constexpr resnet_network selective50{
    {.depth = 50, .base_filters = 8, .stages = 2, .stem = stem::resnet_d, .selective_kernel = true}};
constexpr resnet_network odd18{{.depth = 18, .base_filters = 5, .stages = 2, .stem = stem::small, .se_ratio = 0.5F}};

void as_on_the_cpu(auto const& network) {
    cpu host{.threads = 2};
    gpu device;
    auto const exact = predicted<precision::float32>(host, network);
    auto const usual = lab::distance(predicted<precision::bfloat16>(host, network), exact);
    CHECK(lab::distance(predicted<precision::float32>(device, network), exact) < 1e-5);
    auto const found = lab::distance(predicted<precision::bfloat16>(device, network), exact);
    CAPTURE(usual, found);
    CHECK(found <= 3 * usual);  // the GPU rounds filters too; 2.5 times were seen on an H200
    CHECK(found > 0);
}

/// What sessions of one predictor give for batches of several sizes at two places, in turn.
std::vector<std::vector<float>> in_turn(emulation::machine const& machine) {
    emulation::with const m(machine);
    gpu device;
    dynamic_model<gpu, precision::bfloat16> from(device, plain50, image, {.max_batch = largest});
    draw(from);
    predictor<gpu, precision::bfloat16> const shared(from, largest);
    auto session = shared.make_session();
    buffer<float> places[] = {buffer<float>(device, largest * image.size()),
                              buffer<float>(device, largest * image.size())};
    std::vector<std::vector<float>> out;
    for (int k = 0; k < 20; ++k) {
        auto const host = drawn_images(static_cast<std::uint32_t>(k));
        buffer<float>& place = places[k % 2];
        device.upload(view_of_images(host.data(), largest), place);
        if (k == 12) static_cast<void>(device.context.scratch(std::size_t{64} << 20));  // it moves
        out.push_back(downloaded(device, session.predict(view_of_images(place.data(), 1 + k / 2 % 3)).last()));
    }
    return out;
}

}  // namespace

TEST_CASE("gpu predictor: residual networks give what they give on the CPU", "[steps]") {
    SECTION("of basic blocks") { as_on_the_cpu(plain18); }
    SECTION("of bottlenecks") { as_on_the_cpu(plain50); }
    SECTION("with selective kernels") { as_on_the_cpu(selective50); }
    SECTION("of odd channel counts, with gates") { as_on_the_cpu(odd18); }
}

TEST_CASE("gpu predictor: captured sessions give the bits of those that are not, for every batch and place",
          "[steps][emulated]") {
    emulation::machine refusing;
    refusing.refuse_capture = true;
    auto const captured = in_turn({});
    CHECK(captured == in_turn(refusing));
    CHECK(captured[0] != captured[6]);
}

TEST_CASE("gpu predictor: sessions of several threads give what one gives", "[steps]") {
    gpu device;
    dynamic_model<gpu, precision::bfloat16> from(device, plain18, image, {.max_batch = largest});
    draw(from);
    predictor<gpu, precision::bfloat16> const shared(from, largest);
    auto const predictions = [&](std::uint32_t first) {
        std::vector<std::vector<float>> out;
        auto session = shared.make_session();
        buffer<float> place(device, largest * image.size());
        for (std::uint32_t k = first; k < first + 6; ++k) {
            auto const host = drawn_images(k);
            device.upload(view_of_images(host.data(), largest), place);
            out.push_back(
                downloaded(device, session.predict(view_of_images(place.data(), 1 + static_cast<int>(k) % 3)).last()));
        }
        return out;
    };
    auto const expected = predictions(10), others = predictions(20);
    std::vector<std::vector<float>> found[2];
    std::thread one([&] { found[0] = predictions(10); }), two([&] { found[1] = predictions(20); });
    one.join();
    two.join();
    CHECK(found[0] == expected);
    CHECK(found[1] == others);
}

TEST_CASE("gpu predictor: from the third batch at a place on there is one launch, and nothing is allocated",
          "[steps][emulated]") {
    gpu device;
    dynamic_model<gpu, precision::bfloat16> m(device, plain50, image, {.max_batch = largest});
    draw(m);
    predictor<gpu, precision::bfloat16> const shared(m, largest);
    auto session = shared.make_session();
    buffer<float> place = lab::on_device(device, drawn_images(1));
    for (int k = 0; k < 2; ++k) session.predict(view_of_images(place.data(), largest));
    auto const before = emulation::counts();
    auto moved = std::move(session);
    for (int k = 0; k < 5; ++k) moved.predict(view_of_images(place.data(), largest));
    auto const after = emulation::counts();
    CHECK(after.graph_launches == before.graph_launches + 5);
    CHECK(after.launches == before.launches);
    CHECK(after.products == before.products);
    CHECK(after.allocations == before.allocations);
    CHECK(after.synchronizations == before.synchronizations);
}

TEST_CASE("gpu predictor: a convolution of a block is one launch", "[steps][emulated]") {
    gpu device;
    auto const launches = [&](auto const& network) {
        dynamic_model<gpu, precision::bfloat16> m(device, network, shape{9, 7, 8}, {.max_batch = 2});
        predictor<gpu, precision::bfloat16> const shared(m, 2);
        auto session = shared.make_session();
        buffer<float> place(device, 2 * shape{9, 7, 8}.size());
        fill(device, place.size(), 1.0F, place.data());
        long const before = emulation::counts().launches;
        session.predict({place.data(), {2, 9, 7, 8}});
        return emulation::counts().launches - before;
    };
    constexpr auto unit = [](value x) { return relu(batch_norm{}(conv{.filters = 16}(x))); };
    constexpr auto block = [](value x) {
        value const shortcut = batch_norm{}(conv{.filters = 32, .kernel = 1}(x));
        x = relu(batch_norm{}(conv{.filters = 16, .kernel = 1}(x)));
        return relu(batch_norm{}(conv{.filters = 32}(x)) + shortcut);
    };
    CHECK(launches(unit) == 3);  // the batch as bfloat16, the output as float32
    CHECK(launches(block) == 5);
}
