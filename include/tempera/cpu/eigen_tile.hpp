// SPDX-License-Identifier: Apache-2.0
#pragma once
// The register tile of a matrix product by Eigen's arrays, for machines without tiles of our own.
//
// Files compiled with different -march see different Eigen kernels under the same names. The inline namespace
// carries what differs, so that neither takes the other's.

#include <cstddef>

#include <Eigen/Core>

#define TEMPERA_TAG_OF(bytes) eigen_aligned_##bytes
#define TEMPERA_TAG(bytes) TEMPERA_TAG_OF(bytes)

namespace tempera::cpu_kernels {
inline namespace TEMPERA_TAG(EIGEN_MAX_ALIGN_BYTES) {

    constexpr int eigen_tile_rows = 4;
    constexpr int eigen_tile_columns = 8;

    /// c[i, j] = sum_k a[i * a_row + k * a_step] b[k * b_step + j] for Rows rows and 8 columns; c is dense.
    template <int Rows>
    void eigen_tile(int depth, float const* a, std::ptrdiff_t a_row, std::ptrdiff_t a_step, float const* b,
                    std::ptrdiff_t b_step, float* c) {
        using line = Eigen::Array<float, eigen_tile_columns, 1>;
        line sum[Rows];
        for (line& s : sum) s.setZero();
        for (int k = 0; k < depth; ++k, a += a_step, b += b_step) {
            line const y = Eigen::Map<line const>(b);
            for (int i = 0; i < Rows; ++i) sum[i] += a[i * a_row] * y;
        }
        for (int i = 0; i < Rows; ++i) Eigen::Map<line>(c + i * eigen_tile_columns) = sum[i];
    }

}  // namespace )
}  // namespace tempera::cpu_kernels

#undef TEMPERA_TAG
#undef TEMPERA_TAG_OF
