// SPDX-License-Identifier: Apache-2.0
#pragma once
// Several processes that train one model, by MPI. Opt-in; link tempera::mpi. Needs an MPI library (OpenMPI, MPICH).

#include <tempera/parallel/mpi_communicator.hpp>
