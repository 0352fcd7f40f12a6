// SPDX-License-Identifier: Apache-2.0
#pragma once
// isa: the instruction sets that kernels are compiled for, and which of them this machine runs.
//
//   portable      what the compiler assumes anyway (SSE2 on x86-64)
//   avx2          AVX2 and FMA
//   avx512        AVX-512 F, BW, DQ and VL
//   avx512_bf16   the same with dot products of bf16 pairs, at twice the speed of float32 on AMD's processors. Intel's
//                 take four times as long for one as for an FMA: there it is used only where TEMPERA_ISA names it
//   amx           the same with tiles of 16 x 16 such dot products at a time (Intel's AMX-BF16), 15 times as fast as float32
//
// Detection reads CPUID and XGETBV itself: the machine must have the instructions and the operating
// system must save the registers.

#include <cstdlib>
#include <string_view>

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <tempera/core/error.hpp>

namespace tempera {

enum class isa { portable, avx2, avx512, avx512_bf16, amx };

constexpr std::string_view name_of(isa level) {
    switch (level) {
        case isa::amx: return "amx";
        case isa::avx512_bf16: return "avx512_bf16";
        case isa::avx512: return "avx512";
        case isa::avx2: return "avx2";
        case isa::portable: break;
    }
    return "portable";
}

/// What Linux says of the memory of tiles, which a process must ask for: arch_prctl 0x1021 which states there are, 0x1023
/// to use the one of tiles.
inline bool knows_tile_state() {
#if defined(__x86_64__) && defined(__linux__)
    unsigned long states = 0;
    return syscall(SYS_arch_prctl, 0x1021, &states) == 0 && (states >> 18 & 1UL) != 0;
#else
    return false;
#endif
}
inline bool take_tile_state() {
#if defined(__x86_64__) && defined(__linux__)
    return syscall(SYS_arch_prctl, 0x1023, 18UL) == 0;
#else
    return false;
#endif
}

/// The best instruction set of this machine.
inline isa detected_isa() {
#if defined(__x86_64__)
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    if (__get_cpuid(1, &a, &b, &c, &d) == 0) return isa::portable;
    bool const fma = (c >> 12 & 1U) != 0;
    bool const saves_registers = (c >> 27 & 1U) != 0;
    if (!fma || !saves_registers) return isa::portable;
    unsigned enabled = 0;
    unsigned upper = 0;
    __asm__("xgetbv" : "=a"(enabled), "=d"(upper) : "c"(0));
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return isa::portable;
    if ((enabled & 0x6U) != 0x6U || (b >> 5 & 1U) == 0) return isa::portable;
    unsigned const avx512_bits = 1U << 16 | 1U << 17 | 1U << 30 | 1U << 31;  // F, DQ, BW, VL
    if ((enabled & 0xe6U) != 0xe6U || (b & avx512_bits) != avx512_bits) return isa::avx2;
    bool const tiles = (d >> 22 & 1U) != 0 && (d >> 24 & 1U) != 0;  // AMX-BF16, AMX-TILE
    if (__get_cpuid_count(7, 1, &a, &b, &c, &d) == 0 || (a >> 5 & 1U) == 0) return isa::avx512;
    return tiles && (enabled & 0x60000U) == 0x60000U && knows_tile_state() ? isa::amx : isa::avx512_bf16;
#else
    return isa::portable;
#endif
}

/// The instruction set that a word names, no better than `machine`.
/// Throws error for an unknown word, and for one that the machine lacks.
inline isa isa_named(std::string_view word, isa machine) {
    for (isa const level : {isa::portable, isa::avx2, isa::avx512, isa::avx512_bf16, isa::amx}) {
        if (word != name_of(level)) continue;
        if (level > machine) {
            throw error("TEMPERA_ISA", {"an instruction set of this machine (at most ", name_of(machine), ")"}, word,
                        "unset it to use the best one");
        }
        return level;
    }
    throw error("TEMPERA_ISA", "portable, avx2, avx512, avx512_bf16 or amx", {"'", word, "'"},
                "unset it to use the best one of this machine");
}

/// The fastest instruction set of a machine that runs those up to `best`.
inline isa fastest_isa(isa best) {
    bool intel = false;
#if defined(__x86_64__)
    unsigned a = 0;
    unsigned b = 0;
    unsigned c = 0;
    unsigned d = 0;
    intel = __get_cpuid(0, &a, &b, &c, &d) != 0 && b == signature_INTEL_ebx;
#endif
    return intel && best == isa::avx512_bf16 ? isa::avx512 : best;
}

/// The instruction set to use: what the environment variable TEMPERA_ISA names, else the fastest one.
inline isa chosen_isa() {
    isa const machine = detected_isa();
    char const* const word = std::getenv("TEMPERA_ISA");
    bool const named = word != nullptr && *word != '\0';
    isa const level = named ? isa_named(word, machine) : fastest_isa(machine);
    if (level != isa::amx || take_tile_state()) return level;
    if (named) {
        throw error("TEMPERA_ISA", "a system that lends this process the memory of tiles", "one that refuses",
                    "unset it to use the best instruction set without");
    }
    return fastest_isa(isa::avx512_bf16);
}

}  // namespace tempera
