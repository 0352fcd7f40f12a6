// SPDX-License-Identifier: Apache-2.0
// Whole training steps: the same network on the emulated GPU and on the CPU, which is tested against the authors' values.

#include <tempera/tempera.hpp>

#include "lab.hpp"

using namespace tempera;

namespace {

/// conv + batch norm + ReLU, conv, pool, dense: the three layers.
constexpr auto three_layers = [](value x) {
    x = relu(batch_norm{}(conv{.filters = 6}(x)));
    x = conv{.filters = 5, .stride = 2, .bias = true}(x);
    return outputs(output{"logits", dense{.units = 4}(global_average_pool(x))});
};

/// What else networks are made of: selective kernels, squeeze-excite, pools, a residual sum, concat, dropout.
constexpr auto everything = [](value x) {
    x = relu(batch_norm{}(conv{.filters = 8}(x)));
    x = max_pool{.kernel = 3, .stride = 2}(x);
    value const y = squeeze_excite{.ratio = 0.5F}(selective_kernel{.filters = 8}(x));
    x = relu(x + y);
    x = concat(average_pool{.kernel = 2, .stride = 2}(x), conv{.filters = 4, .kernel = 1, .stride = 2}(x));
    x = dropout{.rate = 0.25F}(global_average_pool(x));
    return outputs(output{"logits", dense{.units = 4}(x)}, output{"embedding", l2_normalize(dense{.units = 6}(x))});
};

constexpr shape input{8, 8, 3};
constexpr int batch = 6;
constexpr int steps = 3;

struct result {
    std::vector<loss_value> values;
    std::vector<float> parameters;
    std::vector<float> statistics;
    std::vector<float> predicted;
};

template <auto Network, precision Precision>
result train(auto& device, auto const& loss, auto const& optimizer) {
    using device_type = std::remove_reference_t<decltype(device)>;
    model<Network, input, device_type, Precision> m{device, {.max_batch = batch, .seed = 3}};
    auto const ranges = optimizer.ranges(m.manifest());
    std::vector<float> const zeros(static_cast<std::size_t>(m.parameters().size()));
    buffer<float> slot(device, m.parameters().size());
    device.upload(view<float const>{zeros.data(), {static_cast<int>(zeros.size())}}, slot);
    float* const state[] = {slot.data()};
    std::vector<std::int32_t> const classes{0, 3, -1, 1, 2, 2};
    buffer<std::int32_t> labels(device, batch);
    device.upload(view<std::int32_t const>{classes.data(), {batch}}, labels);
    buffer<float> images(device, batch * input.size());

    result out;
    for (int step = 0; step < steps; ++step) {
        auto const host = lab::random_values<float>(batch * input.size(), static_cast<std::uint32_t>(20 + step));
        device.upload(view<float const>{host.data(), {batch, 8, 8, 3}}, images);
        view<float const> const x{images.data(), {batch, 8, 8, 3}};
        auto const before = emulation::counts();
        auto const views = m.forward(x);
        out.values.push_back(loss(device, views, targets{.labels = std::as_const(labels).view()}, m.output_gradients()));
        m.backward(m.output_gradients());
        optimizer(device, 0.1F, step, ranges, m.parameters().data(), m.gradients().data(), state);
        m.touch();
        if (step == steps - 1) CHECK(emulation::counts().allocations == before.allocations);
    }
    out.parameters = m.host_parameters();
    out.statistics = m.host_statistics();
    auto const last = m.predict(view<float const>{images.data(), {batch, 8, 8, 3}}).last();
    out.predicted.resize(static_cast<std::size_t>(last.size()));
    device.download(last, view<float>{out.predicted.data(), last.dims});
    return out;
}

void compare(result const& found, result const& expected, double tolerance) {
    for (std::size_t i = 0; i < steps; ++i) {
        CHECK(std::abs(found.values[i].loss - expected.values[i].loss) < static_cast<float>(tolerance));
        CHECK(std::abs(found.values[i].entropy - expected.values[i].entropy) < static_cast<float>(tolerance));
    }
    CHECK(lab::difference(found.parameters, lab::exact(expected.parameters)) < tolerance);
    CHECK(lab::difference(found.statistics, lab::exact(expected.statistics)) < tolerance);
    CHECK(lab::difference(found.predicted, lab::exact(expected.predicted)) < 2 * tolerance);
}

}  // namespace

TEST_CASE("gpu training step: three layers, three steps, as on the CPU", "[steps]") {
    emulation::with const machine(lab::any_order());
    cpu host{.threads = 2};
    gpu device{.index = 0};
    sgd const optimizer{.weight_decay = 1e-3F};
    auto const expected = train<three_layers, precision::float32>(host, cross_entropy{}, optimizer);
    auto const found = train<three_layers, precision::float32>(device, cross_entropy{}, optimizer);
    CHECK(expected.values[0].loss != expected.values[2].loss);
    compare(found, expected, 2e-6);
}

TEST_CASE("gpu training step: every kind of layer, as on the CPU", "[steps]") {
    cpu host{.threads = 2};
    gpu device{.index = 0};
    lars const optimizer{.eta = 0.1F};
    auto const loss = 0.5F * cross_entropy{.label_smoothing = 0.1F, .output = name_text("logits")} +
                      nt_xent{.temperature = 0.5F};
    compare(train<everything, precision::float32>(device, loss, optimizer),
            train<everything, precision::float32>(host, loss, optimizer), 1e-5);
}

TEST_CASE("gpu training step: activations in bfloat16 and float16", "[steps]") {
    cpu host{.threads = 2};
    gpu device{.index = 0};
    sgd const optimizer{};
    auto const exact = train<three_layers, precision::float32>(host, cross_entropy{}, optimizer);
    auto const bfloat16 = train<three_layers, precision::bfloat16>(device, cross_entropy{}, optimizer);
    auto const float16 = train<three_layers, precision::float16>(device, cross_entropy{}, optimizer);
    compare(bfloat16, exact, 2e-2);
    compare(float16, exact, 3e-3);
    CHECK(bfloat16.parameters != exact.parameters);
    compare(bfloat16, train<three_layers, precision::bfloat16>(host, cross_entropy{}, optimizer), 2e-2);
}
