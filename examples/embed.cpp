// SPDX-License-Identifier: Apache-2.0
// A checkpoint as a search engine: pretrain for a moment and save; then, as another program would, load the encoder
// alone, embed images and print what lies nearest to a few new ones. Command: embed [epochs]
#include <cstdio>
#include <cstdlib>
#include <tempera/tempera.hpp>
using namespace tempera;

inline constexpr shape image{28, 28, 1};
inline constexpr auto encoder = resnet<resnet_config{.depth = 10, .base_filters = 8, .stages = 3, .stem = stem::small}>;
inline constexpr auto pretrained = simclr(encoder, projection_head<projection_config{.layers = 2, .out = 32}>);
inline constexpr auto encoder_alone = [](value x) { return outputs(output{"encoder", named("encoder", encoder)(x)}); };

void make_checkpoint(char const* path, image_set const& images, int epochs) {
    cpu device;
    model<pretrained, image> m{device, {.max_batch = 256}};
    pretrain(m, unlabeled(images), nt_xent{.temperature = 0.2F}, sgd{},
             {.epochs = epochs,
              .batch = 128,
              .learning_rate = 0.2F,
              .augment = simclr_augmentation{.blur = 0, .area_min = 0.2F},
              .progress = terminal_progress(stderr)});
    m.save(path);
}

int main(int count, char** arguments) {
    char const* const path = "encoder.safetensors";
    auto const [train, test] = fashion_mnist("examples/data");
    make_checkpoint(path, train, count > 1 ? std::atoi(arguments[1]) : 5);

    cpu device;
    model<encoder_alone, image> m{device};
    load_report const report = m.load_matching(path);
    std::printf("%zu tensors loaded, %zu of the head left in the file\n", report.matched.size(), report.unused.size());

    image_set const queries = balanced_count(test, 10, 1);
    auto const nearest = nearest_neighbours(embed(m, train, "encoder"), embed(m, queries, "encoder"), 5);
    int same = 0;
    for (int i = 0; i < queries.size(); ++i) {
        std::printf("%-10s:", queries.class_name(queries.label(i)).c_str());
        for (int const place : nearest[static_cast<std::size_t>(i)]) {
            std::printf(" %s", train.class_name(train.label(place)).c_str());
            same += train.label(place) == queries.label(i);
        }
        std::printf("\n");
    }
    std::printf("%d of 50 neighbours are of the same class, which the encoder never saw\n", same);
}
