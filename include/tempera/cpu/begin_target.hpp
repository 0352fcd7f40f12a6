// SPDX-License-Identifier: Apache-2.0
// Opens the region of one instruction set: TEMPERA_TARGET is 0 portable, 2 avx2, 3 avx512, 4 avx512_bf16, 5 amx, 9 emulated
// (portable code with the vector length and tiles of avx512, for tests), 10 the same for 4, 11 for 5. Closed by
// end_target.hpp. See target.hpp.

#if TEMPERA_TARGET == 2
#define TEMPERA_TARGET_NAME avx2
#define TEMPERA_VECTOR_FLOATS 8
#elif TEMPERA_TARGET == 3
#define TEMPERA_TARGET_NAME avx512
#define TEMPERA_VECTOR_FLOATS 16
#elif TEMPERA_TARGET == 4
#define TEMPERA_TARGET_NAME avx512_bf16
#define TEMPERA_VECTOR_FLOATS 16
#elif TEMPERA_TARGET == 5
#define TEMPERA_TARGET_NAME amx
#define TEMPERA_VECTOR_FLOATS 16
#elif TEMPERA_TARGET == 9
#define TEMPERA_TARGET_NAME emulated
#define TEMPERA_VECTOR_FLOATS 16
#elif TEMPERA_TARGET == 10
#define TEMPERA_TARGET_NAME emulated_pairs
#define TEMPERA_VECTOR_FLOATS 16
#elif TEMPERA_TARGET == 11
#define TEMPERA_TARGET_NAME emulated_amx
#define TEMPERA_VECTOR_FLOATS 16
#else
#define TEMPERA_TARGET_NAME portable
#define TEMPERA_VECTOR_FLOATS 4
#endif

// Neither contracts a * b + c, which would make results depend on the compiler: kernels that want an fma say so.
#if defined(__clang__)
#pragma float_control(push)
#pragma clang fp contract(off)
#if TEMPERA_TARGET == 2
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#elif TEMPERA_TARGET == 3
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#elif TEMPERA_TARGET == 4
#pragma clang attribute push(__attribute__((target("avx512bf16,avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), \
                             apply_to = function)
#elif TEMPERA_TARGET == 5
#pragma clang attribute push(                                                                                  \
    __attribute__((target("amx-tile,amx-bf16,avx512bf16,avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), \
    apply_to = function)
#endif
#elif defined(__GNUC__)
#pragma GCC push_options
#pragma GCC optimize("fp-contract=off")
#pragma GCC diagnostic push
#if TEMPERA_TARGET == 2
#pragma GCC target("avx2,fma")
#elif TEMPERA_TARGET >= 3 && TEMPERA_TARGET <= 5
#if TEMPERA_TARGET == 3
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")
#elif TEMPERA_TARGET == 5
#pragma GCC target("amx-tile,amx-bf16,avx512bf16,avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")
#else
#pragma GCC target("avx512bf16,avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")
#endif
#endif
// Wrong of vectors that are filled lane by lane, and of masked loads.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#define TEMPERA_INLINE __attribute__((always_inline)) static inline

// Before a loop of known length over vectors, which become registers when no index is left.
#if defined(__clang__)
#define TEMPERA_UNROLL _Pragma("unroll")
#else
#define TEMPERA_UNROLL _Pragma("GCC unroll 32")
#endif

// An instruction with tiles, whose numbers it takes as they are written: the processor's, or that of a tile_unit (tiles.hpp).
#if TEMPERA_TARGET == 5
#define TEMPERA_TILE(operation, ...) _tile_##operation(__VA_ARGS__)
#else
#define TEMPERA_TILE(operation, ...) tiles.operation(__VA_ARGS__)
#endif

namespace tempera::cpu_kernels::TEMPERA_TARGET_NAME {
