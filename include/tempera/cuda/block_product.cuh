// SPDX-License-Identifier: Apache-2.0
#pragma once
// The product that a block computes on tensor cores: 128 rows x 64 or 128 columns in registers, fed through a pipeline of
// tiles in shared memory. What fills the tiles is the kernel's (its loader). Two classes of one interface:
//
//   | class             | instruction     | for               | depth | shared memory                 |
//   | block_product     | mma.m16n8k16    | sm_80 and later   | 32    | 48 KiB                        |
//   | warpgroup_product | wgmma.m64nNk16  | sm_90a alone      | 64    | 96 KiB (warpgroup_product.cuh)|
//
// Tiles lie either way:
//
//   | major  | tile of a       | tile of b           | used by                       |
//   | depth  | [row][depth]    | [column][depth]     | window sums                   |
//   | outer  | [depth][row]    | [depth][column]     | the gradient of the weights   |

#include <cstdint>

#include <tempera/cuda/tile.cuh>

namespace tempera::cuda_kernels {

template <class T, int Columns, major Major>
class block_product {
    static_assert(Columns == 64 || Columns == 128);
    static constexpr int warps_across = Columns / 32;
    static constexpr int warp_rows = product_rows * warps_across * warp_size / product_threads;

public:
    static constexpr bool available = true;  ///< on what is being compiled for
    static constexpr int columns = Columns;
    static constexpr int depth = 32;  ///< of a tile
    static constexpr int stages = Columns == 128 ? 3 : 4;
    static constexpr int a_elements = product_rows * depth;
    static constexpr int a_line = product_rows, b_line = Columns;  ///< elements from line to line of outer tiles

    struct alignas(128) memory {
        T tiles[stages][a_elements + Columns * depth];
    };
    static_assert(sizeof(memory) == std::size_t{48} << 10);
    static constexpr std::size_t launched_bytes = 0;  ///< of shared memory, given at the launch
    __device__ static memory& shared() {
        __shared__ memory of_block;
        return of_block;
    }

    /// Where a chunk of a tile lies: line is a row and chunk along the depth, or, in outer tiles, the other way round.
    __device__ static int a_place(int line, int chunk) {
        return chunk_place<(Major == major::depth ? depth : product_rows) / chunk_elements>(line, chunk);
    }
    __device__ static int b_place(int line, int chunk) {
        return chunk_place<(Major == major::depth ? depth : Columns) / chunk_elements>(line, chunk);
    }

    __device__ explicit block_product(memory& m) : memory_(m) {}

    /// Adds the product of all tiles. loader(a, b) starts the copies of the next tile of each matrix.
    template <class Loader>
    __device__ void run(int steps, Loader loader) {
        for (int step = 0; step < stages - 1; ++step) {
            if (step < steps) load(loader, step);
            commit_copies();
        }
        for (int step = 0; step < steps; ++step) {
            await_copies<stages - 2>();
            __syncthreads();  // this stage is filled, and the one before it is read
            if (step + stages - 1 < steps) load(loader, (step + stages - 1) % stages);
            commit_copies();
            T const* const a = memory_.tiles[step % stages];
            multiply(a, a + a_elements);
        }
        await_copies<0>();
    }

    /// use(row, column, sums of that column and the next) for all that this thread holds.
    template <class Use>
    __device__ void each_pair(Use use) const {
        TEMPERA_UNROLL
        for (int m = 0; m < warp_rows / 16; ++m)
            TEMPERA_UNROLL
            for (int n = 0; n < 4; ++n)
                TEMPERA_UNROLL
                for (int i = 0; i < 4; i += 2) {
                    matrix_place const at = d_place(lane(), i);
                    use(warp_row() + 16 * m + at.row, warp_column() + 8 * n + at.column, sum_[m][n][i],
                        sum_[m][n][i + 1]);
                }
    }

private:
    __device__ static int lane() { return static_cast<int>(threadIdx.x) % warp_size; }
    __device__ static int warp_row() { return static_cast<int>(threadIdx.x) / warp_size / warps_across * warp_rows; }
    __device__ static int warp_column() { return static_cast<int>(threadIdx.x) / warp_size % warps_across * 32; }

    template <class Loader>
    __device__ void load(Loader& loader, int stage) {
        T* const a = memory_.tiles[stage];
        loader(a, a + a_elements);
    }

    __device__ void multiply(T const* a, T const* b) {
        for (int k = 0; k < depth; k += 16) {
            std::uint32_t left[warp_rows / 16][4];
            std::uint32_t right[2][4];
            for (int m = 0; m < warp_rows / 16; ++m) load_a(left[m], a, warp_row() + 16 * m, k);
            for (int n = 0; n < 2; ++n) load_b(right[n], b, warp_column() + 16 * n, k);
            for (int m = 0; m < warp_rows / 16; ++m)
                for (int n = 0; n < 4; ++n)
                    multiply_add<T>(sum_[m][n], left[m], right[n / 2][n % 2 * 2], right[n / 2][n % 2 * 2 + 1]);
        }
    }
    __device__ static void load_a(std::uint32_t (&to)[4], T const* a, int row, int k) {
        if constexpr (Major == major::depth)
            load_matrices(to, a + a_place(row + lane() % 16, k / 8 + lane() / 16) * chunk_elements);
        else
            load_transposed(
                to, a + a_place(k + lane() / 16 * 8 + lane() % 8, row / 8 + lane() / 8 % 2) * chunk_elements);
    }
    /// Two fragments: columns column .. column + 7, then the next eight.
    __device__ static void load_b(std::uint32_t (&to)[4], T const* b, int column, int k) {
        if constexpr (Major == major::depth)
            load_matrices(
                to, b + b_place(column + lane() / 16 * 8 + lane() % 8, k / 8 + lane() / 8 % 2) * chunk_elements);
        else
            load_transposed(
                to, b + b_place(k + lane() / 8 % 2 * 8 + lane() % 8, column / 8 + lane() / 16) * chunk_elements);
    }

    memory& memory_;
    float sum_[warp_rows / 16][4][4] = {};
};

}  // namespace tempera::cuda_kernels
