// SPDX-License-Identifier: Apache-2.0
#pragma once
// All PTX of the library, one function per instruction, so that no kernel holds asm. Without nvcc each function is its host
// twin, written from the definition in the PTX ISA, for the emulation of tests/. The first six are of sm_80, the others,
// which four warps execute together, of sm_90a alone (has_warpgroups).
//
//   | function               | instruction                                                     |
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
#ifndef __CUDACC__
#include <cstdio>
#include <cstdlib>
#include <vector>
#endif

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

#ifdef __CUDACC__

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
/// is not read then.
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

#else

inline void require_aligned(void const* p) {
    if (reinterpret_cast<std::uintptr_t>(p) % chunk_bytes == 0) return;
    std::fputs("emulation: a chunk of 16 bytes at an address that is no multiple of 16\n", stderr);
    std::abort();
}

template <bool Transposed>
void load_fragments(std::uint32_t (&to)[4], void const* row) {
    struct fragments {
        std::uint16_t at[4][2];
    };
    require_aligned(row);
    auto const loaded = emulation::with_lanes<void const*, fragments>(row, [](void const* const* rows, fragments* out) {
        for (int lane = 0; lane < warp_size; ++lane)
            for (int matrix = 0; matrix < 4; ++matrix)
                for (int i = 0; i < 2; ++i) {
                    int const r = Transposed ? lane % 4 * 2 + i : lane / 4;
                    int const c = Transposed ? lane / 4 : lane % 4 * 2 + i;
                    auto const* const start = static_cast<std::uint16_t const*>(rows[matrix * 8 + r]);
                    out[lane].at[matrix][i] = start[c];
                }
    });
    for (int i = 0; i < 4; ++i) to[i] = loaded.at[i][0] | static_cast<std::uint32_t>(loaded.at[i][1]) << 16;
}
inline void load_matrices(std::uint32_t (&to)[4], void const* row) { load_fragments<false>(to, row); }
inline void load_transposed(std::uint32_t (&to)[4], void const* row) { load_fragments<true>(to, row); }

/// Element i of packed registers.
template <class T>
float unpacked(std::uint32_t const* registers, int i) {
    T element;
    element.bits = static_cast<std::uint16_t>(registers[i / 2] >> (i % 2 * 16));
    return as_float(element);
}

template <class T>
void multiply_add(float (&d)[4], std::uint32_t const (&a)[4], std::uint32_t b0, std::uint32_t b1) {
    struct operands {
        std::uint32_t a[4];
        std::uint32_t b[2];
        float d[4];
    };
    struct sums {
        float d[4];
    };
    operands const mine = {{a[0], a[1], a[2], a[3]}, {b0, b1}, {d[0], d[1], d[2], d[3]}};
    auto const result = emulation::with_lanes<operands, sums>(mine, [](operands const* lanes, sums* out) {
        float left[16][16];
        float right[8][16];  // columns of b
        for (int lane = 0; lane < warp_size; ++lane) {
            for (int i = 0; i < 8; ++i)
                left[a_place(lane, i).row][a_place(lane, i).column] = unpacked<T>(&lanes[lane].a[0], i);
            for (int i = 0; i < 4; ++i)
                right[b_place(lane, i).column][b_place(lane, i).row] = unpacked<T>(&lanes[lane].b[0], i);
        }
        for (int lane = 0; lane < warp_size; ++lane)
            for (int i = 0; i < 4; ++i) {
                matrix_place const at = d_place(lane, i);
                float sum = lanes[lane].d[i];
                for (int k = 0; k < 16; ++k) sum += left[at.row][k] * right[at.column][k];
                out[lane].d[i] = sum;
            }
    });
    for (int i = 0; i < 4; ++i) d[i] = result.d[i];
}

inline void copy_chunk(void* shared, void const* global, bool wanted) {
    require_aligned(shared);
    require_aligned(global);
    emulation::copy_later(shared, wanted ? global : nullptr, chunk_bytes);
}
inline void commit_copies() { emulation::close_copies(); }
template <int Newest>
void await_copies() {
    emulation::await_copies(Newest);
}

inline void publish_copies() {}
inline void order_sums() {}
inline void commit_products() {}

/// One thread's part of a product that has been started.
struct started_product {
    float* d;
    void const* a;
    void const* b;
    void (*multiply)(started_product const* of_thread);
};
inline thread_local std::vector<started_product> started_products[1024];

/// Does the warpgroup's products in their order, as late as a device may.
inline void await_products() {
    struct nothing {};
    auto& mine = started_products[emulation::thread_number()];
    for (std::size_t i = 0; i < mine.size(); ++i)
        emulation::with_lanes<started_product, nothing, warpgroup_size>(
            mine[i], [](started_product const* of_thread, nothing*) { of_thread[0].multiply(of_thread); });
    mine.clear();
}

/// Element (outer, k) of a tile that begins at `tile`, k < 16.
template <class T, major Major>
float tile_element(void const* tile, int outer, int k) {
    auto const start = reinterpret_cast<std::uintptr_t>(tile);
    auto const offset = Major == major::depth
                            ? outer / 8 * line_group_bytes + outer % 8 * line_bytes + 2 * k
                            : outer / 64 * tile_depth * line_bytes + k / 8 * line_group_bytes + k % 8 * line_bytes +
                                  outer % 64 * 2;
    std::uintptr_t const address = start + static_cast<std::uintptr_t>(offset);
    return as_float(*reinterpret_cast<T const*>(address ^ (address >> 3 & 0x70)));
}

template <class T, int Columns, major Major>
void multiply_tiles(float (&d)[Columns / 8][4], T const* a, T const* b) {
    require_aligned(a);
    require_aligned(b);
    started_products[emulation::thread_number()].push_back({&d[0][0], a, b, [](started_product const* of_thread) {
        float left[64][16];
        float right[Columns][16];
        for (int k = 0; k < 16; ++k) {
            for (int row = 0; row < 64; ++row) left[row][k] = tile_element<T, Major>(of_thread[0].a, row, k);
            for (int column = 0; column < Columns; ++column)
                right[column][k] = tile_element<T, Major>(of_thread[0].b, column, k);
        }
        for (int thread = 0; thread < warpgroup_size; ++thread)
            for (int i = 0; i < Columns / 2; ++i) {
                matrix_place const at = d_place(thread % warp_size, i % 4);
                float const* const row = left[thread / warp_size * 16 + at.row];
                float const* const column = right[i / 4 * 8 + at.column];
                for (int k = 0; k < 16; ++k) of_thread[thread].d[i] += row[k] * column[k];
            }
    }});
}

inline void* launched_memory() { return emulation::launched_memory(); }

#endif

}  // namespace tempera::cuda_kernels
