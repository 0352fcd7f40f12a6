// SPDX-License-Identifier: Apache-2.0
// BYOL (Grill et al. 2020) as a training loop of one's own: a network predicts what a target, its own moving average,
// makes of another view of the same image. Command: byol [epochs]
#include <cstdio>
#include <cstdlib>
#include <tempera/interop/eigen.hpp>
#include <tempera/tempera.hpp>
using namespace tempera;

inline constexpr shape image{28, 28, 1};
inline constexpr auto encoder =
    resnet<resnet_config{.depth = 10, .base_filters = 16, .stages = 3, .stem = stem::small}>;
inline constexpr auto projector = projection_head<projection_config{.layers = 2, .out = 64}>;
inline constexpr auto prediction_head = sequential(dense{.units = 128}, batch_norm{}, relu, dense{.units = 64});
inline constexpr auto target_network = simclr(encoder, sequential(named("projector", projector), l2_normalize));
inline constexpr auto online_network = simclr(
    encoder, sequential(named("projector", projector), named("predictor", prediction_head), l2_normalize));

/// The mean of 2 - 2 cos(prediction, target of the other view) over rows; its gradient goes to the prediction alone.
struct prediction_error {
    view<float const> target;
    loss_value operator()(cpu&, output_views const& outputs, targets const&, gradient_views const& gradients) const {
        auto const q = eigen_of(outputs.last()), z = eigen_of(target);
        auto const n = static_cast<float>(q.rows());
        eigen_matrix<float> other(q.rows(), q.cols());
        other << z.bottomRows(q.rows() / 2), z.topRows(q.rows() / 2);
        if (gradients.size() > 0) eigen_of(gradients.last()) = other * (-2 / n);
        return {.loss = 2 - 2 * q.cwiseProduct(other).sum() / n};
    }
};

int main(int count, char** arguments) {
    int const epochs = count > 1 ? std::atoi(arguments[1]) : 8;
    cpu device;
    auto const [train, test] = fashion_mnist("examples/data");
    model<online_network, image> online{device, {.max_batch = 256}};
    model<target_network, image> target{device, {.max_batch = 256, .frozen = frozen("", bn::batch)}};
    moving_average follow(target, online, {.decay = 0.99F});
    optimizer_state state(online, sgd{.weight_decay = 1e-4F});
    augmentation const views = simclr_augmentation{.strength = 0.75F, .blur = 0, .area_min = 0.2F};
    loader batches{train, {.batch = 128, .views = 2, .augment = views, .epochs = epochs}};
    warmup_cosine const rate{.peak = 0.1F, .warmup_steps = 20, .total_steps = batches.steps()};

    std::int64_t const epoch = batches.steps_per_epoch();
    double sum = 0;
    while (auto const batch = batches.next()) {
        prediction_error const loss{target.forward(batch.images).last()};
        sum += static_cast<double>(loss(device, online.forward(batch.images), {}, online.output_gradients()).loss);
        online.backward(online.output_gradients());
        state.update(rate(batch.step));
        follow.update();
        if ((batch.step + 1) % epoch != 0) continue;
        std::printf("epoch %d: prediction error %.3f\n", batch.epoch + 1, sum / static_cast<double>(epoch));
        sum = 0;
    }
    train_options const how{
        .epochs = 20, .batch = 128, .learning_rate = 1, .validation = test, .validate_every = 20};
    auto const answer = linear_evaluation(online, balanced_fraction(train, 0.1, 1), sgd{}, how);
    std::printf("linear evaluation with 10 %% of the labels: top-1 %.1f %%\n", 100 * answer.test.top1);
}
