// SPDX-License-Identifier: Apache-2.0
#pragma once
// A block's product (block_product.cuh) on Hopper's tensor cores: two warpgroups of 64 rows each read both operands from
// shared memory. While they multiply one tile the threads start the copies of another; two blocks share a multiprocessor,
// so that one multiplies while the other waits or stores.

#include <cstddef>

#include <tempera/cuda/check.hpp>
#include <tempera/cuda/tile.cuh>

namespace tempera::cuda_kernels {

template <class T, int Columns, major Major>
class warpgroup_product {
public:
    static constexpr bool available = has_warpgroups;
    static constexpr int columns = Columns;
    static constexpr int depth = tile_depth;
    static constexpr int stages = Columns == 128 ? 3 : 4;
    static constexpr int a_elements = product_rows * depth;
    static constexpr int a_line = line_bytes / 2, b_line = a_line;

    struct alignas(line_group_bytes) memory {
        T tiles[stages][a_elements + Columns * depth];
    };
    static_assert(sizeof(memory) == std::size_t{96} << 10);
    static constexpr std::size_t launched_bytes = sizeof(memory);
    __device__ static memory& shared() { return *static_cast<memory*>(launched_memory()); }

    __device__ static int a_place(int line, int chunk) {
        constexpr int chunks = line_bytes / chunk_bytes;
        if constexpr (Major == major::depth) return chunk_place<chunks>(line, chunk);
        else return chunk_place<chunks>(chunk / chunks * depth + line, chunk % chunks);
    }
    __device__ static int b_place(int line, int chunk) { return a_place(line, chunk); }

    __device__ explicit warpgroup_product(memory& m) : memory_(m) {}

    template <class Loader>
    __device__ void run(int steps, Loader loader) {
        for (int step = 0; step < stages - 1; ++step) {
            if (step < steps) load(loader, step);
            commit_copies();
        }
        for (int step = 0; step < steps; ++step) {
            await_copies<stages - 2>();
            publish_copies();
            __syncthreads();  // this stage is filled, and the one before it is read
            start(memory_.tiles[step % stages]);
            if (step + stages - 1 < steps) load(loader, (step + stages - 1) % stages);
            commit_copies();
            await_products();
        }
        await_copies<0>();
    }

    template <class Use>
    __device__ void each_pair(Use use) const {
        int const first = static_cast<int>(threadIdx.x) / warp_size * 16;
        TEMPERA_UNROLL
        for (int n = 0; n < Columns / 8; ++n)
            TEMPERA_UNROLL
            for (int i = 0; i < 4; i += 2) {
                matrix_place const at = d_place(static_cast<int>(threadIdx.x) % warp_size, i);
                use(first + at.row, 8 * n + at.column, sum_[n][i], sum_[n][i + 1]);
            }
    }

private:
    template <class Loader>
    __device__ void load(Loader& loader, int stage) {
        T* const a = memory_.tiles[stage];
        loader(a, a + a_elements);
    }

    __device__ void start(T const* tiles) {
        constexpr int outer_step = Major == major::depth ? 1 : depth;  // elements from one of the depth to the next
        constexpr int group = 64 * depth;                              // from row 0 to row 64
        T const* const a = tiles + static_cast<int>(threadIdx.x) / warpgroup_size * group;
        T const* const b = tiles + a_elements;
        order_sums();
        for (int k = 0; k < depth; k += 16)
            multiply_tiles<T, Columns, Major>(sum_, a + k * outer_step, b + k * outer_step);
        commit_products();
    }

    memory& memory_;
    float sum_[Columns / 8][4] = {};
};

/// Whether a kernel can be started with a product's threads where work goes now. What was not compiled for that device has
/// room for one thread.
template <class... Parameters>
bool runs_here(void (*kernel)(Parameters...)) {
    cudaFuncAttributes attributes{};
    check(cudaFuncGetAttributes(&attributes, kernel), "cudaFuncGetAttributes");
    return attributes.maxThreadsPerBlock >= product_threads;
}

}  // namespace tempera::cuda_kernels
