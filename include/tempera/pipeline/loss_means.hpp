// SPDX-License-Identifier: Apache-2.0
#pragma once
// loss_means: means of the losses of several steps.

#include <tempera/core/loss_value.hpp>

namespace tempera {

class loss_means {
public:
    void add(loss_value const& v, double weight = 1) {
        loss_ += weight * static_cast<double>(v.loss);
        accuracy_ += weight * static_cast<double>(v.accuracy);
        entropy_ += weight * static_cast<double>(v.entropy);
        weights_ += weight;
    }
    /// The means since the last call; zeros where nothing was added.
    loss_value take() {
        auto const mean = [this](double sum) { return weights_ > 0 ? static_cast<float>(sum / weights_) : 0.0F; };
        loss_value const v{mean(loss_), mean(accuracy_), mean(entropy_)};
        *this = {};
        return v;
    }

private:
    double loss_ = 0, accuracy_ = 0, entropy_ = 0, weights_ = 0;
};

}  // namespace tempera
