// SPDX-License-Identifier: Apache-2.0
#pragma once
// Walking an array vector by vector, in the region of every instruction set. See kernels/walk.hpp.

#include <tempera/cpu/vector.hpp>

#define TEMPERA_KERNEL_FILE <tempera/cpu/kernels/walk.hpp>
#include <tempera/cpu/each_target.hpp>
