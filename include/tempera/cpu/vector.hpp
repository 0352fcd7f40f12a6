// SPDX-License-Identifier: Apache-2.0
#pragma once
// The vector functions that kernels are written with, in the region of every instruction set. The table of
// functions is at the head of kernels/vector.hpp.

#include <tempera/cpu/target.hpp>

#define TEMPERA_KERNEL_FILE <tempera/cpu/kernels/vector.hpp>
#include <tempera/cpu/each_target.hpp>
