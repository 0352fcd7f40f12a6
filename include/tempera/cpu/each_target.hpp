// SPDX-License-Identifier: Apache-2.0
// Includes TEMPERA_KERNEL_FILE once per instruction set, then undefines it. See target.hpp.
// Tests that define TEMPERA_EMULATED_TARGET get the region "emulated" too.

#if defined(TEMPERA_KERNELS_HERE)
#define TEMPERA_TARGET 0
#include <tempera/cpu/begin_target.hpp>
#include TEMPERA_KERNEL_FILE
#include <tempera/cpu/end_target.hpp>

#if defined(__x86_64__)
#define TEMPERA_TARGET 2
#include <tempera/cpu/begin_target.hpp>
#include TEMPERA_KERNEL_FILE
#include <tempera/cpu/end_target.hpp>

#define TEMPERA_TARGET 3
#include <tempera/cpu/begin_target.hpp>
#include TEMPERA_KERNEL_FILE
#include <tempera/cpu/end_target.hpp>
#endif

#if defined(TEMPERA_EMULATED_TARGET)
#pragma GCC diagnostic ignored "-Wpsabi"  // vectors longer than the machine's registers, by value
#define TEMPERA_TARGET 9
#include <tempera/cpu/begin_target.hpp>
#include TEMPERA_KERNEL_FILE
#include <tempera/cpu/end_target.hpp>
#endif
#endif

#undef TEMPERA_KERNEL_FILE
