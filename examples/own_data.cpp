// SPDX-License-Identifier: Apache-2.0
// Images of your own, from bytes to answers: an image_set without labels, pretraining that goes on where it was stopped, a
// classifier from few labels, and a predictor for single images, used by two threads. Command: own_data [epochs]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <tempera/tempera.hpp>
using namespace tempera;

inline constexpr shape image{28, 28, 1};
inline constexpr auto encoder = resnet<resnet_config{.depth = 10, .base_filters = 8, .stages = 3, .stem = stem::small}>;
inline constexpr auto head = projection_head<projection_config{.layers = 2, .out = 32}>;
inline constexpr auto contrastive = simclr(encoder, head);
inline constexpr auto tuned = classifier(encoder, head, classifier_config{.tap = 1, .classes = 2});

int main(int count, char** arguments) {
    // height x width x channels bytes an image, one image after another: here those of a file of MNIST's form
    image_set const images(image, read_idx("examples/data/t10k-images-idx3-ubyte").values);
    // somebody looked at the first 100 and wrote down which are footwear (classes 5, 7 and 9 of the file)
    std::vector<std::int32_t> truth, known(static_cast<std::size_t>(images.size()), no_label);
    for (int const c : read_idx("examples/data/t10k-labels-idx1-ubyte").values) truth.push_back(c == 5 || c == 7 || c == 9);
    std::copy_n(truth.begin(), 100, known.begin());

    cpu device;
    model<contrastive, image> pretrained{device, {.max_batch = 256}};
    pretrain(pretrained, images, nt_xent{.temperature = 0.2F}, sgd{},
             {.epochs = count > 1 ? std::atoi(arguments[1]) : 10,
              .batch = 128,
              .learning_rate = 0.2F,
              .augment = simclr_augmentation{.blur = 0, .area_min = 0.2F},
              .progress = terminal_progress(stderr),
              .checkpoint = "own_data.safetensors",  // stop with control-c, start again: it goes on
              .resume = true});

    model<tuned, image> m{device};
    std::vector<int> looked_at(100);
    for (int i = 0; i < 100; ++i) looked_at[static_cast<std::size_t>(i)] = i;
    auto const history =
        fine_tune(m, pretrained, images.with_labels(known, 2).subset(looked_at), sgd{},
                  {.epochs = 30, .learning_rate = 0.05F, .augment = crop_and_flip{.area_min = 0.5F}});
    std::printf("%zu tensors came from pretraining, %zu are new\n", history.loaded.matched.size(), history.loaded.fresh.size());

    predictor<> const answers(m, 1);  // batch norm folded into the weights, which all threads share
    int right[2] = {0, 0};
    auto const ask = [&](int part) {
        auto session = answers.make_session();  // each thread has its own
        std::vector<float> x(static_cast<std::size_t>(image.size()));
        for (int i = 100 + part; i < images.size(); i += 2) {
            auto const* const bytes = images.image(i).data;
            std::transform(bytes, bytes + x.size(), x.begin(), [](int byte) { return static_cast<float>(byte) / 255; });
            float const* const logits = session.predict({x.data(), {1, 28, 28, 1}}).last().data;
            right[part] += (logits[1] > logits[0]) == (truth[static_cast<std::size_t>(i)] == 1);
        }
    };
    std::thread other(ask, 1);
    ask(0);
    other.join();
    std::printf("footwear told from the rest: %.1f %% of the others\n", 100.0 * (right[0] + right[1]) / (images.size() - 100));
}
