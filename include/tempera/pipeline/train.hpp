// SPDX-License-Identifier: Apache-2.0
#pragma once
// train: the loop that the stages share: batches in, one update each, a history out. And supervised training on it.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include <tempera/data/loader.hpp>
#include <tempera/device/process_group.hpp>
#include <tempera/loss/cross_entropy.hpp>
#include <tempera/loss/loss_concept.hpp>
#include <tempera/loss/whole_batch.hpp>
#include <tempera/pipeline/device_batch.hpp>
#include <tempera/pipeline/device_views.hpp>
#include <tempera/pipeline/evaluate.hpp>
#include <tempera/pipeline/loss_means.hpp>
#include <tempera/pipeline/optimizer_state.hpp>
#include <tempera/pipeline/planned_steps.hpp>
#include <tempera/pipeline/preconditions.hpp>
#include <tempera/pipeline/resumption.hpp>
#include <tempera/pipeline/same_weights.hpp>
#include <tempera/pipeline/train_options.hpp>
#include <tempera/pipeline/training_step.hpp>

namespace tempera {

namespace detail {

/// How a stage calls itself and its accuracy.
struct stage_names {
    std::string stage;
    std::string_view accuracy = "accuracy";
};

/// What a batch is trained on, in device memory. A graph of the step belongs to it: the same few places in all batches.
struct step_input {
    view<float const> input;
    targets target{};
};

/// What a stage makes of batches whose images lie on the device.
template <class D>
struct stage_work {
    using loss_function = std::function<loss_value(D&, output_views const&, targets const&, gradient_views const&)>;

    loss_function loss;
    std::function<step_input(view<float const> images, image_batch const&)> place;
    std::function<void(image_batch const&)> beside{};              ///< after a step, on the outputs that it left
    std::function<float()> probe_accuracy{};                       ///< of the online probe since the last call, or -1
    std::function<evaluation(image_set const& held_out)> judge{};  ///< empty: the model's own classes
};

/// The loss of a stage on a model, over the batch of all processes, of so many views. What it does not write of the gradients is
/// zero. Throws error where it reads an output that takes no gradient.
template <class D, precision P, Loss<D> L>
typename stage_work<D>::loss_function loss_of(std::string const& stage, basic_model<D, P> const& model, L const& loss,
                                              int views) {
    for (std::size_t i = 0; i < model.outputs().size(); ++i) {
        if (reads_output(loss, model.outputs(), i) && !model.takes_gradient(i))
            throw error({stage, ": loss"}, "to read outputs that take gradients",
                        {"it reads \"", model.outputs()[i].name, "\", which takes none"},
                        "name the output in model_options::loss_outputs");
    }
    return [all = whole_batch{loss, views}](D& device, output_views const& outputs, targets const& target,
                                            gradient_views const& gradients) {
        for (std::size_t i = 0; i < gradients.size(); ++i) {
            view<float> const g = gradients[i].values;
            if (g.data != nullptr) fill(device, g.size(), 0.0F, g.data);
        }
        return all(device, outputs, target, gradients);
    };
}

/// The host asks for a loss at the end of an epoch, for progress, and after a number of steps that the device has; on the
/// cpu after each.
template <class D, precision P, Optimizer<D> O>
training_history train_loop(basic_model<D, P>& model, image_set const& set, O const& optimizer, train_options const& o,
                            stage_names const& names, int views, stage_work<D> const& work) {
    auto const begin = std::chrono::steady_clock::now();
    optimizer_state<D, P, O> state(model, optimizer);
    training_history history;
    auto const processes = processes_of(model.device());
    bool const first = processes.rank() == 0;  // the one that tells and saves
    loader_options from_host = loader_of(o, set, views, processes.rank(), processes.size());
    std::string const settings = settings_of(o, set, views);
    auto const together = [&](auto const& f) { processes.together(model.device(), names.stage, f); };
    together([&] {
        if (o.resume) from_host.first_step = load_resumption(o.checkpoint, settings, model, state, history);
    });
    require_same(names.stage, model, settings + exchanges_of(o), "the same weights and options in all processes",
                 "give models one seed or checkpoint, and stages the same options");
    device_views<D> to_device(model.device(), set, o.augment, o.view != nullptr);
    from_host.draw_only = to_device.draw_only();
    loader batches{set, from_host};
    std::int64_t const per_epoch = batches.steps_per_epoch();
    std::int64_t const total = batches.steps();
    training_step<basic_model<D, P>, typename stage_work<D>::loss_function, optimizer_state<D, P, O>> step(
        model, work.loss, state);
    progress_meter meter(first ? o.progress : progress_sink{}, names.stage, total, names.accuracy,
                         from_host.first_step);
    auto const not_a_number = [&](std::int64_t at, char const* expected, phrase const& found,
                                  std::string const& origin) {
        bool const kept = !o.checkpoint.empty() && !history.points.empty();
        return error({names.stage, ", step ", at}, expected, found,
                     {origin, kept ? ", the last epoch is kept in " + o.checkpoint : ""});
    };

    auto const next_batch = [&] {
        image_batch batch;
        together([&] { batch = batches.next(); });
        return batch;
    };

    loss_means means;
    int unread = 0;  // steps whose loss the host has not asked for
    while (auto const batch = next_batch()) {
        float const rate = rate_of(names.stage, o, set, batch.step, total);
        auto const [input, target] = work.place(to_device(batch), batch);
        step(input, target, rate);
        if (work.beside) work.beside(batch);
        ++unread;
        std::int64_t const done = batch.step + 1;
        bool const epoch_ends = done % per_epoch == 0 || done == total;
        if (!epoch_ends && unread < step.longest_unread && !meter.due()) continue;

        loss_value const v = step.take();
        if (!is_finite(v.loss)) throw not_a_number(batch.step, "a finite loss", v.loss, step.origin(unread));
        together([&] { meter.step(v, unread * batch.count * processes.size() * views, unread); });
        means.add(v, unread);
        unread = 0;
        if (!epoch_ends) continue;

        require_same(names.stage, model, "", "the same weights in all processes after an epoch",
                     "give losses, optimizers and views the same settings in all of them");
        // The loss of these weights would be the next step's: what is kept, or given back, has been looked at.
        if ((!o.checkpoint.empty() || done == total) && !model.finite_on(input))
            throw not_a_number(batch.step, "finite outputs after the update", "others",
                               "the updates before this made them; lower the learning rate");
        std::int64_t const epoch = (done + per_epoch - 1) / per_epoch;
        bool const validates = !o.validation.empty() && (done == total || epoch % o.validate_every == 0);
        history_point point{.epoch = static_cast<double>(done) / static_cast<double>(per_epoch),
                            .step = done,
                            .training = means.take(),
                            .probe_accuracy = work.probe_accuracy ? work.probe_accuracy() : -1.0F};
        if (validates) {
            evaluation const found =
                work.judge ? work.judge(o.validation) : evaluate(model, o.validation, o.validation_augment, processes);
            point.validation_top1 = static_cast<float>(found.top1);
        }
        history.points.push_back(point);
        if (o.checkpoint.empty()) continue;
        together([&] {
            if (first && o.resume)
                save_resumption(o.checkpoint, settings, model, state, history);  // it can make the other
            if (first) model.save(o.checkpoint);
        });
    }
    together([&] {
        if (first && from_host.first_step == total) model.save(o.checkpoint);  // all was done, but perhaps not this
    });
    history.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return history;
}

/// Trains a classifier whose options and images have been looked at.
template <class D, precision P, Optimizer<D> O, Loss<D> L>
training_history train_classifier(basic_model<D, P>& model, image_set const& labeled, O const& optimizer,
                                  train_options const& options, std::string const& stage, L const& loss) {
    device_batch<std::int32_t, D> labels(model.device());
    return train_loop(
        model, labeled, optimizer, options, {stage}, 1,
        {.loss = loss_of(stage, model, loss, 1), .place = [&](view<float const> images, image_batch const& batch) {
             return step_input{images, {.labels = labels(batch.labels)}};
         }});
}

}  // namespace detail

/// Supervised training of a classifier, on its last output, on the labeled images of a set, from the weights it has.
/// Throws error as pretrain does, for labels that are none of its classes, and with cross_entropy for a set of other classes
/// than the logits have (with_labels gives it as many).
template <class D, precision P, Optimizer<D> O, Loss<D> L = cross_entropy>
training_history train_supervised(basic_model<D, P>& model, image_set const& labeled, O const& optimizer,
                                  train_options const& options, L const& loss = {}) {
    std::string const stage = detail::stage_name(options, "supervised");
    detail::require_supervision(stage, model, labeled, options, loss);
    return detail::train_classifier(model, labeled, optimizer, options, stage, loss);
}

/// Takes what matches by name from a pretrained model (its encoder and the head layers up to the classifier's tap),
/// then trains the whole network on the labeled images (SimCLRv2 section 2, "fine-tuning from a middle layer"). Throws error
/// as train_supervised does, and where nothing matches or a tensor of one name has two shapes.
template <class D, precision P, class OtherDevice, precision Other, Optimizer<D> O, Loss<D> L = cross_entropy>
training_history fine_tune(basic_model<D, P>& model, basic_model<OtherDevice, Other> const& pretrained,
                           image_set const& labeled, O const& optimizer, train_options const& options,
                           L const& loss = {}) {
    std::string const stage = detail::stage_name(options, "fine-tune");
    detail::require_supervision(stage, model, labeled, options, loss);
    load_report loaded = model.load_matching(pretrained);
    training_history history = detail::train_classifier(model, labeled, optimizer, options, stage, loss);
    history.loaded = std::move(loaded);
    return history;
}

}  // namespace tempera
