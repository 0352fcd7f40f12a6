// SPDX-License-Identifier: Apache-2.0
// Two steps of SimCLRv2's own networks on the emulated GPU and on the CPU: the contrastive step, fine-tuning and
// distillation, on small images and with few filters.

#include "../runtime/reference_encoder.hpp"
#include "../runtime/reference_names.hpp"
#include "steps.hpp"

using namespace tempera;

namespace {

constexpr auto small_student = [](value x) {
    x = relu(batch_norm{}(conv{.filters = 8, .stride = 2}(x)));
    return outputs(output{"logits", dense{.units = 10}(global_average_pool(x))});
};
constexpr resnet_network resnet18{{.depth = 18, .base_filters = 8, .stem = stem::cifar}};
constexpr resnet_network selective50{{.depth = 50, .base_filters = 8, .stem = stem::cifar, .selective_kernel = true}};
constexpr lab::step_task task{.image = {16, 16, 3}, .batch = 4};

/// float32: the two devices add in different orders, which moves every element by some 1e-7 of its sum. Gradients of
/// these networks, with batch norm over few values, enlarge that to 4e-5 at most (measured with seeds 3 to 8), weights
/// after an update from the same weights, and statistics, to 1e-4, but for one seed.
constexpr lab::step_tolerance rounding{.value = 2e-5, .gradient = 1e-4, .parameter = 1e-3};

/// bfloat16: a gradient is off by a fifth and more where batch norm cancels it, on any device. So the GPU may be as far
/// from float32 as the CPU is in bfloat16, times a factor for the luck of rounding.
constexpr double luck = 2;

void check_steps(auto const& network, auto const& loss, auto const& optimizer) {
    cpu host{.threads = 2, .winograd = false};
    gpu device{.index = 0};
    auto const run = [&](auto precision, auto& on, lab::step_result const* other = nullptr) {
        return lab::train<precision()>(on, network, small_student, task, loss, optimizer, other);
    };
    constexpr std::integral_constant<precision, precision::float32> float32;
    constexpr std::integral_constant<precision, precision::bfloat16> bfloat16;
    auto const exact = run(float32, host);
    lab::compare(run(float32, device, &exact), exact, rounding);

    auto const usual = run(bfloat16, host);
    auto const found = run(bfloat16, device);
    CHECK(std::abs(found.values[0].loss - exact.values[0].loss) < 0.02F * exact.values[0].loss);
    for (auto const block :
         {&lab::step_result::gradients, &lab::step_result::parameters, &lab::step_result::statistics}) {
        double const distance = lab::distance(found.*block, exact.*block);
        double const allowed = luck * lab::distance(usual.*block, exact.*block);
        CAPTURE(distance, allowed);
        CHECK(distance <= allowed);
        CHECK(distance > 0);
    }
}

}  // namespace

TEST_CASE("gpu networks: the contrastive step of a ResNet-18, as on the CPU", "[steps]") {
    check_steps(simclr(resnet18, projection_network{{.layers = 3, .out = 16}}), nt_xent{.temperature = 0.5F},
                lars{.eta = 0.02F});
}
TEST_CASE("gpu networks: the contrastive step of a selective-kernel ResNet-50, as on the CPU", "[steps]") {
    check_steps(simclr(selective50, projection_network{{.layers = 3, .out = 16}}), nt_xent{.temperature = 0.5F},
                lars{.eta = 0.02F});
}
TEST_CASE("gpu networks: fine-tuning a ResNet-18 with labels, as on the CPU", "[steps]") {
    check_steps(classifier(resnet18, projection_network{{.layers = 3, .out = 16}}, {.tap = 1, .classes = 10}),
                cross_entropy{.label_smoothing = 0.1F}, sgd{.weight_decay = 1e-4F});
}
TEST_CASE("gpu networks: distillation into a selective-kernel ResNet-50, as on the CPU", "[steps]") {
    check_steps(classifier(selective50, {.classes = 10}), distillation{.temperature = 2.0F, .alpha = 0.5F}, sgd{});
}

TEST_CASE("gpu networks: encoders agree with the authors' code", "[steps]") {
    std::string const name = GENERATE("encoder_resnet18_cifar", "encoder_resnet50_sk_odd", "encoder_resnet18_se_cifar");
    CAPTURE(name);
    fixture::file const f(name);
    gpu device{.index = 0};
    dynamic_model<gpu> m(device, resnet_network{reference::config_of(name)}, reference::shape_of(f["input"]),
                         {.max_batch = 4});
    auto const names = reference::names(m.manifest());
    reference::load(m, f, "param/");
    device_batch<float, gpu> to_device(device);
    auto const images = to_device(reference::batch_of(f["input"]));
    auto const difference = [&](view<float const> x, char const* tensor) {
        std::vector<float> host(static_cast<std::size_t>(x.size()));
        device.download(x, view<float>{host.data(), x.dims});
        return fixture::difference(host.data(), f[tensor]);
    };
    CHECK(difference(m.predict(images).last(), "features_eval") <
          reference::tolerance_of(name, "inference-mode tensors"));
    double const features = reference::tolerance_of(name, "features");
    CHECK(difference(m.forward(images).last(), "features_train") < features);

    // loss = sum(features * cotangent)
    auto const& cotangent = f["cotangent"].values;
    auto memory = lab::on_device(device, cotangent);
    view<float> const target = m.output_gradients().last();
    copy(device, target.size(), static_cast<float const*>(memory.data()), target.data, store::write);
    m.backward(m.output_gradients());
    auto const gradients = lab::host_gradients(device, m);
    auto const statistics = m.host_statistics();
    for (std::size_t k = 0; k < names.size(); ++k) {
        auto const& e = m.manifest()[k];
        INFO(names[k] << " = " << e.name.text());
        if (is_statistic(e.role)) CHECK(reference::difference(e, statistics, f["moving_after/" + names[k]]) < features);
        else
            CHECK(reference::difference(e, gradients, f["grad/" + names[k]]) <
                  reference::tolerance_of(name, "gradients"));
    }
}
