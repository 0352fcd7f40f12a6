// SPDX-License-Identifier: Apache-2.0
// A loss of one's own beside cross_entropy: the confidence penalty (Pereyra et al. 2017) adds sum_c p_c log p_c, so
// that a network taught by few labels stays unsure. A loss is any copyable class with this call operator.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <tempera/tempera.hpp>
using namespace tempera;

namespace mine {
struct confidence_penalty {
    /// Minus the mean entropy of the predictions; writes d loss / d logits = p_c (log p_c + entropy) / n.
    loss_value operator()(cpu&, output_views const& outputs, targets const&, gradient_views const& gradients) const {
        view<float const> const logits = outputs.last();
        int const n = logits.dims.n, classes = logits.dims.c;
        float mean = 0;
        for (int i = 0; i < n; ++i) {
            float const* const row = logits.data + i * classes;
            float const top = *std::max_element(row, row + classes);
            float sum = 0, entropy = 0;
            for (int c = 0; c < classes; ++c) sum += std::exp(row[c] - top);
            auto const log_p = [&](int c) { return row[c] - top - std::log(sum); };
            for (int c = 0; c < classes; ++c) entropy -= std::exp(log_p(c)) * log_p(c);
            mean += entropy / static_cast<float>(n);
            if (gradients.size() == 0) continue;  // the value alone is asked for
            float* const d = gradients.last().data + i * classes;
            for (int c = 0; c < classes; ++c) d[c] = std::exp(log_p(c)) * (log_p(c) + entropy) / static_cast<float>(n);
        }
        return {.loss = -mean, .accuracy = 0, .entropy = mean};
    }
};
static_assert(Loss<confidence_penalty, cpu>);
}  // namespace mine

inline constexpr auto encoder = resnet<resnet_config{.depth = 10, .base_filters = 8, .stages = 3, .stem = stem::small}>;
inline constexpr auto network = classifier(encoder, classifier_config{.classes = 10});

int main() {
    cpu device;
    auto const [train, test] = fashion_mnist("examples/data");
    image_set const labeled = balanced_fraction(train, 0.05, 1), judged = balanced_count(test, 500, 1);
    auto const train_with = [&](char const* name, auto const& loss) {
        model<network, shape{28, 28, 1}> m{device, {.max_batch = 50}};
        train_supervised(m, labeled, sgd{}, {.epochs = 15, .batch = 50, .learning_rate = 0.2F}, loss);
        embeddings const logits = embed(m, judged, "classifier");
        output_views::entry const entry{"classifier", logits.view_of()};
        float const entropy = mine::confidence_penalty{}(device, output_views({&entry, 1}), {}, {}).entropy;
        std::printf("%-26s top-1 %.1f %%, mean entropy %.2f nats\n", name, 100 * evaluate(m, judged).top1, entropy);
    };
    train_with("cross entropy", cross_entropy{});
    train_with("with the penalty", sum(cross_entropy{}, weighted(0.3F, mine::confidence_penalty{})));
}
