// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a stage can know to be wrong before it trains, said before any weight has changed.

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>
#include <type_traits>

#include <tempera/core/finite.hpp>
#include <tempera/data/augmentation.hpp>
#include <tempera/data/image_set.hpp>
#include <tempera/data/loader.hpp>
#include <tempera/device/process_group.hpp>
#include <tempera/loss/cross_entropy.hpp>
#include <tempera/pipeline/planned_steps.hpp>
#include <tempera/pipeline/train_options.hpp>
#include <tempera/runtime/basic_model.hpp>

namespace tempera::detail {

/// What a stage calls itself.
inline std::string stage_name(train_options const& o, char const* usual) { return o.stage.empty() ? usual : o.stage; }

/// Throws error unless all labels are below `classes`.
inline void require_classes(std::string const& where, image_set const& set, int classes) {
    for (int i = 0; i < set.size(); ++i)
        if (set.label(i) >= classes)
            throw error(where, {"labels from -1 (none) to ", classes - 1}, {set.label(i), " at image ", i},
                        "check the labels and the number of classes");
}
/// And one image at least has one.
inline void require_labels(std::string const& where, image_set const& set, int classes) {
    require_classes(where, set, classes);
    if (!set.labeled()) throw error(where, "labeled images", "none with a label", "pass a set with labels");
}

/// Throws error where a validation set does not fit a network's input, the classes that judge it, or the names that the set to
/// train on gives to as many: folders of which one lacks a class number them otherwise.
inline void require_validation(train_options const& o, image_set const& set, shape input, int classes) {
    if (o.validate_every < 1)
        throw error("train_options.validate_every", "at least 1 epoch", o.validate_every, "leave it at 1");
    if (o.validation.empty()) return;
    check(o.validation_augment, o.validation.image_shape());
    shape const found = augmented_shape(o.validation_augment, o.validation.image_shape());
    if (!(found == input))
        throw error("train_options.validation", {"images of ", text_of(input)}, text_of(found),
                    "set .validation_augment to center_crop, which resizes");
    if (o.validation.classes() != classes)
        throw error("train_options.validation", {"a set of ", classes, " classes"}, o.validation.classes(),
                    "bring its labels into the same numbering by with_labels");
    require_labels("train_options.validation", o.validation, classes);
    if (!set.named() || !o.validation.named() || set.classes() != classes) return;
    for (int c = 0; c < classes; ++c)
        if (set.class_name(c) != o.validation.class_name(c))
            throw error("train_options.validation", {"class ", c, " to be \"", set.class_name(c), "\""},
                        {"\"", o.validation.class_name(c), "\""},
                        "number both sets alike: image_folder_options::classes, or with_labels");
}

/// The same where the model's own classes judge it.
template <class D, precision P>
void require_validation(train_options const& o, image_set const& set, basic_model<D, P> const& model) {
    extents const last = model.outputs().last().dims;
    if (!o.validation.empty() && !last.sample().is_vector())
        throw error("train_options.validation", "a last output {1, 1, classes} that judges it", text_of(last.sample()),
                    "let the network's last output be a classifier's, or leave .validation empty");
    require_validation(o, set, model.plan().input(), last.c);
}

/// Throws error where options cannot be, or images do not fit the model that sees them, so many views of each.
template <class D, precision P>
void require_training(std::string const& stage, basic_model<D, P> const& model, image_set const& set,
                      train_options const& o, int views) {
    auto const processes = processes_of(model.device());
    loader_options const batches = loader_of(o, set, views, processes.rank(), processes.size());
    if (o.loader_threads < 0 || o.loader_threads > 256)
        throw error({stage, ", train_options.loader_threads"}, "0 to 256", o.loader_threads, "correct this option");
    check(batches, set, stage + ", train_options.");
    if (!o.schedule) rate_of(stage, o, set, 0, batches_in_all(batches, set));
    if (!is_finite(o.learning_rate) || o.learning_rate < 0)
        throw error({stage, ", train_options.learning_rate"}, "a finite number of at least 0", o.learning_rate,
                    "set the peak of the schedule");
    shape const found = augmented_shape(o.augment, set.image_shape());
    if (!(found == model.plan().input()))
        throw error({stage, ", images"}, {"images of ", text_of(model.plan().input()), " after .augment"},
                    text_of(found),
                    found.channels == model.plan().input().channels
                        ? "set .augment to one that resizes: simclr_augmentation, crop_and_flip, center_crop"
                        : "bring images of as many channels, or give the network their number");
    int const samples = batches.batch / batches.parts;
    if (samples * views > model.options().max_batch)
        throw error({stage, ", model_options.max_batch"},
                    {"at least ", samples * views, ", ", views, " views of each of ", samples, " images"},
                    model.options().max_batch, "raise it, or lower train_options.batch");
    if (o.resume && o.checkpoint.empty())
        throw error({stage, ", train_options.resume"}, "a checkpoint to resume from", "none",
                    "name the file in .checkpoint");
    processes.together(model.device(), stage, [&] {
        if (processes.rank() != 0 || o.checkpoint.empty()) return;
        std::error_code failure;                                                      // of a name that is none
        auto const place = std::filesystem::weakly_canonical(o.checkpoint, failure);  // behind a link
        auto const named = (failure ? std::filesystem::path(o.checkpoint) : place).parent_path();
        auto const folder = named.empty() ? std::filesystem::path(".") : named;
        if (!std::filesystem::is_directory(folder, failure))
            throw error({stage, ", train_options.checkpoint"}, "a file in a folder that is there", o.checkpoint,
                        {"make the folder ", folder.string()});
        if (::access(folder.c_str(), W_OK | X_OK) != 0)
            throw error({stage, ", train_options.checkpoint"}, "a folder that may be written to", folder.string(),
                        "name another folder, or change its permissions");
    });
}

/// Throws error for a model of which a stage would train nothing.
template <class D, precision P>
void require_trained(std::string const& stage, basic_model<D, P> const& model) {
    if (!model.trains())
        throw error({stage, ", model"}, "a parameter at least that is trained", "none: all of it is frozen",
                    "take what is to be trained out of model_options.frozen");
}

/// Throws error for a network without the output that probes read, vectors of features.
template <class D, precision P>
void require_encoder(std::string const& stage, basic_model<D, P> const& model, char const* advice) {
    for (auto const& o : model.outputs()) {
        if (o.name != "encoder") continue;
        shape const found = o.values.dims.sample();
        if (!found.is_vector()) throw error(stage, "an output \"encoder\" {1, 1, channels}", text_of(found), "pool it");
        return;
    }
    throw error(stage, "an output \"encoder\"", "a network without one", advice);
}

/// All of it for a classifier that a loss trains on labels.
template <class D, precision P, class Loss>
void require_supervision(std::string const& stage, basic_model<D, P> const& model, image_set const& labeled,
                         train_options const& o, Loss const& loss) {
    require_training(stage, model, labeled, o, 1);
    require_trained(stage, model);
    require_validation(o, labeled, model);
    if constexpr (std::is_same_v<Loss, cross_entropy>) {
        for (std::size_t i = 0; i < model.outputs().size(); ++i) {
            if (!loss.reads(model.outputs(), i)) continue;
            int const classes = model.outputs()[i].values.dims.c;
            require_labels(stage, labeled, classes);
            if (labeled.classes() != classes)
                throw error(stage, {"logits of the ", labeled.classes(), " classes of the set"}, classes,
                            "set classifier_config::classes, or bring labels into their numbering by with_labels");
        }
    }
}

}  // namespace tempera::detail
