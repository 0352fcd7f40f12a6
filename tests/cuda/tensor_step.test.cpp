// SPDX-License-Identifier: Apache-2.0
// A training step whose convolutions run on tensor cores and take the statistics of what they write, beside the CPU's.

#include <tempera/tempera.hpp>

#include "lab.hpp"

using namespace tempera;

namespace {

/// Channels in chunks of 8, a residual, a projection of stride 2.
constexpr auto blocks = [](value x) {
    x = relu(batch_norm{}(conv{.filters = 8}(x)));
    x = relu(batch_norm{}(conv{.filters = 8}(x)) + x);
    value const shortcut = batch_norm{}(conv{.filters = 16, .kernel = 1, .stride = 2}(x));
    x = relu(batch_norm{}(conv{.filters = 16, .stride = 2}(x)) + shortcut);
    return outputs(output{"logits", dense{.units = 4}(global_average_pool(x))});
};

constexpr shape input{9, 7, 3};
constexpr int batch = 6;

struct result {
    std::vector<float> gradients;
    std::vector<float> statistics;
};

template <precision Precision>
result step(auto& device) {
    model<blocks, input, std::remove_reference_t<decltype(device)>, Precision> m{device,
                                                                                 {.max_batch = batch, .seed = 3}};
    buffer<std::int32_t> labels(device, batch);
    std::vector<std::int32_t> const classes{0, 3, -1, 1, 2, 2};
    device.upload(view<std::int32_t const>{classes.data(), {batch}}, labels);
    buffer<float> images(device, batch * input.size());
    auto const host = lab::random_values<float>(batch * input.size(), 20);
    device.upload(view<float const>{host.data(), {batch, 9, 7, 3}}, images);
    auto const views = m.forward(view<float const>{images.data(), {batch, 9, 7, 3}});
    cross_entropy{}(device, views, targets{.labels = std::as_const(labels).view()}, m.output_gradients());
    m.backward(m.output_gradients());
    result out{std::vector<float>(static_cast<std::size_t>(m.gradients().size())), m.host_statistics()};
    device.download(m.gradients().view(), view<float>{out.gradients.data(), {static_cast<int>(out.gradients.size())}});
    return out;
}

}  // namespace

TEST_CASE("gpu training step: convolutions on tensor cores, with the statistics that normalize them") {
    emulation::with const machine(lab::any_order());
    cpu host{.threads = 2};
    gpu device;
    auto const exact = step<precision::float32>(host);
    auto const bfloat16 = step<precision::bfloat16>(device);
    auto const float16 = step<precision::float16>(device);
    CHECK(lab::difference(bfloat16.statistics, lab::exact(exact.statistics)) < 4e-3);
    CHECK(lab::difference(float16.statistics, lab::exact(exact.statistics)) < 5e-4);
    CHECK(lab::difference(bfloat16.gradients, lab::exact(exact.gradients)) < 4e-2);
    CHECK(lab::difference(float16.gradients, lab::exact(exact.gradients)) < 5e-3);
}
