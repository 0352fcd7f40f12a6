// SPDX-License-Identifier: Apache-2.0
#pragma once
// linear_evaluation: a linear classifier trained on the frozen encoder in inference form (SimCLR section 2.3; the
// reference's TF1 form: moving statistics, nothing but the classifier changes).

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <tempera/optim/sgd.hpp>
#include <tempera/pipeline/linear_probe.hpp>
#include <tempera/pipeline/train.hpp>
#include <tempera/runtime/repeated.hpp>

namespace tempera {

template <class Device>
struct linear_evaluation_result {
    training_history history;
    evaluation test;  ///< on options.validation, when given
    std::unique_ptr<linear_probe<Device>> probe;
};

/// encoder: any model with an output "encoder". Throws error as pretrain does, and for a set without labels.
template <class D, precision P, Optimizer<D> O = sgd>
linear_evaluation_result<D> linear_evaluation(basic_model<D, P>& encoder, image_set const& labeled, O const& optimizer,
                                              train_options const& options) {
    std::string const stage = detail::stage_name(options, "linear evaluation");
    detail::require_training(stage, encoder, labeled, options, 1);
    detail::require_validation(options, labeled, encoder.plan().input(), labeled.classes());
    detail::require_labels(stage, labeled, labeled.classes());
    detail::require_encoder(stage, encoder, "name the features so");
    auto& device = encoder.device();
    device_batch<std::int32_t, D> labels(device);
    linear_evaluation_result<D> out;
    out.probe = std::make_unique<linear_probe<D>>(device, encoder.output("encoder").dims.c, labeled.classes(),
                                                  encoder.options().max_batch, options.seed);
    repeated<std::pair<float const*, int>, D> encoding(device);
    view<float const> features;  // in the same place, also where a graph makes them
    out.history = detail::train_loop(
        out.probe->model(), labeled, optimizer, options, {stage}, 1,
        {.loss = detail::loss_of(stage, out.probe->model(), cross_entropy{}, 1),
         .place =
             [&](view<float const> images, image_batch const& batch) {
                 encoding({images.data, images.dims.n}, [&] { features = encoder.predict(images)["encoder"]; });
                 return detail::step_input{features, {.labels = labels(batch.labels)}};
             },
         .judge =
             [&](image_set const& held_out) {
                 return out.test =
                            out.probe->evaluate(encoder, held_out, options.validation_augment, processes_of(device));
             }});
    if (out.test.images == 0 && !options.validation.empty())  // resumed when all was done
        out.test = out.probe->evaluate(encoder, options.validation, options.validation_augment, processes_of(device));
    return out;
}

}  // namespace tempera
