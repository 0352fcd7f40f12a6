// SPDX-License-Identifier: Apache-2.0
#pragma once
// training_step: forward, loss, backward and update on a batch in device memory. On the cpu each step's loss is known when it
// ends; a device with steps of its own (gpu: captured_step) goes on without the host, which asks for the mean of many.

#include <string>
#include <utility>

#include <tempera/core/finite.hpp>
#include <tempera/device/process_group.hpp>
#include <tempera/pipeline/loss_means.hpp>

namespace tempera {

/// Model: basic_model. State: optimizer_state of the model. Model and state must outlive the step. Where the device is one of
/// several processes, gradients are those of the whole batch, as the loss should be (loss/whole_batch.hpp).
template <class Model, class Loss, class State, class Device = typename Model::device_type>
class training_step {
public:
    /// Steps after which take() should be called at the latest, to learn whether the loss is still a number.
    static constexpr int longest_unread = 1;

    training_step(Model& model, Loss loss, State& optimizer)
        : model_(&model), loss_(std::move(loss)), optimizer_(&optimizer) {}

    /// A loss that is no number changes no weight. `weight`: by how much the loss counts in the means.
    void operator()(view<float const> input, targets const& target, float learning_rate, float weight = 1) {
        input_ = input;
        output_views const outputs = model_->forward(input);
        loss_value const value = loss_(model_->device(), outputs, target, model_->output_gradients());
        means_.add(value, static_cast<double>(weight));
        if (!is_finite(value.loss)) return;
        model_->backward(model_->output_gradients());
        processes_of(model_->device()).all_reduce_sum(model_->device(), model_->gradients().view());
        optimizer_->update(learning_rate);
    }

    /// Means over the steps since the last call.
    loss_value take() { return means_.take(); }

    /// Where a loss comes from that take() gave and that is no number, and what helps.
    std::string origin(int) {
        auto& device = model_->device();
        if (!processes_of(device).everywhere(device, all_finite(device, input_.size(), input_.data)))
            return "the model's input holds such values already: look at train_options.view, or at the encoder before "
                   "it";
        std::string const where = model_->find_non_finite();
        return (where.empty() ? "every op of the forward pass is finite: look at the loss"
                              : "the first value that is no number comes from " + where) +
               "; lower the learning rate";
    }

private:
    Model* model_;
    Loss loss_;
    State* optimizer_;
    view<float const> input_{};
    loss_means means_;
};

template <class Model, class Loss, class State, class Device>
requires requires { typename Device::template steps<Model, Loss, State>; }
class training_step<Model, Loss, State, Device> : public Device::template steps<Model, Loss, State> {
public:
    using Device::template steps<Model, Loss, State>::steps;

    static constexpr int longest_unread = 64;

    /// Weights have moved on since, so no op can be named.
    std::string origin(int steps) {
        return (steps == 1 ? "it came with this step" : "it came within the last " + std::to_string(steps) + " steps") +
               std::string("; lower the learning rate");
    }
};

}  // namespace tempera
