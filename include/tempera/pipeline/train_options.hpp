// SPDX-License-Identifier: Apache-2.0
#pragma once
// train_options: what every stage of the pipeline is told, and the history that it gives back.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <tempera/core/loss_value.hpp>
#include <tempera/data/augmentation.hpp>
#include <tempera/data/image_set.hpp>
#include <tempera/data/loader.hpp>
#include <tempera/pipeline/progress.hpp>
#include <tempera/runtime/checkpoint.hpp>

namespace tempera {

struct train_options {
    int epochs = 10;
    std::int64_t steps = 0;      ///< updates in all; 0: as many as the epochs have whole batches (total_steps: the paper's)
    int batch = 256;             ///< images per update, of all processes; larger than the set: the whole set
    float learning_rate = 0.1F;  ///< peak of warmup_cosine, as it is (scale_linear and scale_sqrt make it from a batch)
    float warmup_epochs = 0;     ///< in steps: warmup_steps(images, warmup_epochs, batch)
    /// The learning rate of a step, counted from 0, of so many; empty: warmup_cosine, as the two settings above say.
    std::function<float(std::int64_t step, std::int64_t steps)> schedule{};
    augmentation augment{};
    /// Makes a view in place of `augment`, which then only gives its size; called from the loader's threads.
    custom_view view{};
    std::uint64_t seed = 1;  ///< of the order and the augmentation
    int loader_threads = 1;  ///< 0: the calling thread prepares each batch
    progress_sink progress{};
    image_set validation{};             ///< evaluated every `validate_every` epochs and at the end, when not empty
    augmentation validation_augment{};  ///< what its images go through: center_crop resizes
    int validate_every = 1;
    std::string checkpoint{};  ///< a file to save to after every epoch; empty: none
    /// Go on where an interrupted run with these options stopped; it must have had this one too. Another set, batch, length,
    /// rate or seed is refused; that augmentation, loss and optimizer are the same is the caller's to see to.
    bool resume = false;
    std::string stage{};  ///< name in progress and errors; empty: the function's
};

/// One epoch of a stage.
struct history_point {
    double epoch = 0;            ///< epochs done
    std::int64_t step = 0;       ///< updates done
    loss_value training{};       ///< means over the epoch
    float probe_accuracy = -1;   ///< pretraining's online linear probe; -1: none
    float validation_top1 = -1;  ///< -1: not evaluated
};

struct training_history {
    std::vector<history_point> points;
    double seconds = 0;    ///< of this run
    load_report loaded{};  ///< fine_tune: what came from the pretrained model, and what did not

    /// Throws error where there is no epoch.
    history_point const& last() const {
        if (points.empty()) throw error("training_history::last", "an epoch at least", "none", "train first");
        return points.back();
    }
};

}  // namespace tempera
