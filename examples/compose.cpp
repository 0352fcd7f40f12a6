// SPDX-License-Identifier: Apache-2.0
// A new architecture as a plain function, with loops, an if and a struct for its numbers. The compiler runs it, proves
// its shapes and counts what it costs, before the program exists.
#include <cstdio>
#include <tempera/tempera.hpp>
using namespace tempera;

/// Dense connections: every block sees all that came before it; every second stage is gated by a squeeze-excite.
struct dense_tower {
    int stages = 3, blocks = 4, growth = 12;

    constexpr value operator()(value x) const {
        x = conv{.filters = 2 * growth}(x);
        for (int stage = 0; stage < stages; ++stage) {
            scope const level(x, "stage", stage);  // names in checkpoints and messages: stage0.conv1.weight
            for (int block = 0; block < blocks; ++block)
                x = concat(x, conv{.filters = growth}(relu(batch_norm{}(x))));
            if (stage % 2 == 1) x = squeeze_excite{.ratio = 0.25F}(x);
            if (stage + 1 < stages) x = average_pool{}(conv{.filters = x.shape().channels / 2, .kernel = 1}(x));
        }
        return dense{.units = 10}(global_average_pool(relu(batch_norm{}(x))));
    }
};

inline constexpr shape image{32, 32, 3};
inline constexpr dense_tower small{};
inline constexpr dense_tower large{.blocks = 8, .growth = 16};

// Budgets, checked by the compiler. x + conv{.filters = 13}(x) somewhere above would not compile either.
static_assert(plan_of<small, image>.parameters < 100'000);
static_assert(plan_of<large, image>.multiply_adds < 8 * plan_of<small, image>.multiply_adds);
static_assert(training_bytes(plan_of<small, image>, {.batch = 64}) < 200'000'000, "training must fit into 200 MB");

int main() {
    auto const print = [](char const* name, plan_view const& p) {
        std::printf("%s: %lld parameters, %.1f million multiply-adds an image, %.0f MB to train with batches of 64\n",
                    name, static_cast<long long>(p.parameters), 1e-6 * static_cast<double>(p.multiply_adds),
                    1e-6 * static_cast<double>(training_bytes(p, {.batch = 64})));
    };
    print("small", plan_of<small, image>);
    print("large", plan_of<large, image>);

    cpu device;
    model<small, image> m{device, {.max_batch = 8}};
    std::vector<float> const pixels(static_cast<std::size_t>(8 * image.size()), 0.5F);
    view<float const> const logits = m.predict({pixels.data(), {8, 32, 32, 3}}).last();
    std::printf("a batch of 8 gives %d x %d logits; the first weight is called %s\n", logits.dims.n, logits.dims.c,
                m.manifest().front().name.text().data());
}
