// SPDX-License-Identifier: Apache-2.0
#pragma once
// All PTX of the library, one function per instruction, so that no kernel holds asm. Without nvcc each function is its host
// twin (ptx_host.cuh). What four warps execute together is of sm_90a alone (has_warpgroups), all else of sm_80.
//
//   | function               | instruction                                                     |
//   | of_lane_across         | shfl.sync.bfly.b32                                              |
//   | load_matrices          | ldmatrix.sync.aligned.m8n8.x4.shared.b16                        |
//   | load_transposed        | ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16                  |
//   | multiply_add<bf16>     | mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32             |
//   | multiply_add<half>     | mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32               |
//   | copy_chunk             | cp.async.cg.shared.global 16 bytes, zeros in place of the source |
//   | commit_copies          | cp.async.commit_group                                           |
//   | await_copies           | cp.async.wait_group                                             |
//   | publish_copies         | fence.proxy.async.shared::cta                                   |
//   | order_sums             | wgmma.fence.sync.aligned                                        |
//   | multiply_tiles         | wgmma.mma_async.sync.aligned.m64n(64|128)k16.f32                |
//   | commit_products        | wgmma.commit_group.sync.aligned                                 |
//   | await_products         | wgmma.wait_group.sync.aligned 0                                 |

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <tempera/cuda/elements.cuh>
#include <tempera/cuda/fragments.cuh>

namespace tempera::cuda_kernels {

constexpr int chunk_bytes = 16;    ///< what a lane copies or loads at once
constexpr int chunk_elements = 8;  ///< of 16 bits

/// Tiles of warpgroups lie in groups of 8 lines of 128 bytes, the 16-byte chunks of a line exchanged by its number: bits 4
/// to 6 of an address are combined with bits 7 to 9 (128-byte swizzle). `outer` tiles hold 64 rows or columns a line, and
/// the next 64 behind as many lines as the tile is deep.
constexpr int line_bytes = 128;
constexpr int line_group_bytes = 8 * line_bytes;
constexpr int tile_depth = 64;

#if !defined(__CUDACC__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
constexpr bool has_warpgroups = true;
#else
constexpr bool has_warpgroups = false;
#endif

}  // namespace tempera::cuda_kernels

#ifdef __CUDACC__

namespace tempera::cuda_kernels {

/// x of the lane whose number differs in these bits.
__device__ inline float of_lane_across(float x, int bits) { return __shfl_xor_sync(0xffffffffU, x, bits); }

__device__ inline unsigned shared_address(void const* p) { return static_cast<unsigned>(__cvta_generic_to_shared(p)); }

/// Four matrices of 8 x 8 16-bit elements. Lane l says where row l % 8 of matrix l / 8 lies, and gets of each matrix
/// row l / 4, columns l % 4 * 2 and the next.
__device__ inline void load_matrices(std::uint32_t (&to)[4], void const* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(shared_address(row))
                 : "memory");
}

/// The same of the transposed matrices: rows l % 4 * 2 and the next, column l / 4.
__device__ inline void load_transposed(std::uint32_t (&to)[4], void const* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(shared_address(row))
                 : "memory");
}

/// d += a b in float32, by a whole warp; fragments.cuh says who holds what.
template <class T>
__device__ void multiply_add(float (&d)[4], std::uint32_t const (&a)[4], std::uint32_t b0, std::uint32_t b1);
template <>
__device__ inline void multiply_add<bf16>(float (&d)[4], std::uint32_t const (&a)[4], std::uint32_t b0,
                                          std::uint32_t b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
template <>
__device__ inline void multiply_add<half>(float (&d)[4], std::uint32_t const (&a)[4], std::uint32_t b0,
                                          std::uint32_t b1) {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/// Starts a copy of 16 bytes to shared memory; both addresses are multiples of 16. Zeros where not `wanted`: the source
/// is not read then, and may lie anywhere.
__device__ inline void copy_chunk(void* shared, void const* global, bool wanted) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global),
                 "r"(wanted ? chunk_bytes : 0)
                 : "memory");
}
/// Makes a group of this thread's copies since the last group.
__device__ inline void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
/// Waits for this thread's groups, but the `Newest` ones. Other threads see the copies after a barrier.
template <int Newest>
__device__ void await_copies() {
    asm volatile("cp.async.wait_group %0;" ::"n"(Newest) : "memory");
}

/// Before the barrier after which a warpgroup multiplies what this thread has copied.
__device__ inline void publish_copies() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
/// Before the first product after this thread touched its sums.
__device__ inline void order_sums() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ inline void commit_products() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
/// Until sums may be read and tiles overwritten.
__device__ inline void await_products() { asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory"); }

/// Where a warpgroup finds an operand: address, strides between its outer blocks and between groups of lines, swizzle.
template <major Major>
__device__ std::uint64_t tile_descriptor(void const* tile) {
    constexpr std::uint64_t outer_stride = Major == major::outer ? tile_depth * line_bytes / 16 : 1;
    constexpr std::uint64_t swizzle_128 = std::uint64_t{1} << 62;
    return (shared_address(tile) & 0x3ffff) >> 4 | outer_stride << 16 | std::uint64_t{line_group_bytes / 16} << 32 |
           swizzle_128;
}

#define TEMPERA_SUMS_8(d, n)                                                                                    \
    "+f"(d[n][0]), "+f"(d[n][1]), "+f"(d[n][2]), "+f"(d[n][3]), "+f"(d[n + 1][0]), "+f"(d[n + 1][1]),           \
        "+f"(d[n + 1][2]), "+f"(d[n + 1][3])
#define TEMPERA_SUMS_32(d, n) \
    TEMPERA_SUMS_8(d, n), TEMPERA_SUMS_8(d, n + 2), TEMPERA_SUMS_8(d, n + 4), TEMPERA_SUMS_8(d, n + 6)
#define TEMPERA_NAMES_32                                                                                  \
    "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, %20, %21, " \
    "%22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define TEMPERA_NAMES_64                                                                              \
    TEMPERA_NAMES_32                                                                                  \
    ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, " \
    "%51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define TEMPERA_MULTIPLY_TILES(type)                                                                             \
    if constexpr (Columns == 128)                                                                                \
        asm volatile("{.reg .pred p; setp.eq.u32 p, 0, 0; wgmma.mma_async.sync.aligned.m64n128k16.f32." type     \
                     "." type " {" TEMPERA_NAMES_64 "}, %64, %65, p, 1, 1, %66, %66;}"                           \
                     : TEMPERA_SUMS_32(d, 0), TEMPERA_SUMS_32(d, 8)                                              \
                     : "l"(at_a), "l"(at_b), "n"(transposed));                                                   \
    else                                                                                                         \
        asm volatile("{.reg .pred p; setp.eq.u32 p, 0, 0; wgmma.mma_async.sync.aligned.m64n64k16.f32." type      \
                     "." type " {" TEMPERA_NAMES_32 "}, %32, %33, p, 1, 1, %34, %34;}"                           \
                     : TEMPERA_SUMS_32(d, 0)                                                                     \
                     : "l"(at_a), "l"(at_b), "n"(transposed))

/// d += a b for 64 x 16 of a tile of a and 16 x Columns of a tile of b, by a warpgroup: its warp w holds rows 16 w ..
/// 16 w + 15, in fragments of eight columns (d_place). Starts what await_products waits for.
template <class T, int Columns, major Major>
__device__ void multiply_tiles(float (&d)[Columns / 8][4], T const* a, T const* b) {
    static_assert(Columns == 64 || Columns == 128);
    constexpr int transposed = Major == major::outer ? 1 : 0;
    std::uint64_t const at_a = tile_descriptor<Major>(a);
    std::uint64_t const at_b = tile_descriptor<Major>(b);
    if constexpr (std::is_same_v<T, bf16>) {
        TEMPERA_MULTIPLY_TILES("bf16");
    } else {
        TEMPERA_MULTIPLY_TILES("f16");
    }
}

#undef TEMPERA_SUMS_8
#undef TEMPERA_SUMS_32
#undef TEMPERA_NAMES_32
#undef TEMPERA_NAMES_64
#undef TEMPERA_MULTIPLY_TILES

/// The block's memory whose size the launch gives.
__device__ inline void* launched_memory() {
    extern __shared__ __align__(line_group_bytes) unsigned char memory[];
    return memory;
}

}  // namespace tempera::cuda_kernels

#else
#include <tempera/cuda/ptx_host.cuh>
#endif
