// SPDX-License-Identifier: Apache-2.0
#pragma once
// Tiles of 16-bit matrices in shared memory, in chunks of 16 bytes. Eight chunks of consecutive rows in one column, which
// a warp loads at once, and eight that lie side by side, which it stores at once, are in eight different groups of
// banks: the column of a chunk is swizzled by its row.

#include <cstdint>

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

/// Division by a number that the host knows: a product and a shift (Granlund and Montgomery 1994) for 0 <= n < 2^31.
struct divisor {
    unsigned multiplier = 0;  ///< 0: division by 1
    int shift = 0;

    divisor() = default;
    constexpr explicit divisor(int d) {
        if (d <= 1) return;
        while ((std::int64_t{2} << shift) < d) ++shift;  // 2^shift < d <= 2^(shift + 1)
        auto const size = static_cast<std::uint64_t>(d);
        multiplier = static_cast<unsigned>(((std::uint64_t{1} << (32 + shift)) + size - 1) / size);
    }
    constexpr __host__ __device__ int of(int n) const {
        if (multiplier == 0) return n;
        auto const high = static_cast<std::uint64_t>(static_cast<unsigned>(n)) * multiplier >> 32;
        return static_cast<int>(static_cast<unsigned>(high) >> shift);
    }
};

/// A number written with three digits: number = (high * middles + middle) * lows + low.
struct odometer {
    int high, middle, low;

    odometer() = default;
    constexpr __host__ __device__ odometer(int number, int middles, int lows)
        : high(number / lows / middles), middle(number / lows % middles), low(number % lows) {}
    constexpr __host__ __device__ odometer(int number, int middles, divisor const& by_middles, int lows,
                                           divisor const& by_lows) {
        int const rest = by_lows.of(number);
        low = number - rest * lows;
        high = by_middles.of(rest);
        middle = rest - high * middles;
    }

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
