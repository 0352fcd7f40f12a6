// SPDX-License-Identifier: Apache-2.0
#pragma once
// pretrain: contrastive pretraining (SimCLRv2 section 2). Two augmented views of every image pass the network in one
// batch; the loss compares the rows of its last output. Beside it an online linear probe on the output "encoder"
// shows how linearly separable the features are; no gradient passes from it.

#include <algorithm>
#include <cstdint>
#include <memory>

#include <tempera/loss/nt_xent.hpp>
#include <tempera/pipeline/linear_probe.hpp>
#include <tempera/pipeline/train.hpp>

namespace tempera {

struct probe_options {
    bool enabled = true;  ///< needs labels; without any in the set there is no probe
    float learning_rate = 0.1F;
};

/// The model's max_batch must be at least twice options.batch. Labels are read by the probe only.
template <class D, precision P, class Loss, class Optimizer>
training_history pretrain(basic_model<D, P>& model, image_set const& images, Loss const& loss, Optimizer const& optimizer,
                          train_options const& options, probe_options const& probing = {}) {
    auto& device = model.device();
    device_batch<std::int32_t, D> labels(device);

    bool labeled = false;
    for (std::int32_t const l : images.labels()) labeled = labeled || l != no_label;
    std::unique_ptr<linear_probe<D>> probe;
    double correct = 0;
    std::int64_t counted = 0;

    auto const gradients = [&](view<float const> views, image_batch const& batch) {
        output_views const outputs = model.forward(views);
        loss_value const v = loss(device, outputs, targets{}, model.output_gradients());
        if (!std::isfinite(v.loss)) return v;
        auto const known = std::count_if(batch.labels.data, batch.labels.data + batch.labels.size(),
                                         [](std::int32_t l) { return l != no_label; });
        if (labeled && probing.enabled && known > 0) {
            view<float const> const features = outputs["encoder"];
            if (probe == nullptr)
                probe = std::make_unique<linear_probe<D>>(device, features.dims.c, images.classes(),
                                                                    model.options().max_batch);
            loss_value const seen = probe->train(features, labels(batch.labels), probing.learning_rate);
            correct += static_cast<double>(seen.accuracy) * static_cast<double>(known);
            counted += known;
        }
        model.backward(model.output_gradients());
        return v;
    };
    auto const probe_accuracy = [&] {
        float const mean = counted > 0 ? static_cast<float>(correct / static_cast<double>(counted)) : -1.0F;
        correct = 0;
        counted = 0;
        return mean;
    };
    return detail::train_loop(model, images, optimizer, options, {"pretrain", "contrastive accuracy"}, 2, gradients,
                              probe_accuracy);
}

}  // namespace tempera
