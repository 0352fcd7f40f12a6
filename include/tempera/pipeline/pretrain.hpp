// SPDX-License-Identifier: Apache-2.0
#pragma once
// pretrain: contrastive pretraining (SimCLRv2 section 2). Two augmented views of every image pass the network in one
// batch; the loss compares the rows of its last output. Beside it an online linear probe on the output "encoder"
// shows how linearly separable the features are; no gradient passes from it.

#include <cstdint>
#include <optional>
#include <string>

#include <tempera/loss/nt_xent.hpp>
#include <tempera/pipeline/online_probe.hpp>
#include <tempera/pipeline/train.hpp>

namespace tempera {

struct probe_options {
    bool enabled = true;  ///< needs labels; without any in the set there is no probe
    float learning_rate = 0.1F;
};

/// The model's max_batch must be at least twice options.batch. Labels are for the probe, which also judges
/// options.validation (without a probe there can be none), and for losses that ask for them: nt_xent does not. A stage that
/// is resumed begins with a new probe. Throws error, before any weight has changed, for options, images, outputs or a checkpoint's
/// folder that do not fit; on the way where the loss is no finite number: an earlier checkpoint stays.
template <class D, precision P, Loss<D> L, Optimizer<D> O>
training_history pretrain(basic_model<D, P>& model, image_set const& images, L const& loss, O const& optimizer,
                          train_options const& options, probe_options const& probing = {}) {
    std::string const stage = detail::stage_name(options, "pretrain");
    detail::require_training(stage, model, images, options, 2);
    detail::require_trained(stage, model);
    bool const probed = probing.enabled && images.labeled();
    if (!probed && !options.validation.empty())
        throw error(stage, "labels for the probe that judges options.validation", "no probe",
                    "label the images, or leave .validation empty");
    detail::require_validation(options, images, model.plan().input(), images.classes());
    std::optional<online_probe<D>> probe;
    if (probed) {
        detail::require_encoder(stage, model,
                                "name one so for the online probe, or pass probe_options{.enabled = false}");
        probe.emplace(model.device(), model.output("encoder").dims.c, images.classes(), model.options().max_batch,
                      probing.learning_rate);
    }
    device_batch<std::int32_t, D> labels(model.device());
    view<float const> features;  // in the same place, also where a graph makes them
    auto const contrast = detail::loss_of(stage, model, loss, 2);
    if (!options.view && !distorts(options.augment) && !model.draws())
        throw error({stage, ", train_options.augment"}, "views of an image that differ",
                    "an augmentation that changes nothing",
                    "set simclr_augmentation{}, or .view to a function of your own");

    detail::stage_work<D> work{
        .loss =
            [&](D& device, output_views const& outputs, targets const& target, gradient_views const& gradients) {
                if (probe) features = outputs["encoder"];
                return contrast(device, outputs, target, gradients);
            },
        .place =
            [&](view<float const> views, image_batch const& batch) {
                return detail::step_input{views, {.labels = labels(batch.labels)}};
            }};
    if (probe) {
        work.beside = [&](image_batch const& batch) { probe->train(features, batch.labels); };
        work.probe_accuracy = [&] { return probe->accuracy(); };
        work.judge = [&](image_set const& held_out) {
            return probe->evaluate(model, held_out, options.validation_augment);
        };
    }
    return detail::train_loop(model, images, optimizer, options, {stage, "contrastive accuracy"}, 2, work);
}

}  // namespace tempera
