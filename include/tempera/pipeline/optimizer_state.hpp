// SPDX-License-Identifier: Apache-2.0
#pragma once
// optimizer_state: an optimizer with its slots for one model.

#include <cstdint>
#include <span>
#include <vector>

#include <tempera/core/error.hpp>
#include <tempera/core/finite.hpp>
#include <tempera/device/memory.hpp>
#include <tempera/optim/ranges.hpp>
#include <tempera/runtime/basic_model.hpp>

namespace tempera {

template <class D, precision P, Optimizer<D> O>
class optimizer_state {
public:
    /// Throws error for settings out of range.
    optimizer_state(basic_model<D, P>& model, O const& optimizer)
        : model_(&model), optimizer_(optimizer), ranges_(optimizer.ranges(model.manifest())) {
        std::int64_t const n = model.plan().parameters;
        for (int i = 0; i < O::slots; ++i) {
            memory_.push_back(buffer<float>(model.device(), n));
            fill(model.device(), n, 0.0F, memory_.back().data());
            slots_.push_back(memory_.back().data());
        }
    }

    /// One update from the model's gradients; steps count from 0. Throws error, and changes nothing, for a rate that is no
    /// finite number.
    void update(float learning_rate) {
        if (!is_finite(learning_rate))
            throw error("optimizer_state.update", "a finite learning rate", learning_rate, "correct the schedule");
        optimizer_(model_->device(), learning_rate, step_++, std::span<update_range const>(ranges_),
                   model_->parameters().data(), model_->gradients().data(), std::span<float* const>(slots_));
        model_->touch();
    }

    /// Updates so far. Set them to resume, or after updates that a graph ran.
    std::int64_t steps() const { return step_; }
    void set_steps(std::int64_t n) { step_ = n; }

    /// One slot in host memory, an element for each parameter.
    std::vector<float> host_slot(int i) const { return model_->download(memory_[static_cast<std::size_t>(i)]); }
    void write_slot(int i, float const* host) { model_->upload(host, memory_[static_cast<std::size_t>(i)]); }

private:
    basic_model<D, P>* model_;
    O optimizer_;
    std::vector<update_range> ranges_;
    std::vector<buffer<float>> memory_;
    std::vector<float*> slots_;
    std::int64_t step_ = 0;
};

}  // namespace tempera
