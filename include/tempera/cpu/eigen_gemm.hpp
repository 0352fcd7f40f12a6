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

/// c[i, j] = sum_k a[i, k] b[k, j], c dense; rows of a (a_step 1) or its columns (a_row 1) lie together.
inline void eigen_product(int rows, int columns, int depth, float const* a, std::ptrdiff_t a_row, std::ptrdiff_t a_step,
                          float const* b, std::ptrdiff_t b_step, float* c) {
    using row_major = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    using column_major = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor>;
    Eigen::Map<row_major> product(c, rows, columns);
    Eigen::Map<row_major const, 0, Eigen::OuterStride<>> const right(b, depth, columns, Eigen::OuterStride<>(b_step));
    if (a_step == 1) {
        Eigen::Map<row_major const, 0, Eigen::OuterStride<>> const left(a, rows, depth, Eigen::OuterStride<>(a_row));
        product.noalias() = left * right;
    } else {
        Eigen::Map<column_major const, 0, Eigen::OuterStride<>> const left(a, rows, depth,
                                                                          Eigen::OuterStride<>(a_step));
        product.noalias() = left * right;
    }
}

}  // namespace TEMPERA_TAG(EIGEN_MAX_ALIGN_BYTES)
}  // namespace tempera::cpu_kernels

#undef TEMPERA_TAG
#undef TEMPERA_TAG_OF
