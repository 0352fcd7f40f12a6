// SPDX-License-Identifier: Apache-2.0
#pragma once
// The experiment: pretraining once, then every row of the tables for a draw of labels.

#include <memory>
#include <string>
#include <vector>

#include <tempera/data/image_set.hpp>
#include <tempera/pipeline/evaluate.hpp>
#include <tempera/pipeline/train_options.hpp>
#include <tempera/runtime/dynamic_model.hpp>

#include "settings.hpp"

namespace demo {

/// The demo runs on the CPU or, where it is built with tempera::cuda, on a GPU.
template <class Device, tempera::precision P = tempera::precision::float32>
using network = tempera::dynamic_model<Device, P>;

/// One trained row: accuracy on the set it was judged on, and how it got there.
template <class Device, tempera::precision P = tempera::precision::float32>
struct outcome {
    row which = row::scratch;
    double top1 = 0;
    tempera::training_history history;
    std::unique_ptr<network<Device, P>> model;  ///< null for linear evaluation
};

/// What a row is trained on and judged by.
struct task {
    tempera::image_set labeled;
    tempera::image_set everything;  ///< all training images; those outside the draw have no label
    tempera::image_set judged;
    std::size_t fraction = 0;
    std::uint64_t seed = 1;
    tempera::image_set curve{};  ///< a small set for accuracy curves; empty: none
    std::string label{};         ///< of progress lines
};

/// Defined for float32 and bfloat16.
template <class Device, tempera::precision P = tempera::precision::float32>
class experiment {
public:
    experiment(Device& device, settings const& s, tempera::progress_sink progress);

    settings const& chosen() const { return settings_; }
    network<Device, P>& pretrained() { return *pretrained_; }

    /// Stage 1, without labels. The labels of the set feed the online probe only.
    tempera::training_history pretrain(tempera::image_set const& images);
    /// Features "encoder" of images, by the pretrained or an untrained encoder.
    tempera::embeddings features(tempera::image_set const& images, bool trained);
    /// Stages 2 and 3, one row. Student rows need the teacher.
    outcome<Device, P> run(row r, task const& t, float learning_rate, network<Device, P>* teacher);

    std::int64_t parameters(row r) const;
    /// 10^12 floating point operations of everything that main() does with these settings.
    double tflop(int training_images, int test_images) const;
    /// Operations per second in pretraining on this machine, from a few steps.
    double measured_rate(tempera::image_set const& images);

private:
    tempera::train_options options(row r, task const& t, float learning_rate) const;
    std::unique_ptr<network<Device, P>> make_classifier(row r, std::uint64_t seed) const;
    double operations(row r) const;

    Device& device_;
    settings settings_;
    tempera::progress_sink progress_;
    std::unique_ptr<network<Device, P>> pretrained_;
};

}  // namespace demo
