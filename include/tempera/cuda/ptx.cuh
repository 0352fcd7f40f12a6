// SPDX-License-Identifier: Apache-2.0
#pragma once
// All PTX of the library, one function per instruction, so that no kernel holds asm; everything is of sm_80. Without nvcc
// each function is its host twin, written from the definition in the PTX ISA, for the emulation of tests/.
//
//   | function               | instruction                                                     |
//   | load_matrices          | ldmatrix.sync.aligned.m8n8.x4.shared.b16                        |
//   | load_transposed        | ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16                  |
//   | multiply_add<bf16>     | mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32             |
//   | multiply_add<half>     | mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32               |
//   | copy_chunk             | cp.async.cg.shared.global 16 bytes, zeros in place of the source |
//   | commit_copies          | cp.async.commit_group                                           |
//   | await_copies           | cp.async.wait_group                                             |

#include <cstddef>
#include <cstdint>
#ifndef __CUDACC__
#include <cstdio>
#include <cstdlib>
#endif

#include <tempera/cuda/elements.cuh>
#include <tempera/cuda/fragments.cuh>

namespace tempera::cuda_kernels {

constexpr int chunk_bytes = 16;    ///< what a lane copies or loads at once
constexpr int chunk_elements = 8;  ///< of 16 bits

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

#endif

}  // namespace tempera::cuda_kernels
