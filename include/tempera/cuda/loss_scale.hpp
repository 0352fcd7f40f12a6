// SPDX-License-Identifier: Apache-2.0
#pragma once
// loss_scale: dynamic loss scaling (Micikevicius et al. 2018), for float16, whose smallest number is 6e-8. Gradients are
// computed of scale times the loss; the update divides by it. Where a gradient is infinite or NaN the update is skipped and
// the scale halved; after an interval of good steps it is doubled. All of it on the device: the host is asked nothing.

#include <cmath>
#include <cstdint>

#include <tempera/core/loss_value.hpp>
#include <tempera/cuda/losses.hpp>

namespace tempera {

struct loss_scaling {
    float initial = 65536;       ///< a power of two from 1 to 2^24, so that scaling rounds nothing
    int growth_interval = 2000;  ///< good steps until the scale is doubled
};

class loss_scale {
public:
    /// Throws error for an initial scale that is no power of two from 1 to 2^24, and for an interval below 1.
    loss_scale(gpu& device, loss_scaling const& options) : device_(&device), options_(options), memory_(device, 1) {
        int exponent = 0;
        bool const power = std::frexp(options.initial, &exponent) == 0.5F;
        if (!power || exponent < 1 || exponent > 25)
            throw error("loss_scaling.initial", "a power of two from 1 to 16777216", options.initial,
                        "the usual value is 65536");
        if (options.growth_interval < 1)
            throw error("loss_scaling.growth_interval", "at least 1 step", options.growth_interval,
                        "the usual value is 2000");
        cuda_kernels::store_value(device.context.stream(), scale_numbers{.scale = options.initial}, memory_.data());
    }

    scale_numbers const* memory() const { return memory_.data(); }

    /// Between a loss and the backward pass.
    void scale(gradient_views const& outputs) {
        for (auto const& output : outputs)
            if (output.values.data != nullptr)
                cuda_kernels::scale_by(device_->context.stream(), output.values.size(), memory_.data(),
                                       output.values.data);
    }
    /// Between the backward pass and the update.
    void check(std::int64_t n, float const* gradients) {
        using namespace cuda_kernels;
        float* const scratch = device_->context.float_scratch(loss_floats(finite_blocks));
        find_not_finite(device_->context.stream(), n, gradients, scratch);
        note_not_finite(device_->context.stream(), reinterpret_cast<loss_sums const*>(scratch), memory_.data());
    }
    /// After the update.
    void adjust() { cuda_kernels::adjust_scale(device_->context.stream(), options_.growth_interval, memory_.data()); }

    /// Waits for the device.
    scale_numbers read() const { return device_->context.fetch(memory_.data()); }

private:
    gpu* device_;
    loss_scaling options_;
    buffer<scale_numbers> memory_;
};

}  // namespace tempera
