// SPDX-License-Identifier: Apache-2.0
#pragma once
// The result of a block's product on its way from fragments to packs of 16 bytes: rounded to T in shared memory, then
// stored by threads in the order of memory, which may also take the moments of what they store (moments.cuh).

#include <cstddef>
#include <cstdint>

#include <tempera/cuda/tile.cuh>

namespace tempera::cuda_kernels {

template <class T, int Columns>
class staged_tile {
    static constexpr int stride = Columns + chunk_elements;  ///< rows of a fragment lie in different banks

public:
    static constexpr int chunks = Columns / chunk_elements;
    static constexpr int groups = product_threads / chunks;      ///< of threads with the same columns
    static constexpr int rows_of_thread = product_rows / groups;
    static constexpr std::size_t bytes = sizeof(T) * product_rows * stride;

    /// In memory that the product no longer needs.
    __device__ explicit staged_tile(void* memory) : memory_(static_cast<T*>(memory)) {}

    /// The sums of two neighbouring columns.
    __device__ void put_pair(int row, int column, float first, float second) {
        store_pack(memory_ + row * stride + column, rounded_pair<T>(first, second));
    }

    __device__ static int column() { return static_cast<int>(threadIdx.x) % chunks * chunk_elements; }
    /// Rows i < rows_of_thread of this thread; all threads together pass through consecutive rows.
    __device__ static int row(int i) { return i * groups + static_cast<int>(threadIdx.x) / chunks; }
    __device__ pack<T, chunk_elements> chunk(int i) const {
        return load_pack<chunk_elements>(memory_ + row(i) * stride + column());
    }

    __device__ void* memory() { return memory_; }
    __device__ T const& at(int row, int column) const { return memory_[row * stride + column]; }

private:
    T* memory_;
};

}  // namespace tempera::cuda_kernels
