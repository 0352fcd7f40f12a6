// SPDX-License-Identifier: Apache-2.0
// Bitwise the same weights for any number of threads, from run to run, and with a smaller last batch.
#include <tempera/tempera.hpp>

#include "../catch.hpp"

using namespace tempera;

namespace {

image_set noise(int count) {
    philox_stream random(5);
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(count) * 12 * 12 * 3);
    for (auto& p : pixels) p = static_cast<std::uint8_t>(random.below(256));
    std::vector<std::int32_t> labels(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) labels[static_cast<std::size_t>(i)] = i % 3;
    return {shape{12, 12, 3}, std::move(pixels), std::move(labels), 3};
}

resnet_network const encoder{{.depth = 10, .base_filters = 6, .stages = 2, .stem = stem::small, .selective_kernel = true}};
projection_network const head{{.layers = 2, .out = 10}};

/// Weights after pretraining and fine-tuning on a number of threads.
std::vector<float> trained_weights(int threads, int loader_threads) {
    cpu device{.threads = threads};
    image_set const images = noise(40);
    dynamic_model<cpu> m(device, simclr(encoder, head), shape{12, 12, 3}, {.max_batch = 32});
    pretrain(m, images, nt_xent{.temperature = 0.2F}, lars{},
             {.epochs = 2, .batch = 16, .learning_rate = 1.0F, .augment = simclr_augmentation{}, .loader_threads = loader_threads});
    dynamic_model<cpu> tuned(device, classifier(encoder, head, {.tap = 1, .classes = 3}), shape{12, 12, 3}, {.max_batch = 16});
    fine_tune(tuned, m, images, sgd{}, {.epochs = 2, .batch = 16, .augment = crop_and_flip{}, .loader_threads = loader_threads});
    return tuned.host_parameters();
}

}  // namespace

TEST_CASE("weights are bitwise the same for 1, 2, 3 and 5 threads and from run to run", "[same_bits][thread]") {
    auto const expected = trained_weights(1, 1);
    for (int const threads : {1, 2, 3, 5}) {
        INFO(threads << " threads");
        CHECK(trained_weights(threads, 1 + threads % 3) == expected);
    }
}

TEST_CASE("a smaller batch gives the bits that a model of that size gives", "[same_bits]") {
    cpu device{.threads = 2};
    auto const network = classifier(encoder, {.classes = 3});
    dynamic_model<cpu> large(device, network, shape{12, 12, 3}, {.max_batch = 9});
    dynamic_model<cpu> small(device, network, shape{12, 12, 3}, {.max_batch = 4});
    std::vector<float> x(4 * 12 * 12 * 3);
    philox_stream random(8);
    for (float& v : x) v = random.uniform();
    std::vector<std::int32_t> const labels{0, 1, 2, 1};
    auto step = [&](auto& m) {
        auto const outputs = m.forward({x.data(), {4, 12, 12, 3}});
        cross_entropy{}(device, outputs, targets{.labels = {labels.data(), {4}}}, m.output_gradients());
        m.backward(m.output_gradients());
        return std::vector<float>(m.gradients().data(), m.gradients().data() + m.gradients().size());
    };
    CHECK(step(large) == step(small));
}

TEST_CASE("two micro-batches accumulate the gradient of both", "[same_bits]") {
    cpu device{.threads = 2};
    auto const network = [](value x) { return dense{.units = 3}(global_average_pool(sigmoid(conv{.filters = 4}(x)))); };
    dynamic_model<cpu> m(device, network, shape{5, 6, 2}, {.max_batch = 4});
    std::vector<float> x(4 * 60), g(12);
    philox_stream random(9);
    for (float& v : x) v = random.uniform();
    for (float& v : g) v = random.uniform(-1, 1);
    auto run = [&](int first, int count, bool accumulate) {
        m.forward({x.data() + first * 60, {count, 5, 6, 2}});
        auto const target = m.output_gradients().last();
        for (int i = 0; i < count * 3; ++i) target[i] = g[static_cast<std::size_t>(first * 3 + i)];
        m.backward(m.output_gradients(), accumulate);
    };
    run(0, 4, false);
    std::vector<float> const whole(m.gradients().data(), m.gradients().data() + m.gradients().size());
    run(0, 1, false);
    run(1, 3, true);
    for (std::size_t i = 0; i < whole.size(); ++i) CHECK(std::abs(whole[i] - m.gradients().data()[i]) < 1e-5F);
}
