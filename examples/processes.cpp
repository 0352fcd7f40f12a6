// SPDX-License-Identifier: Apache-2.0
// Several processes train one model, on one machine or several, as one process with the whole batch does: each takes a part of
// every batch; batch norm, losses and gradients are over all of it.
// Command: mpirun -n 2 processes [epochs]
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <tempera/mpi.hpp>
#include <tempera/tempera.hpp>
using namespace tempera;

inline constexpr shape image{28, 28, 1};
inline constexpr auto encoder =
    resnet<resnet_config{.depth = 10, .base_filters = 16, .stages = 3, .stem = stem::small, .selective_kernel = true}>;
inline constexpr auto contrastive = simclr(encoder, projection_head<projection_config{.layers = 3, .out = 64}>);

void run(mpi_communicator& world, int epochs) {
    cpu device{.threads = world.share(available_threads()), .processes = world};
    auto const [train, test] = fashion_mnist("examples/data");

    int const batch = 256;  // in all processes together
    model<contrastive, image> m{device, {.max_batch = 2 * batch / world.size()}};
    training_history const history =
        pretrain(m, train, nt_xent{.temperature = 0.2F}, lars{},
                 {.epochs = epochs,
                  .batch = batch,
                  .learning_rate = 4.0F,
                  .warmup_epochs = 0.5F,
                  .augment = simclr_augmentation{.strength = 0.75F, .blur = 0, .area_min = 0.2F},
                  .progress = terminal_progress(stderr)});  // the first process shows it

    auto const found = linear_evaluation(m, train, sgd{}, {.epochs = 2, .learning_rate = 0.1F, .validation = test});
    if (world.rank() > 0) return;
    std::printf("%d processes of %d threads: loss %.3f after %.1f s; linear evaluation %.1f %%\n", world.size(),
                device.thread_count(), static_cast<double>(history.last().training.loss), history.seconds,
                100 * found.test.top1);
}

int main(int count, char** arguments) {
    mpi_communicator world;
    try {
        run(world, count > 1 ? std::atoi(arguments[1]) : 5);
    } catch (std::exception const& e) {
        world.abort(e.what());  // the others may wait for this process
    }
}
