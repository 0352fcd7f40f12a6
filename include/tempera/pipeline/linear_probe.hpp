// SPDX-License-Identifier: Apache-2.0
#pragma once
// linear_probe: a linear classifier of its own on fixed features; nothing flows back into what made them.

#include <cstdint>

#include <tempera/loss/cross_entropy.hpp>
#include <tempera/nn/dense.hpp>
#include <tempera/optim/sgd.hpp>
#include <tempera/pipeline/evaluate.hpp>
#include <tempera/pipeline/optimizer_state.hpp>
#include <tempera/runtime/dynamic_model.hpp>

namespace tempera {

template <class Device>
class linear_probe {
public:
    linear_probe(Device& device, int features, int classes, int max_batch, sgd const& optimizer = {}, std::uint64_t seed = 1)
        : model_(device, dense{.units = classes, .classifies = true}, shape{1, 1, features},
                 model_options{.max_batch = max_batch, .seed = seed}),
          state_(model_, optimizer) {}

    /// Loss and gradients on rows of features {n,1,1,features} with labels. A batch without labels has no gradient.
    loss_value gradients(view<float const> features, view<std::int32_t const> labels) {
        output_views const outputs = model_.forward(features);
        loss_value const v =
            cross_entropy{}(model_.device(), outputs, targets{.labels = labels}, model_.output_gradients());
        model_.backward(model_.output_gradients());
        return v;
    }
    /// The same with an update.
    loss_value train(view<float const> features, view<std::int32_t const> labels, float learning_rate) {
        loss_value const v = gradients(features, labels);
        state_.update(learning_rate);
        return v;
    }

    /// Logits {n,1,1,classes}.
    view<float const> predict(view<float const> features) { return model_.predict(features).last(); }

    /// Accuracy on the features "encoder" of a model.
    template <precision P>
    evaluation evaluate(basic_model<Device, P>& encoder, image_set const& set, augmentation const& augment = {}) {
        return detail::count_all(encoder, set, augment,
                                 [this](output_views const& outputs) { return predict(outputs["encoder"]); });
    }

    dynamic_model<Device>& model() { return model_; }

private:
    dynamic_model<Device> model_;
    optimizer_state<Device, precision::float32, sgd> state_;
};

}  // namespace tempera
