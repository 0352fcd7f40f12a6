// SPDX-License-Identifier: Apache-2.0
#pragma once
// planned_steps: which batches a stage takes, and the learning rate that is planned for each.

#include <algorithm>
#include <cstdint>
#include <string>

#include <tempera/core/finite.hpp>
#include <tempera/data/loader.hpp>
#include <tempera/optim/learning_rate.hpp>
#include <tempera/optim/warmup_cosine.hpp>
#include <tempera/pipeline/train_options.hpp>

namespace tempera::detail {

/// The part of one of several processes.
inline loader_options loader_of(train_options const& o, image_set const& set, int views, int part, int parts) {
    loader_options l;
    l.part = part;
    l.parts = parts;
    l.batch = std::min(o.batch, set.size());
    l.views = views;
    l.augment = o.augment;
    l.view = o.view;
    l.seed = o.seed;
    l.epochs = o.epochs;
    l.steps = o.steps;
    l.threads = o.loader_threads;
    return l;
}

/// The learning rate of a step of so many. Throws error where the schedule cannot be.
inline float rate_of(std::string const& stage, train_options const& o, image_set const& set, std::int64_t step,
                     std::int64_t steps) {
    if (!o.schedule) {
        int const batch = std::min(o.batch, set.size());
        std::int64_t const warmup = warmup_steps(set.size(), static_cast<double>(o.warmup_epochs), batch);
        if (warmup < 0 || warmup >= steps)
            throw error({stage, ", train_options.warmup_epochs"},
                        {"from 0 to fewer than the stage's ", steps, " steps"},
                        {o.warmup_epochs, ", which is ", warmup, " steps"}, "shorten the warm-up, or train for longer");
        return warmup_cosine{o.learning_rate, warmup, steps}(step);
    }
    float const rate = o.schedule(step, steps);
    if (!is_finite(rate) || rate < 0)
        throw error({stage, ", train_options.schedule"}, "a finite rate of at least 0", {rate, " at step ", step},
                    "correct the schedule");
    return rate;
}

}  // namespace tempera::detail
