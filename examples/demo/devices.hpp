// SPDX-License-Identifier: Apache-2.0
#pragma once
// The devices that the demo is built for. TEMPERA_DEMO_CUDA: tempera::cuda is linked.

#include <tempera/cpu.hpp>
#ifdef TEMPERA_DEMO_CUDA
#include <tempera/cuda.hpp>
#endif
