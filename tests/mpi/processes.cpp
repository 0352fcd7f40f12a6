// SPDX-License-Identifier: Apache-2.0
// Processes under MPI: exchange, training, and the end of all where one fails. mpirun -n 3 processes [--throw | --abort]
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <sched.h>

#include <tempera/mpi.hpp>
#include <tempera/tempera.hpp>

#include "../pipeline/tiny.hpp"
#include "../refusal.hpp"

using namespace tempera;

static_assert(Communicator<mpi_communicator, cpu>);

namespace {

int failures = 0;

void check(mpi_communicator const& world, bool good, char const* what) {
    if (good) return;
    std::printf("process %d of %d: %s\n", world.rank(), world.size(), what);
    ++failures;
}

/// All processes' copies of what each has, one after another.
std::vector<float> gathered(mpi_communicator& world, cpu& device, std::vector<float> const& mine) {
    auto const n = static_cast<int>(mine.size());
    std::vector<float> all(mine.size() * static_cast<std::size_t>(world.size()));
    world.all_gather(device, view<float const>{mine.data(), {n}}, view<float>{all.data(), {n * world.size()}});
    return all;
}

/// Whether each process has these bits.
bool same_everywhere(mpi_communicator& world, cpu& device, std::vector<float> const& mine) {
    auto const all = gathered(world, device, mine);
    for (std::size_t r = 0; r < static_cast<std::size_t>(world.size()); ++r)
        if (std::memcmp(&all[r * mine.size()], mine.data(), mine.size() * sizeof(float)) != 0) return false;
    return true;
}

void exchange(mpi_communicator& world) {
    cpu device{.threads = 1};
    int const size = world.size();
    for (int const n : {0, 1, 2, 5, 100'003}) {
        std::vector<float> x(static_cast<std::size_t>(n)), thirds(x.size());
        for (int i = 0; i < n; ++i) {
            x[static_cast<std::size_t>(i)] = static_cast<float>(i % 1000 + world.rank());
            thirds[static_cast<std::size_t>(i)] = static_cast<float>(i + 1) / static_cast<float>(3 + world.rank());
        }
        world.all_reduce_sum(device, view<float>{x.data(), {n}});
        for (int i = 0; i < n; ++i)
            if (x[static_cast<std::size_t>(i)] != static_cast<float>(size * (i % 1000) + size * (size - 1) / 2)) {
                check(world, false, "a sum is wrong");
                break;
            }
        world.all_reduce_sum(device, view<float>{thirds.data(), {n}});
        if (n > 0) check(world, same_everywhere(world, device, thirds), "sums have other bits elsewhere");
    }
    auto const ranks = gathered(world, device, {static_cast<float>(world.rank()), -1});
    for (int r = 0; r < size; ++r)
        check(world, ranks[static_cast<std::size_t>(2 * r)] == static_cast<float>(r), "not in order of rank");
    std::vector<float> x(4);
    auto const said = refusal([&] {
        world.all_gather(device, view<float const>{x.data(), {4}}, view<float>{x.data(), {1}});
    });
    check(world, says(said, {"mpi_communicator.all_gather: expected", "found 1"}), said.c_str());
}

/// A communicator of the program's own: each process alone in its own.
void own_communicator(mpi_communicator const& world) {
    MPI_Comm part = MPI_COMM_NULL;
    MPI_Comm_split(MPI_COMM_WORLD, world.rank(), 0, &part);
    {
        mpi_communicator const alone(part);
        check(world, alone.rank() == 0 && alone.size() == 1, "a part of one is not alone");
    }
    MPI_Comm_free(&part);
}

bool bind_to(int core) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    return sched_setaffinity(0, sizeof one, &one) == 0;
}

/// Binds this process to one core, the same for all or one for each, and asks for its share of eight threads.
void shares(mpi_communicator& world) {
    cpu device{.threads = 1, .processes = world};
    cpu_set_t before;
    CPU_ZERO(&before);
    check(world, sched_getaffinity(0, sizeof before, &before) == 0, "no affinity");
    // Where a container keeps these cores from the run, there is nothing to see.
    if (device.processes.everywhere(device, bind_to(world.rank())))
        check(world, mpi_communicator(MPI_COMM_WORLD).share(8) == 8, "a process with a core of its own shares it");
    if (device.processes.everywhere(device, bind_to(0)))
        check(world, mpi_communicator(MPI_COMM_WORLD).share(8) == std::max(1, 8 / world.size()),
              "processes on one core do not share it");
    check(world, world.share(1) == 1, "no thread is left");
    sched_setaffinity(0, sizeof before, &before);
}

void training(mpi_communicator& world) {
    cpu device{.threads = 1, .processes = world}, alone{.threads = 1};
    image_set const set = tiny::images(60), test = tiny::images(40, 2);
    train_options const o{.steps = 3, .batch = 12, .learning_rate = 0.05F, .augment = crop_and_flip{.area_min = 0.5F}};
    auto const trained = [&](cpu& on, evaluation& judged) {
        dynamic_model<cpu> pretrained(on, tiny::contrastive, tiny::image, {.max_batch = 24});
        pretrain(pretrained, set, nt_xent{.temperature = 0.5F}, lars{}, o);
        dynamic_model<cpu> m(on, tiny::tuned, tiny::image, {.max_batch = 24});
        fine_tune(m, pretrained, set, sgd{}, o);
        judged = evaluate(m, test, {}, on.processes);
        return m.host_parameters();
    };
    evaluation together, single;
    auto const ours = trained(device, together), theirs = trained(alone, single);
    double worst = 0;
    for (std::size_t i = 0; i < ours.size(); ++i)
        worst = std::max(worst, std::abs(static_cast<double>(ours[i]) - static_cast<double>(theirs[i])));
    check(world, worst < 5e-4, ("weights are off by " + std::to_string(worst)).c_str());
    check(world, same_everywhere(world, device, ours), "weights have other bits elsewhere");
    check(world, together.images == 40 && std::abs(together.top1 - single.top1) < 0.03, "another accuracy");
}

}  // namespace

int main(int count, char** arguments) {
    auto const wait_for_one_that_fails = [](mpi_communicator& world) {
        if (world.rank() == world.size() - 1) throw std::runtime_error("on purpose");
        cpu device{.threads = 1, .processes = world};
        device.processes.wait(device);
    };
    if (count > 1 && std::string_view(arguments[1]) == "--abort") {
        mpi_communicator world;
        try {
            wait_for_one_that_fails(world);
        } catch (std::exception const& e) {
            world.abort(e.what());
        }
    }
    if (count > 1) {
        try {
            mpi_communicator world;
            wait_for_one_that_fails(world);
        } catch (std::exception const& e) {
            std::printf("%s\n", e.what());
        }
        return 0;  // but all are ended before this
    }
    {
        mpi_communicator world;
        exchange(world);
        own_communicator(world);
        shares(world);
        training(world);
    }
    auto const said = refusal([] { mpi_communicator const again; });
    if (!says(said, {"mpi_communicator: expected MPI to be started once"})) {
        std::printf("%s\n", said.c_str());
        ++failures;
    }
    return failures > 0;
}
