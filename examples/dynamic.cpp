// SPDX-License-Identifier: Apache-2.0
// Depth and width from the command line: the same network functions run at run time, and what would be a compile error
// becomes an exception with the same words. Command: dynamic [depth] [width]
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <tempera/tempera.hpp>
using namespace tempera;

int main(int count, char** arguments) try {
    int const depth = count > 1 ? std::atoi(arguments[1]) : 10;
    int const width = count > 2 ? std::atoi(arguments[2]) : 1;
    resnet_network const encoder{{.depth = depth, .width = width, .base_filters = 8}};

    cpu device;
    dynamic_model<> m{device, classifier(encoder, {.classes = 10}), shape{28, 28, 1}, {.max_batch = 64}};
    std::printf("ResNet-%d %dx: %lld parameters, %.1f million multiply-adds an image\n", depth, width,
                static_cast<long long>(m.plan().parameters), 1e-6 * static_cast<double>(m.plan().multiply_adds));

    auto const [train, test] = fashion_mnist("examples/data");
    image_set const labeled = balanced_fraction(train, 0.1, 1);
    train_options const options{.epochs = 10, .batch = 64, .learning_rate = 0.2F};
    training_history const history = train_supervised(m, labeled, sgd{}, options);
    std::printf("ten epochs on %d labeled images: loss %.2f to %.2f, top-1 on new ones %.1f %%\n", labeled.size(),
                history.points.front().training.loss, history.last().training.loss,
                100 * evaluate(m, balanced_count(test, 500, 1)).top1);
} catch (std::exception const& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
}
