// SPDX-License-Identifier: Apache-2.0
#pragma once
// online_probe: a linear probe that is trained beside a network, on features that each step of it leaves in device memory.

#include <algorithm>
#include <cstdint>
#include <utility>

#include <tempera/data/image_set.hpp>
#include <tempera/device/process_group.hpp>
#include <tempera/loss/cross_entropy.hpp>
#include <tempera/loss/whole_batch.hpp>
#include <tempera/optim/sgd.hpp>
#include <tempera/pipeline/device_batch.hpp>
#include <tempera/pipeline/linear_probe.hpp>
#include <tempera/pipeline/optimizer_state.hpp>
#include <tempera/pipeline/training_step.hpp>

namespace tempera {

template <class Device>
class online_probe {
public:
    online_probe(Device& device, int features, int classes, int max_batch, float learning_rate)
        : probe_(device, features, classes, max_batch),
          state_(probe_.model(), sgd{}),
          step_(probe_.model(), {cross_entropy{}, 1}, state_),
          to_device_(device),
          learning_rate_(learning_rate) {}

    /// One update from rows of features {n,1,1,features} and their labels in host memory, if there is any among them.
    void train(view<float const> features, view<std::int32_t const> labels) {
        auto known = static_cast<float>(
            std::count_if(labels.data, labels.data + labels.size(), [](std::int32_t l) { return l != no_label; }));
        Device& device = probe_.model().device();
        known = processes_of(device).sum(device, known);
        if (!(known > 0)) return;
        step_(features, {.labels = to_device_(labels)}, learning_rate_, known);
        trained_ = true;
    }

    /// Of all labeled rows since the last call, each before its update; -1: there were none.
    float accuracy() {
        float const mean = step_.take().accuracy;
        return std::exchange(trained_, false) ? mean : -1.0F;
    }

    /// Of the probe as it is, on the features "encoder" of a model; the device's processes share the set.
    template <precision P>
    evaluation evaluate(basic_model<Device, P>& encoder, image_set const& set, augmentation const& augment) {
        return probe_.evaluate(encoder, set, augment, processes_of(encoder.device()));
    }

private:
    using state = optimizer_state<Device, precision::float32, sgd>;

    linear_probe<Device> probe_;
    state state_;
    training_step<basic_model<Device>, whole_batch<cross_entropy>, state> step_;
    device_batch<std::int32_t, Device> to_device_;
    float learning_rate_;
    bool trained_ = false;
};

}  // namespace tempera
