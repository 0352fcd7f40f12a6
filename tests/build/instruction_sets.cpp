// SPDX-License-Identifier: Apache-2.0
// Prints the instruction sets of TEMPERA_ISA that this machine has. Asks the compiler's runtime, not the library.
#include <cstdio>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

// AMX-TILE and AMX-BF16, which g++ 12 does not know by name, and the system's leave to use tiles.
static bool has_amx() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & 1U << 22) != 0 && (d & 1U << 24) != 0 &&
           syscall(SYS_arch_prctl, 0x1023, 18UL) == 0;
}
#endif

int main() {
    std::puts("portable");
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) std::puts("avx2");
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq"))
        std::puts(!__builtin_cpu_supports("avx512bf16") ? "avx512"
                  : has_amx()                           ? "avx512 avx512_bf16 amx"
                                                        : "avx512 avx512_bf16");
#endif
}
