// SPDX-License-Identifier: Apache-2.0
#pragma once
// Tiles of 16-bit matrices in shared memory, in chunks of 16 bytes. Eight chunks of consecutive rows in one column, which
// a warp loads at once, and eight that lie side by side, which it stores at once, are in eight different groups of
// banks: the column of a chunk is swizzled by its row.

#include <tempera/cuda/ptx.cuh>

namespace tempera::cuda_kernels {

/// Of a block's product: threads, and rows of the result.
constexpr int product_threads = 256;
constexpr int product_rows = 128;

constexpr int bank_groups = 8;  ///< 32 banks of 4 bytes, in groups of a chunk

/// Where chunk `column` of a row lies in a tile of `Chunks` (4, 8 or 16) chunks per row, in chunks.
template <int Chunks>
__host__ __device__ constexpr int chunk_place(int row, int column) {
    static_assert(Chunks == 4 || Chunks == 8 || Chunks == 16);
    constexpr int rows_at_once = Chunks < bank_groups ? bank_groups / Chunks : 1;  // all banks hold as many rows
    constexpr int columns_at_once = Chunks < bank_groups ? Chunks : bank_groups;
    return row * Chunks + (column ^ (row / rows_at_once % columns_at_once));
}

/// A number written with three digits: number = (high * middles + middle) * lows + low.
struct odometer {
    int high, middle, low;

    odometer() = default;
    constexpr __host__ __device__ odometer(int number, int middles, int lows)
        : high(number / lows / middles), middle(number / lows % middles), low(number % lows) {}

    /// The sum of two numbers in the same digits, without divisions.
    __host__ __device__ constexpr void add(odometer const& step, int middles, int lows) {
        low += step.low;
        middle += step.middle;
        high += step.high;
        if (low >= lows) {
            low -= lows;
            ++middle;
        }
        if (middle >= middles) {
            middle -= middles;
            ++high;
        }
    }
};

}  // namespace tempera::cuda_kernels
