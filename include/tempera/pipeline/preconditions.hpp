// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a stage can know to be wrong before it trains, said before any weight has changed.

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <type_traits>

#include <tempera/core/finite.hpp>
#include <tempera/data/augmentation.hpp>
#include <tempera/data/image_set.hpp>
#include <tempera/data/loader.hpp>
#include <tempera/loss/cross_entropy.hpp>
#include <tempera/pipeline/train_options.hpp>
#include <tempera/runtime/basic_model.hpp>

namespace tempera::detail {

/// Channels of a model's last output: what evaluate takes for logits.
template <class D, precision P>
int classes_of(basic_model<D, P> const& model) {
    return model.outputs().last().dims.c;
}

/// Throws error unless one image at least has a label, and all labels are below `classes`.
inline void require_labels(char const* where, image_set const& set, int classes) {
    bool any = false;
    for (int i = 0; i < set.size(); ++i) {
        any = any || set.label(i) != no_label;
        if (set.label(i) >= classes)
            throw error(where, {"labels from -1 (none) to ", classes - 1}, {set.label(i), " at image ", i},
                        "check the labels and the number of classes");
    }
    if (!any) throw error(where, "labeled images", "none with a label", "pass a set with labels");
}

/// Throws error where a validation set does not fit a network's input, or the classes that judge it.
inline void require_validation(train_options const& o, shape input, int classes) {
    if (o.validate_every < 1)
        throw error("train_options.validate_every", "at least 1 epoch", o.validate_every, "leave it at 1");
    if (o.validation.empty()) return;
    check(o.validation_augment, o.validation.image_shape());
    shape const found = augmented_shape(o.validation_augment, o.validation.image_shape());
    if (!(found == input))
        throw error("train_options.validation", {"images of ", text_of(input)}, text_of(found),
                    "set .validation_augment to center_crop, which resizes");
    require_labels("train_options.validation", o.validation, classes);
}

/// Throws error where options cannot be, or images do not fit the model that sees them, so many views of each.
template <class D, precision P>
void require_training(char const* stage, basic_model<D, P> const& model, image_set const& set, train_options const& o,
                      int views) {
    require_images(set);
    if (!is_finite(o.learning_rate) || o.learning_rate < 0)
        throw error({stage, ", train_options.learning_rate"}, "a finite number of at least 0", o.learning_rate,
                    "set the peak of the schedule");
    check(o.augment, set.image_shape());
    shape const found = augmented_shape(o.augment, set.image_shape());
    if (!(found == model.plan().input()))
        throw error({stage, ", images"}, {"images of ", text_of(model.plan().input()), " after .augment"},
                    text_of(found),
                    "set .augment to one that resizes: simclr_augmentation, crop_and_flip, center_crop");
    int const batch = std::min(o.batch, set.size());
    if (batch * views > model.options().max_batch)
        throw error({stage, ", model_options.max_batch"},
                    {"at least ", batch * views, ", ", views, " views of each of ", batch, " images"},
                    model.options().max_batch, "raise it, or lower train_options.batch");
    auto const folder = std::filesystem::path(o.checkpoint).parent_path();
    if (!folder.empty() && !std::filesystem::is_directory(folder))
        throw error({stage, ", train_options.checkpoint"}, "a file in a folder that is there", o.checkpoint,
                    {"make the folder ", folder.string()});
    if (o.resume && o.checkpoint.empty())
        throw error({stage, ", train_options.resume"}, "a checkpoint to resume from", "none",
                    "name the file in .checkpoint");
}

/// Throws error for a network without the output that probes read.
template <class D, precision P>
void require_encoder(char const* stage, basic_model<D, P> const& model, char const* advice) {
    for (auto const& o : model.outputs())
        if (o.name == "encoder") return;
    throw error(stage, "an output \"encoder\"", "a network without one", advice);
}

/// All of it for a classifier that a loss trains on labels.
template <class D, precision P, class Loss>
void require_supervision(char const* stage, basic_model<D, P> const& model, image_set const& labeled,
                         train_options const& o, Loss const&) {
    require_training(stage, model, labeled, o, 1);
    require_validation(o, model.plan().input(), classes_of(model));
    if constexpr (std::is_same_v<Loss, cross_entropy>) require_labels(stage, labeled, classes_of(model));
}

}  // namespace tempera::detail
