// SPDX-License-Identifier: Apache-2.0
#pragma once
// The product that a block computes on tensor cores: 128 rows x 64 or 128 columns in registers, fed through a pipeline of
// tiles in shared memory, 32 deep each. What fills the tiles is the kernel's (its loader); tiles lie either way:
//
//   | major  | tile of a       | tile of b           | fragments by     | used by                       |
//   | depth  | [row][depth]    | [column][depth]     | load_matrices    | window sums                   |
//   | outer  | [depth][row]    | [depth][column]     | load_transposed  | the gradient of the weights   |

#include <cstdint>

#include <tempera/cuda/tile.cuh>

namespace tempera::cuda_kernels {

enum class major : std::uint8_t { depth, outer };

constexpr int product_threads = 256;
constexpr int product_rows = 128;
constexpr int product_depth = 32;

/// Some rows of a block's product in shared memory, behind them a float for each thread.
template <int Columns>
struct staged_product {
    static constexpr int rows = 64 * 128 / Columns;
    static constexpr int stride = Columns + 8;  ///< rows of a fragment lie in different banks
    static constexpr int floats = rows * stride + product_threads;

    float* memory;
    int first_row;  ///< in the product

    __device__ float& at(int row, int column) const { return memory[row * stride + column]; }
    __device__ float& of_thread(int thread) const { return memory[rows * stride + thread]; }

    /// store(row in the product, column, values) for every 8 columns, by threads in the order of memory.
    template <class Store>
    __device__ void each_chunk(Store store) const {
        constexpr int chunks = Columns / chunk_elements;
        for (int i = static_cast<int>(threadIdx.x); i < rows * chunks; i += product_threads) {
            int const column = i % chunks * chunk_elements;
            store(first_row + i / chunks, column, &at(i / chunks, column));
        }
    }
};

template <class T, int Columns, major Major>
class block_product {
    static_assert(Columns == 64 || Columns == 128);
    static constexpr int warps_across = Columns / 32;
    static constexpr int warp_rows = product_rows * warps_across * warp_size / product_threads;
    static constexpr int a_elements = product_rows * product_depth;
    static constexpr int b_elements = Columns * product_depth;

public:
    static constexpr int stages = Columns == 128 ? 3 : 4;

    struct alignas(128) memory {
        T tiles[stages][a_elements + b_elements];
    };
    static_assert(sizeof(memory) == std::size_t{48} << 10);
    static_assert(sizeof(float) * staged_product<Columns>::floats <= sizeof(memory));

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

    /// use(staged) for one part of the rows after the other, each in shared memory; all threads go in together.
    template <class Use>
    __device__ void each_stage(Use use) {
        using staged = staged_product<Columns>;
        for (int first = 0; first < product_rows; first += staged::rows) {
            __syncthreads();  // the tiles, and what was staged before, are read
            staged const part{reinterpret_cast<float*>(&memory_), first};
            if (warp_row() / staged::rows == first / staged::rows) stage(part, warp_row() - first);
            __syncthreads();
            use(part);
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
        for (int k = 0; k < product_depth; k += 16) {
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
        if constexpr (Major == major::depth) {
            int const place = chunk_place<product_depth / 8>(row + lane() % 16, k / 8 + lane() / 16);
            load_matrices(to, a + place * chunk_elements);
        } else {
            int const place = chunk_place<product_rows / 8>(k + lane() / 16 * 8 + lane() % 8, row / 8 + lane() / 8 % 2);
            load_transposed(to, a + place * chunk_elements);
        }
    }
    /// Two fragments: columns column .. column + 7, then the next eight.
    __device__ static void load_b(std::uint32_t (&to)[4], T const* b, int column, int k) {
        if constexpr (Major == major::depth) {
            int const place =
                chunk_place<product_depth / 8>(column + lane() / 16 * 8 + lane() % 8, k / 8 + lane() / 8 % 2);
            load_matrices(to, b + place * chunk_elements);
        } else {
            int const place = chunk_place<Columns / 8>(k + lane() / 8 % 2 * 8 + lane() % 8, column / 8 + lane() / 16);
            load_transposed(to, b + place * chunk_elements);
        }
    }

    /// Writes the warp's sums to rows first .. of a part.
    __device__ void stage(staged_product<Columns> const& to, int first) const {
        for (int m = 0; m < warp_rows / 16; ++m)
            for (int n = 0; n < 4; ++n)
                for (int i = 0; i < 4; ++i) {
                    matrix_place const at = d_place(lane(), i);
                    to.at(first + 16 * m + at.row, warp_column() + 8 * n + at.column) = sum_[m][n][i];
                }
    }

    memory& memory_;
    float sum_[warp_rows / 16][4][4] = {};
};

}  // namespace tempera::cuda_kernels
