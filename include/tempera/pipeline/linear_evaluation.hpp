// SPDX-License-Identifier: Apache-2.0
#pragma once
// linear_evaluation: a linear classifier trained on the frozen encoder in inference form (SimCLR section 2.3; the
// reference's TF1 form: moving statistics, nothing but the classifier changes).

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <string>

#include <tempera/pipeline/linear_probe.hpp>
#include <tempera/pipeline/train.hpp>

namespace tempera {

template <class Device>
struct linear_evaluation_result {
    training_history history;
    evaluation test;  ///< on options.validation, when given
    std::unique_ptr<linear_probe<Device>> probe;
};

/// encoder: any model with an output "encoder".
template <class D, precision P>
linear_evaluation_result<D> linear_evaluation(basic_model<D, P>& encoder, image_set const& labeled, sgd const& optimizer,
                                              train_options const& options) {
    auto& device = encoder.device();
    device_batch<float, D> images(device);
    device_batch<std::int32_t, D> labels(device);
    auto const begin = std::chrono::steady_clock::now();
    loader batches{labeled, detail::loader_of(options, labeled, 1)};
    std::int64_t const per_epoch = batches.steps_per_epoch();
    auto const warmup = static_cast<std::int64_t>(options.warmup_epochs * static_cast<float>(per_epoch));
    warmup_cosine const rate{options.learning_rate, warmup, batches.steps()};
    std::string const stage = options.stage.empty() ? "linear evaluation" : options.stage;
    progress_meter meter(options.progress, stage, batches.steps());

    linear_evaluation_result<D> out;
    out.probe = std::make_unique<linear_probe<D>>(device, encoder.output("encoder").dims.c, labeled.classes(),
                                                  encoder.options().max_batch, optimizer, options.seed);
    detail::epoch_means means;
    while (auto const batch = batches.next()) {
        output_views const outputs = encoder.predict(images(batch.images));
        loss_value const v = out.probe->train(outputs["encoder"], labels(batch.labels), rate(batch.step));
        if (!std::isfinite(v.loss))
            throw error({stage, ", step ", batch.step}, "a finite loss", v.loss, "lower the learning rate");
        meter.step(v, batch.count);
        means.add(v);
        std::int64_t const done = batch.step + 1;
        bool const last = done == batches.steps();
        if (done % per_epoch != 0 && !last) continue;
        history_point point{.epoch = static_cast<double>(done) / static_cast<double>(per_epoch), .step = done, .training = means.take()};
        if (!options.validation.empty() && (last || (done / per_epoch) % std::max(1, options.validate_every) == 0)) {
            out.test = out.probe->evaluate(encoder, options.validation);
            point.validation_top1 = static_cast<float>(out.test.top1);
        }
        out.history.points.push_back(point);
    }
    out.history.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return out;
}

}  // namespace tempera
