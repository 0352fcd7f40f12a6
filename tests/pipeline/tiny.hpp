// SPDX-License-Identifier: Apache-2.0
#pragma once
// Networks and sets of images small enough to train in a moment: the middles of a few shipped images.

#include <string_view>
#include <vector>

#include <tempera/tempera.hpp>

#include "../bits.hpp"

#ifndef TEMPERA_EXAMPLE_DATA
#define TEMPERA_EXAMPLE_DATA "examples/data"
#endif

namespace tiny {

using namespace tempera;

inline constexpr shape image{12, 12, 1};
inline constexpr int classes = 10;

inline resnet_network const encoder{{.depth = 10, .base_filters = 4, .stages = 2, .stem = stem::small}};
inline projection_network const head{{.layers = 2, .out = 8}};
inline auto const contrastive = simclr(encoder, head);
inline auto const tuned = classifier(encoder, head, {.tap = 1, .classes = classes});
inline auto const student = classifier(
    resnet_network{{.depth = 10, .base_filters = 8, .stages = 1, .stem = stem::small}}, {.classes = classes});

/// A balanced draw of the shipped test images: every second pixel of their middle.
inline image_set images(int count, std::uint64_t seed = 1) {
    image_set const all = images_of_idx(read_idx(TEMPERA_EXAMPLE_DATA "/t10k-images-idx3-ubyte"),
                                        read_idx(TEMPERA_EXAMPLE_DATA "/t10k-labels-idx1-ubyte"), classes,
                                        fashion_mnist_classes(), "t10k");
    image_set const drawn = balanced_count(all, count, seed);
    std::vector<std::uint8_t> pixels;
    for (int i = 0; i < drawn.size(); ++i)
        for (int y = 0; y < image.height; ++y)
            for (int x = 0; x < image.width; ++x) pixels.push_back(drawn.image(i)[(2 * y + 2) * 28 + 2 * x + 2]);
    return {image, std::move(pixels), {drawn.labels().begin(), drawn.labels().end()}, classes};
}

/// Images as a network sees them without augmentation.
inline std::vector<float> seen(image_set const& set, int first, int count) {
    std::vector<float> x;
    for (int i = first; i < first + count; ++i)
        for (std::int64_t k = 0; k < image.size(); ++k) x.push_back(static_cast<float>(set.image(i)[k]) / 255.0F);
    return x;
}
inline view<float const> batch_of(std::vector<float> const& x) {
    return {x.data(),
            {static_cast<int>(static_cast<std::int64_t>(x.size()) / image.size()), image.height, image.width,
             image.channels}};
}

/// The values of one entry.
inline std::vector<float> values_of(basic_model<cpu> const& m, std::string_view name) {
    for (auto const& e : m.manifest()) {
        if (e.name.text() != name) continue;
        auto const block = is_statistic(e.role) ? m.host_statistics() : m.host_parameters();
        return {block.begin() + e.offset, block.begin() + e.offset + e.count};
    }
    return {};
}

}  // namespace tiny
