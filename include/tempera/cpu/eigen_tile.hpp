// SPDX-License-Identifier: Apache-2.0
#pragma once
// The register tile of a matrix product by Eigen's arrays, for machines without tiles of our own.

#include <cstddef>

#include <tempera/cpu/eigen_tag.hpp>

namespace tempera::cpu_kernels {
inline namespace TEMPERA_EIGEN_TAG {

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

}  // namespace TEMPERA_EIGEN_TAG
}  // namespace tempera::cpu_kernels
