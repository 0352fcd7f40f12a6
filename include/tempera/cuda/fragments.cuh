// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which lane of a warp holds what of the matrices of mma.m16n8k16: d = a b + d, a 16 x 16, b 16 x 8, d 16 x 8
// (PTX ISA, "Matrix fragments for mma.m16n8k16"). Elements of 16 bits lie two in a register, the first in its lower half.

#include <cstdint>

#include <cuda_runtime.h>

namespace tempera::cuda_kernels {

struct matrix_place {
    int row;
    int column;
};

constexpr int warp_size = 32;
constexpr int warpgroup_size = 128;

/// Which index of an operand's tile runs along memory: that of the sum, or that of the rows or columns.
enum class major : std::uint8_t { depth, outer };

/// Elements i < 8 of a lane; register i / 2.
constexpr __host__ __device__ matrix_place a_place(int lane, int i) {
    return {lane / 4 + 8 * (i / 2 % 2), lane % 4 * 2 + i % 2 + 8 * (i / 4)};
}
/// Elements i < 4 of a lane; register i / 2.
constexpr __host__ __device__ matrix_place b_place(int lane, int i) {
    return {lane % 4 * 2 + i % 2 + 8 * (i / 2), lane / 4};
}
/// Elements i < 4 of a lane, float32.
constexpr __host__ __device__ matrix_place d_place(int lane, int i) {
    return {lane / 4 + 8 * (i / 2), lane % 4 * 2 + i % 2};
}

}  // namespace tempera::cuda_kernels
