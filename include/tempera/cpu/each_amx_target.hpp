// SPDX-License-Identifier: Apache-2.0
// Includes TEMPERA_KERNEL_FILE for the instruction set with tiles of bf16 pairs, then undefines it. See target.hpp. Tests
// that define TEMPERA_EMULATED_TARGET get the region "emulated_amx" too.

#if defined(TEMPERA_KERNELS_HERE)
#if defined(__x86_64__)
#define TEMPERA_TARGET 5
#include <tempera/cpu/begin_target.hpp>
#include TEMPERA_KERNEL_FILE
#include <tempera/cpu/end_target.hpp>
#endif

#if defined(TEMPERA_EMULATED_TARGET)
#define TEMPERA_TARGET 11
#include <tempera/cpu/begin_target.hpp>
#include TEMPERA_KERNEL_FILE
#include <tempera/cpu/end_target.hpp>
#endif
#endif

#undef TEMPERA_KERNEL_FILE
