// SPDX-License-Identifier: Apache-2.0
// A program against tempera::mpi: one of several processes, or the only one.
#include <cstdio>

#include <tempera/cpu.hpp>
#include <tempera/mpi.hpp>

using namespace tempera;

int main() {
    mpi_communicator world;
    cpu device{.threads = 1, .processes = world};
    float const sum = device.processes.sum(device, 2);
    std::printf("%d processes, sum %g\n", world.size(), static_cast<double>(sum));
    return sum == static_cast<float>(2 * world.size()) ? 0 : 1;
}
