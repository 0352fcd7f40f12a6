// SPDX-License-Identifier: Apache-2.0
#pragma once
// The host twins of ptx.cuh, written from the definitions in the PTX ISA, for the emulation of tests/.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <tempera/cuda/ptx.cuh>

namespace tempera::cuda_kernels {

inline float of_lane_across(float x, int bits) {
    struct input {
        float x;
        int bits;
    };
    return emulation::with_lanes<input, float>({x, bits}, [](input const* lanes, float* out) {
        for (int lane = 0; lane < warp_size; ++lane) out[lane] = lanes[lane ^ lanes[lane].bits].x;
    });
}

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

}  // namespace tempera::cuda_kernels
