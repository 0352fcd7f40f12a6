// SPDX-License-Identifier: Apache-2.0
#pragma once
// linear_evaluation: a linear classifier trained on the frozen encoder in inference form (SimCLR section 2.3; the
// reference's TF1 form: moving statistics, nothing but the classifier changes).

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>

#include <tempera/pipeline/linear_probe.hpp>
#include <tempera/pipeline/train.hpp>

namespace tempera {

struct linear_evaluation_result {
    training_history history;
    evaluation test;  ///< on options.validation, when given
};

/// encoder: any model with an output "encoder".
template <class Model>
linear_evaluation_result linear_evaluation(Model& encoder, image_set const& labeled, sgd const& optimizer,
                                           train_options const& options) {
    using device_type = typename Model::device_type;
    auto& device = encoder.device();
    device_batch<float, device_type> images(device);
    device_batch<std::int32_t, device_type> labels(device);
    auto const begin = std::chrono::steady_clock::now();
    loader batches{labeled, detail::loader_of(options, labeled, 1)};
    warmup_cosine const rate{options.learning_rate, 0, batches.steps()};
    std::string const stage = options.stage.empty() ? "linear evaluation" : options.stage;
    progress_meter meter(options.progress, stage, batches.steps());

    linear_probe<device_type> probe(device, encoder.output("encoder").dims.c, labeled.classes(), encoder.options().max_batch, optimizer, options.seed);
    auto const test = [&] {
        evaluation e;
        std::int64_t top1 = 0, top5 = 0;
        detail::predict_all(encoder, options.validation, {}, [&](output_views const& outputs, image_batch const& batch) {
            view<float const> const logits = probe.predict(outputs["encoder"]);
            auto const l = labels(batch.labels);
            top1 += count_correct(device, logits.dims.n, logits.dims.c, logits.data, l.data, 1);
            top5 += count_correct(device, logits.dims.n, logits.dims.c, logits.data, l.data, std::min(5, logits.dims.c));
            e.images += logits.dims.n;
        });
        e.top1 = static_cast<double>(top1) / e.images;
        e.top5 = static_cast<double>(top5) / e.images;
        return e;
    };

    linear_evaluation_result out;
    while (auto const batch = batches.next()) {
        output_views const outputs = encoder.predict(images(batch.images));
        loss_value const v = probe.train(outputs["encoder"], labels(batch.labels), rate(batch.step));
        if (!std::isfinite(v.loss))
            throw error(stage + ", step " + std::to_string(batch.step), "a finite loss", std::to_string(v.loss),
                        "lower the learning rate");
        meter.step(v, batch.count);
        std::int64_t const done = batch.step + 1, per_epoch = batches.steps_per_epoch();
        bool const last = done == batches.steps();
        if (done % per_epoch != 0 && !last) continue;
        history_point point{.epoch = static_cast<double>(done) / static_cast<double>(per_epoch), .step = done, .training = v};
        if (!options.validation.empty() && (last || (done / per_epoch) % std::max(1, options.validate_every) == 0)) {
            out.test = test();
            point.validation_top1 = static_cast<float>(out.test.top1);
        }
        out.history.points.push_back(point);
    }
    out.history.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return out;
}

}  // namespace tempera
