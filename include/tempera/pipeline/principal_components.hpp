// SPDX-License-Identifier: Apache-2.0
#pragma once
// Principal components by subspace iteration (Halko, Martinsson & Tropp, SIAM Review 2011): the covariance matrix is
// never formed, so wide embeddings cost no more than their products.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include <tempera/core/philox.hpp>
#include <tempera/cpu/eigen_tag.hpp>

namespace tempera::map_detail {
inline namespace TEMPERA_EIGEN_TAG {

using matrix = Eigen::MatrixXf;

/// a b. The one place where Eigen's product is instantiated: it costs a second of compilation.
inline matrix product(matrix const& a, matrix const& b) { return a * b; }

/// Makes the columns orthonormal (modified Gram-Schmidt, twice for accuracy); dependent columns become zero.
inline void orthonormalize(matrix& columns) {
    for (Eigen::Index j = 0; j < columns.cols(); ++j) {
        float const before = columns.col(j).norm();
        for (int pass = 0; pass < 2; ++pass)
            for (Eigen::Index k = 0; k < j; ++k) columns.col(j) -= columns.col(k).dot(columns.col(j)) * columns.col(k);
        float const after = columns.col(j).norm();
        columns.col(j) *= after > 1e-5F * before ? 1 / after : 0;
    }
}

/// Eigenvectors of a small symmetric matrix as columns, largest eigenvalue first (cyclic Jacobi rotations).
inline matrix eigenvectors(matrix symmetric) {
    auto const n = symmetric.rows();
    matrix vectors = matrix::Identity(n, n);
    for (int sweep = 0; sweep < 12; ++sweep) {
        for (Eigen::Index p = 0; p < n; ++p) {
            for (Eigen::Index q = p + 1; q < n; ++q) {
                float const off = symmetric(p, q);
                if (off == 0) continue;
                float const ratio = (symmetric(q, q) - symmetric(p, p)) / (2 * off);
                float const t = (ratio < 0 ? -1.0F : 1.0F) / (std::abs(ratio) + std::sqrt(1 + ratio * ratio));
                float const c = 1 / std::sqrt(1 + t * t), s = t * c;
                for (Eigen::Index k = 0; k < n; ++k) {
                    float const a = symmetric(k, p), b = symmetric(k, q);
                    symmetric(k, p) = c * a - s * b;
                    symmetric(k, q) = s * a + c * b;
                    float const v = vectors(k, p), w = vectors(k, q);
                    vectors(k, p) = c * v - s * w;
                    vectors(k, q) = s * v + c * w;
                }
                for (Eigen::Index k = 0; k < n; ++k) {
                    float const a = symmetric(p, k), b = symmetric(q, k);
                    symmetric(p, k) = c * a - s * b;
                    symmetric(q, k) = s * a + c * b;
                }
            }
        }
    }
    std::vector<Eigen::Index> order(static_cast<std::size_t>(n));
    std::iota(order.begin(), order.end(), Eigen::Index{0});
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return symmetric(a, a) > symmetric(b, b); });
    matrix sorted(n, n);
    for (Eigen::Index j = 0; j < n; ++j) sorted.col(j) = vectors.col(order[static_cast<std::size_t>(j)]);
    return sorted;
}

/// Scores of the rows of a matrix whose column means are 0 on their first `count` principal components (fewer when
/// it has fewer columns or rows), n x count, largest variance first. Each direction's largest entry is positive.
inline matrix principal_components(matrix const& centered, int count, std::uint64_t seed) {
    auto const n = centered.rows(), width = centered.cols();
    auto const sought = std::min<Eigen::Index>({count + 8, width, n});
    matrix const turned = centered.transpose();
    matrix basis(width, sought);
    philox_stream draws(seed, 1);
    for (Eigen::Index j = 0; j < sought; ++j)
        for (Eigen::Index i = 0; i < width; ++i) basis(i, j) = draws.uniform(-1, 1);
    orthonormalize(basis);
    for (int round = 0; round < 8; ++round) {
        basis = product(turned, product(centered, basis));
        orthonormalize(basis);
    }
    matrix const scores = product(centered, basis);
    matrix const rotation = eigenvectors(product(scores.transpose(), scores));
    matrix const directions = product(basis, rotation);
    matrix out = product(scores, rotation).leftCols(std::min<Eigen::Index>(count, sought));
    for (Eigen::Index j = 0; j < out.cols(); ++j) {
        float largest = 0;
        for (Eigen::Index i = 0; i < width; ++i)
            if (std::abs(directions(i, j)) > std::abs(largest)) largest = directions(i, j);
        if (largest < 0) out.col(j) *= -1;
    }
    return out;
}

}  // namespace TEMPERA_EIGEN_TAG
}  // namespace tempera::map_detail
