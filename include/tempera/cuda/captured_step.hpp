// SPDX-License-Identifier: Apache-2.0
#pragma once
// captured_step: a whole training step (forward, loss, backward, update) as one CUDA graph.
//
//   | the step                        | for one batch's memory                        | host                    |
//   | the first                       | runs as it is; memory is allocated            | waits for the loss      |
//   | the second                      | is captured, then launched                    | waits for nothing       |
//   | every other                     | is launched, with its own numbers             | waits for nothing       |
//
// Learning rate, number of the training pass (random masks) and of the update lie in device memory, and the losses add
// up there until somebody asks (running_step.hpp). The weights have the bits of steps that are not captured.

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include <tempera/core/finite.hpp>
#include <tempera/core/loss_value.hpp>
#include <tempera/cuda/loss_scale.hpp>
#include <tempera/cuda/losses.hpp>
#include <tempera/cuda/recordings.hpp>

namespace tempera {

/// Model: basic_model<gpu, precision>. Loss: one whose value is a weighted sum of tempera's losses; others run, but are not
/// captured. State: optimizer_state of the model. Model and state must outlive the step.
template <class Model, class Loss, class State>
class captured_step {
public:
    /// Gradients are scaled where `scaling` says so: unless told otherwise, in float16 only. A skipped update counts in
    /// the learning rate's schedule and in Adam's bias correction.
    captured_step(Model& model, Loss loss, State& optimizer,
                  std::optional<loss_scaling> const& scaling = usual_scaling())
        : model_(&model),
          loss_(std::move(loss)),
          optimizer_(&optimizer),
          numbers_(model.device(), 1),
          tally_(model.device(), 1),
          recordings_(model.device(), "training step") {
        clear_tally();
        if (scaling) scale_.emplace(model.device(), *scaling);
    }

    /// One step on device memory. A graph belongs to the memory of its batch: pass the same few views again and again, as
    /// double_buffer gives them. `weight`: by how much its loss counts in the means.
    void operator()(view<float const> images, targets const& target, float learning_rate, float weight = 1) {
        recording& r = recordings_.at({images, target});
        if (recordings_.wants_capture(r)) capture(r);
        if (r.graph) replay(r, learning_rate, weight);
        else run_uncaptured(r, learning_rate, weight);
        weights_ += static_cast<double>(weight);
    }

    /// Means over the steps since the last call, after waiting for them. Throws error where a label was out of range.
    loss_value take() {
        loss_tally sum = std::exchange(on_host_, {});
        double const weights = std::exchange(weights_, 0);
        if (std::exchange(replayed_, false)) {
            loss_tally const more = device().context.fetch(tally_.data());
            clear_tally();
            cuda_kernels::require_labels(more.bad, "captured_step", "labels from -1 (none) to below the classes");
            sum.loss += more.loss;
            sum.accuracy += more.accuracy;
            sum.entropy += more.entropy;
        }
        if (!(weights > 0)) return {};
        return {static_cast<float>(sum.loss / weights), static_cast<float>(sum.accuracy / weights),
                static_cast<float>(sum.entropy / weights)};
    }

    /// The loss scale and the steps that were skipped, after waiting for the device; scale 1 where nothing is scaled.
    scale_numbers scaling() const { return scale_ ? scale_->read() : scale_numbers{}; }

    /// Why steps are not captured; empty where they are. TEMPERA_VERBOSE=1 prints it.
    std::string const& refusal() const { return recordings_.refusal(); }
    /// Graphs at hand.
    int graphs() const { return recordings_.graphs(); }

private:
    /// Where a batch lies.
    struct batch_memory {
        view<float const> images;
        targets target;

        friend bool operator==(batch_memory const& a, batch_memory const& b) {
            return a.images.data == b.images.data && a.images.dims == b.images.dims &&
                   a.target.labels.data == b.target.labels.data && a.target.labels.dims == b.target.labels.dims &&
                   a.target.teacher_logits.data == b.target.teacher_logits.data &&
                   a.target.teacher_logits.dims == b.target.teacher_logits.dims;
        }
    };
    struct capture_numbers {
        std::uint32_t pass = 0;   ///< the model's training pass, when captured
        std::int64_t update = 0;  ///< the optimizer's
    };
    using recording = typename recordings<batch_memory, capture_numbers>::recording;

    static std::optional<loss_scaling> usual_scaling() {
        if (std::is_same_v<typename Model::element, half>) return loss_scaling{};
        return {};
    }
    gpu& device() const { return model_->device(); }
    void clear_tally() { cuda_kernels::store_value(device().context.stream(), loss_tally{}, tally_.data()); }

    loss_value run(batch_memory const& batch, float learning_rate) {
        output_views const outputs = model_->forward(batch.images);
        loss_value const value = loss_(device(), outputs, batch.target, model_->output_gradients());
        if (scale_) scale_->scale(model_->output_gradients());
        model_->backward(model_->output_gradients());
        if (scale_) scale_->check(model_->gradients().size(), model_->gradients().data());
        optimizer_->update(learning_rate);
        if (scale_) scale_->adjust();
        return value;
    }

    /// Runs f with the device's numbers set; never leaves them set.
    template <class F>
    void with_step(running_step step, F const& f) {
        struct cleared_at_end {
            running_step& of;
            ~cleared_at_end() { of = {}; }
        } const reset{device().context.step};
        if (scale_) step.scaling = scale_->memory();
        device().context.step = step;
        f();
    }

    void run_uncaptured(recording& r, float learning_rate, double weight) {
        recordings_.drop_graphs();  // memory that they point to may move
        bool const first = !std::exchange(compared_, true);
        loss_value value;
        with_step({.tally = first ? tally_.data() : nullptr}, [&] { value = run(r.place, learning_rate); });
        if (first) compare_with_tally(value);
        r.ran = true;
        on_host_.loss += weight * static_cast<double>(value.loss);
        on_host_.accuracy += weight * static_cast<double>(value.accuracy);
        on_host_.entropy += weight * static_cast<double>(value.entropy);
    }

    /// The tally must say what the loss says, or take() would be wrong in captured steps.
    void compare_with_tally(loss_value const& value) {
        double const told = static_cast<double>(value.loss), added = device().context.fetch(tally_.data()).loss;
        clear_tally();
        if (is_finite(value.loss) && is_finite(static_cast<float>(added)) &&
            std::abs(told - added) > 1e-4 * (1 + std::abs(told)))
            recordings_.refuse("the loss is not the weighted sum of tempera's losses that it calls");
    }

    void capture(recording& r) {
        auto const pass = model_->passes();
        auto const update = optimizer_->steps();
        with_step({.replay = numbers_.data(), .tally = tally_.data()},
                  [&] { recordings_.capture(r, [&] { run(r.place, 0); }); });
        r.numbers = {model_->passes(), update};
        model_->set_passes(pass);  // nothing has been done yet
        optimizer_->set_steps(update);
    }

    void replay(recording const& r, float learning_rate, float weight) {
        model_->set_passes(model_->passes() + 1);
        replay_numbers const numbers{.learning_rate = learning_rate,
                                     .changed_pass = model_->passes() ^ r.numbers.pass,
                                     .later_updates = optimizer_->steps() - r.numbers.update,
                                     .weight = weight};
        cuda_kernels::store_value(device().context.stream(), numbers, numbers_.data());
        r.graph->launch(device());
        optimizer_->set_steps(optimizer_->steps() + 1);
        model_->touch();
        replayed_ = true;
    }

    Model* model_;
    Loss loss_;
    State* optimizer_;
    buffer<replay_numbers> numbers_;
    buffer<loss_tally> tally_;
    std::optional<loss_scale> scale_;
    recordings<batch_memory, capture_numbers> recordings_;
    loss_tally on_host_;
    double weights_ = 0;
    bool replayed_ = false;
    bool compared_ = false;
};

}  // namespace tempera
