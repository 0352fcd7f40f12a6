// SPDX-License-Identifier: Apache-2.0
#pragma once
// A small matrix product by Eigen, for machines without tiles of our own, and as their oracle.
//
// Files compiled with different -march see different Eigen kernels under the same names. The inline namespace
// carries what differs, so that mixing them fails at link rather than at run.

#include <cstddef>

#include <Eigen/Core>

#define TEMPERA_TAG_OF(bytes) eigen_aligned_##bytes
#define TEMPERA_TAG(bytes) TEMPERA_TAG_OF(bytes)

namespace tempera::cpu_kernels {
inline namespace TEMPERA_TAG(EIGEN_MAX_ALIGN_BYTES) {

    /// c[i, j] = sum_k a[i, k] b[k, j]; rows of a and b are a_row and b_row floats apart, c is dense.
    inline void eigen_product(int rows, int columns, int depth, float const* a, std::ptrdiff_t a_row, float const* b,
                              std::ptrdiff_t b_row, float* c) {
        using matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
        using lines = Eigen::Map<matrix const, 0, Eigen::OuterStride<>>;
        Eigen::Map<matrix>(c, rows, columns).noalias() =
            lines(a, rows, depth, Eigen::OuterStride<>(a_row)) * lines(b, depth, columns, Eigen::OuterStride<>(b_row));
    }

}  // namespace )
}  // namespace tempera::cpu_kernels

#undef TEMPERA_TAG
#undef TEMPERA_TAG_OF
