// SPDX-License-Identifier: Apache-2.0
#pragma once
// How kernels are compiled for several instruction sets in one ordinary file, without -march.
//
// A kernel file (kernels/<family>.hpp) has no #pragma once. Its family's header includes it once per instruction set:
//
//     #include <tempera/cpu/vector.hpp>                              // the vector types of every region
//     struct relu_kernels { void (*forward)(...); };                 // what a region provides, in cpu_kernels
//     #define TEMPERA_KERNEL_FILE <tempera/cpu/kernels/relu.hpp>
//     #include <tempera/cpu/each_target.hpp>
//     template <class T>
//     relu_kernels<T> const& relu_for(isa level) TEMPERA_TABLE(relu_table<T>);
//
// A kernel file lies inside namespace tempera::cpu_kernels::<instruction set> and uses vector types, raw pointers and
// functions of that namespace only. All its functions are static, or templates. No std, no Eigen, no lambda, no
// #include: a template instantiated in a region is compiled with that region's instructions, the linker keeps one
// copy of it, and an older machine would crash in it. On other processors than x86-64 the names avx2 and avx512
// stand for portable.

// Files that link tempera::compiled define TEMPERA_COMPILED: they see the tables' declarations, and the one file that
// compiles the kernels for them (compiled.cpp) defines TEMPERA_COMPILING too.

#include <cstddef>
#include <cstdint>

#include <tempera/core/precision.hpp>
#include <tempera/cpu/isa.hpp>
#include <tempera/device/store.hpp>

#if !defined(TEMPERA_COMPILED) || defined(TEMPERA_COMPILING) || defined(TEMPERA_EMULATED_TARGET)
#define TEMPERA_KERNELS_HERE
#if defined(__x86_64__)
#include <immintrin.h>
#endif
#define TEMPERA_TABLE(table) \
    { return choose(level, portable::table, avx2::table, avx512::table); }
#else
#define TEMPERA_TABLE(table)
#endif

namespace tempera::cpu_kernels {

namespace portable {}
#if defined(__x86_64__)
namespace avx2 {}
namespace avx512 {}
#else
namespace avx2 = portable;
namespace avx512 = portable;
#endif

/// One of three tables: the dispatch of every kernel family.
template <class Table>
constexpr Table const& choose(isa level, Table const& portable_table, Table const& avx2_table,
                              Table const& avx512_table) {
    switch (level) {
        case isa::amx:
        case isa::avx512_bf16:
        case isa::avx512: return avx512_table;
        case isa::avx2: return avx2_table;
        case isa::portable: break;
    }
    return portable_table;
}

}  // namespace tempera::cpu_kernels
