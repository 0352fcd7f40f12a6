// SPDX-License-Identifier: Apache-2.0
// Prints the instruction sets of TEMPERA_ISA that this machine has. Asks the compiler's runtime, not the library.
#include <cstdio>

int main() {
    std::puts("portable");
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) std::puts("avx2");
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq"))
        std::puts(__builtin_cpu_supports("avx512bf16") ? "avx512 avx512_bf16" : "avx512");
#endif
}
