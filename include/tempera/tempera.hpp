// SPDX-License-Identifier: Apache-2.0
#pragma once
// The whole library for the CPU. Opt-in headers beside it: cuda.hpp, image.hpp, mpi.hpp, io/gzip.hpp, data/fashion_mnist_full.hpp,
// report.hpp, interop/*.hpp.

#include <tempera/core.hpp>
#include <tempera/cpu.hpp>
#include <tempera/data.hpp>
#include <tempera/device.hpp>
#include <tempera/graph.hpp>
#include <tempera/io.hpp>
#include <tempera/loss.hpp>
#include <tempera/nn.hpp>
#include <tempera/optim.hpp>
#include <tempera/parallel.hpp>
#include <tempera/pipeline.hpp>
#include <tempera/runtime.hpp>
