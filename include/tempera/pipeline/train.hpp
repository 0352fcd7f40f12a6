// SPDX-License-Identifier: Apache-2.0
#pragma once
// train: the loop that the stages share: batches in, one update each, a history out. And supervised training on it.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include <tempera/data/loader.hpp>
#include <tempera/loss/cross_entropy.hpp>
#include <tempera/optim/warmup_cosine.hpp>
#include <tempera/pipeline/device_batch.hpp>
#include <tempera/pipeline/device_views.hpp>
#include <tempera/pipeline/evaluate.hpp>
#include <tempera/pipeline/optimizer_state.hpp>
#include <tempera/pipeline/train_options.hpp>

namespace tempera {

namespace detail {

inline loader_options loader_of(train_options const& o, image_set const& set, int views) {
    loader_options l;
    l.batch = std::min(o.batch, set.size());
    l.views = views;
    l.augment = o.augment;
    l.seed = o.seed;
    l.epochs = o.epochs;
    l.steps = o.steps;
    l.threads = o.loader_threads;
    return l;
}

/// How a stage calls itself and its accuracy.
struct stage_names {
    std::string stage;
    std::string_view accuracy = "accuracy";
};

/// Means of what the steps of an epoch gave.
class epoch_means {
public:
    void add(loss_value const& v) {
        loss_ += static_cast<double>(v.loss);
        accuracy_ += static_cast<double>(v.accuracy);
        entropy_ += static_cast<double>(v.entropy);
        ++steps_;
    }
    /// The means since the last call.
    loss_value take() {
        auto const mean = [this](double sum) { return static_cast<float>(sum / static_cast<double>(steps_)); };
        loss_value const v{mean(loss_), mean(accuracy_), mean(entropy_)};
        *this = {};
        return v;
    }

private:
    double loss_ = 0, accuracy_ = 0, entropy_ = 0;
    std::int64_t steps_ = 0;
};

/// What a stage does with a batch, whose images lie on the device: forward, loss and backward on the model, giving the loss.
using batch_gradients = std::function<loss_value(view<float const> images, image_batch const&)>;
/// Accuracy of the online probe since the last call, or -1.
using probe_reader = std::function<float()>;
/// How held-out images are judged.
using evaluator = std::function<evaluation(image_set const&)>;

template <class D, precision P, class Optimizer>
training_history train_loop(basic_model<D, P>& model, image_set const& set, Optimizer const& optimizer,
                            train_options const& o, stage_names names, int views, batch_gradients const& gradients,
                            probe_reader const& probe = {}, evaluator const& judge = {}) {
    if (!o.stage.empty()) names.stage = o.stage;
    auto const begin = std::chrono::steady_clock::now();
    device_views<D> to_device(model.device(), set, o.augment);
    loader_options from_host = loader_of(o, set, views);
    from_host.draw_only = to_device.draw_only();
    loader batches{set, from_host};
    std::int64_t const per_epoch = batches.steps_per_epoch();
    std::int64_t const total = batches.steps();
    auto const warmup = static_cast<std::int64_t>(o.warmup_epochs * static_cast<float>(per_epoch));
    warmup_cosine const rate{o.learning_rate, warmup, total};
    optimizer_state<D, P, Optimizer> state(model, optimizer);
    progress_meter meter(o.progress, names.stage, total, names.accuracy);

    training_history history;
    epoch_means means;
    while (auto const batch = batches.next()) {
        float const learning_rate = rate(batch.step);  // refuses a bad schedule before anything has changed
        loss_value const v = gradients(to_device(batch), batch);
        if (!std::isfinite(v.loss)) {
            std::string const where = model.find_non_finite();
            throw error(
                {names.stage, ", step ", batch.step}, "a finite loss", v.loss,
                {(where.empty() ? "every op of the forward pass is finite: look at the loss"
                                : "the first value that is no number comes from " + where),
                 "; lower the learning rate",
                 (o.checkpoint.empty() || history.points.empty() ? ""
                                                                 : ", the last epoch is kept in " + o.checkpoint)});
        }
        state.update(learning_rate);
        meter.step(v, batch.count * views);
        means.add(v);
        std::int64_t const done = batch.step + 1;
        if (done % per_epoch != 0 && done != total) continue;

        std::int64_t const epoch = (done + per_epoch - 1) / per_epoch;
        bool const validates = !o.validation.empty() && (done == total || epoch % std::max(1, o.validate_every) == 0);
        history_point point{.epoch = static_cast<double>(done) / static_cast<double>(per_epoch),
                            .step = done,
                            .training = means.take(),
                            .probe_accuracy = probe ? probe() : -1.0F};
        if (validates) {
            evaluation const found = judge ? judge(o.validation) : evaluate(model, o.validation);
            point.validation_top1 = static_cast<float>(found.top1);
        }
        history.points.push_back(point);
        if (!o.checkpoint.empty()) model.save(o.checkpoint);
    }
    history.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return history;
}

}  // namespace detail

/// Supervised training of a classifier on the labeled images of a set, from the weights it has.
template <class D, precision P, class Optimizer, class Loss = cross_entropy>
training_history train_supervised(basic_model<D, P>& model, image_set const& labeled, Optimizer const& optimizer,
                                  train_options const& options, Loss const& loss = {}) {
    auto& device = model.device();
    device_batch<std::int32_t, D> labels(device);
    auto const gradients = [&](view<float const> images, image_batch const& batch) {
        output_views const outputs = model.forward(images);
        loss_value const v = loss(device, outputs, targets{.labels = labels(batch.labels)}, model.output_gradients());
        if (std::isfinite(v.loss)) model.backward(model.output_gradients());
        return v;
    };
    return detail::train_loop(model, labeled, optimizer, options, {"supervised"}, 1, gradients);
}

/// Takes what matches by name from a pretrained model (its encoder and the head layers up to the classifier's tap),
/// then trains the whole network on the labeled images (SimCLRv2 section 2, "fine-tuning from a middle layer").
template <class D, precision P, class OtherDevice, precision Other, class Optimizer, class Loss = cross_entropy>
training_history fine_tune(basic_model<D, P>& model, basic_model<OtherDevice, Other> const& pretrained,
                           image_set const& labeled, Optimizer const& optimizer, train_options options, Loss const& loss = {}) {
    require_images(labeled);  // before any weight has changed
    model.load_matching(pretrained);
    if (options.stage.empty()) options.stage = "fine-tune";
    return train_supervised(model, labeled, optimizer, options, loss);
}

}  // namespace tempera
