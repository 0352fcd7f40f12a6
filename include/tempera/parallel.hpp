// SPDX-License-Identifier: Apache-2.0
#pragma once
// Communicators: one process, or several that train one model. Opt-in: mpi.hpp, for processes under MPI.

#include <tempera/device/communicator.hpp>
#include <tempera/device/process_group.hpp>
#include <tempera/parallel/solo.hpp>
