// SPDX-License-Identifier: Apache-2.0
#pragma once
// linear_probe: a linear classifier of its own on fixed features; nothing flows back into what made them.

#include <cstdint>

#include <tempera/nn/dense.hpp>
#include <tempera/pipeline/evaluate.hpp>
#include <tempera/runtime/dynamic_model.hpp>

namespace tempera {

template <class Device>
class linear_probe {
public:
    linear_probe(Device& device, int features, int classes, int max_batch, std::uint64_t seed = 1)
        : model_(device, dense{.units = classes, .classifies = true}, shape{1, 1, features},
                 model_options{.max_batch = max_batch, .seed = seed}) {}

    /// Logits {n,1,1,classes}.
    view<float const> predict(view<float const> features) { return model_.predict(features).last(); }

    /// Accuracy on the features "encoder" of a model, as tempera::evaluate.
    template <precision P>
    evaluation evaluate(basic_model<Device, P>& encoder, image_set const& set, augmentation const& augment = {},
                        process_group<Device> const& sharing = {}) {
        return detail::count_all(encoder, set, augment, sharing,
                                 [this](output_views const& outputs) { return predict(outputs["encoder"]); });
    }

    dynamic_model<Device>& model() { return model_; }

private:
    dynamic_model<Device> model_;
};

}  // namespace tempera
