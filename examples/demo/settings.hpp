// SPDX-License-Identifier: Apache-2.0
#pragma once
// What the demo trains: networks, lengths, augmentation. The learning rates stand in learning_rates.hpp.

#include <array>
#include <cstdint>

#include <tempera/data/augmentation.hpp>
#include <tempera/nn.hpp>

namespace demo {

/// The lines of the two tables.
enum class row { scratch, tap0, tap1, linear, student_labels, student_labeled, student_both, student_all };
inline constexpr std::array<row, 8> all_rows{row::scratch,        row::tap0,            row::tap1,         row::linear,
                                             row::student_labels, row::student_labeled, row::student_both, row::student_all};

inline constexpr char const* name_of(row r) {
    switch (r) {
        case row::scratch: return "Supervised from scratch";
        case row::tap0: return "Fine-tuned from tap 0";
        case row::tap1: return "Fine-tuned from tap 1";
        case row::linear: return "Linear evaluation";
        case row::student_labels: return "Label only";
        case row::student_labeled: return "Label + distillation loss (on labeled set)";
        case row::student_both: return "Label + distillation loss (on labeled+unlabeled sets)";
        case row::student_all: return "Distillation loss (on labeled+unlabeled sets)";
    }
    return "";
}
inline constexpr bool is_student(row r) { return r >= row::student_labels; }
inline constexpr bool sees_all_images(row r) { return r == row::student_both || r == row::student_all; }

/// One label fraction: 0 is 1 %, 1 is 10 %.
struct label_fraction {
    int labels;
    int batch;
    int steps;  ///< updates of every row that sees labeled images only
    char const* name;
};

struct settings {
    int base_filters = 16;
    int pretrain_epochs = 14;
    int batch = 256;
    float pretrain_rate = 0.5F;
    float temperature = 0.2F;
    int distill_epochs = 3;
    int distill_batch = 64;  ///< many small updates: epochs are few
    float alpha = 0.8F;  ///< weight of the distillation term beside labels
    std::array<label_fraction, 2> fractions{{{80, 80, 100, "1 %"}, {800, 128, 160, "10 %"}}};
    int draws = 3;
    std::uint64_t seed = 1;

    tempera::resnet_network encoder() const {
        return {{.depth = 10, .base_filters = base_filters, .stages = 3, .stem = tempera::stem::small, .selective_kernel = true}};
    }
    tempera::resnet_network student_encoder() const {
        return {{.depth = 10, .base_filters = base_filters / 2, .stages = 3, .stem = tempera::stem::small}};
    }
    tempera::projection_network head() const { return {{.layers = 3, .out = 64}}; }

    tempera::augmentation view_augmentation() const {
        return {.crop = {.rule = tempera::crop_rule::tensorflow, .area_min = 0.2F},
                .flip = 0.5F,
                .jitter = {.probability = 0.8F, .brightness = 0.6F, .contrast = 0.6F}};
    }
    tempera::augmentation label_augmentation() const { return tempera::crop_and_flip{.area_min = 0.5F}; }
};

/// --long: the prototype's widths and lengths.
inline settings long_settings() {
    settings s;
    s.base_filters = 32;
    s.pretrain_epochs = 60;
    s.distill_epochs = 12;
    s.fractions = {{{80, 80, 240, "1 %"}, {800, 160, 300, "10 %"}}};
    return s;
}

}  // namespace demo
