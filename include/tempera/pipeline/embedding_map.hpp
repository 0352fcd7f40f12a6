// SPDX-License-Identifier: Apache-2.0
#pragma once
// A 2-D map of embeddings: principal components, then exact t-SNE (van der Maaten & Hinton, JMLR 2008), which
// minimises KL(P || Q) for p_ij from Gaussians of a fixed perplexity and q_ij ~ 1 / (1 + |y_i - y_j|^2). One core,
// O(n^2) per iteration, the same result for the same rows and options.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include <tempera/core/error.hpp>
#include <tempera/core/philox.hpp>
#include <tempera/core/view.hpp>
#include <tempera/cpu/eigen_tag.hpp>
#include <tempera/pipeline/principal_components.hpp>

namespace tempera {

/// How embedding_map draws.
struct embedding_map_options {
    int components = 32;    ///< principal components that t-SNE sees
    int iterations = 600;   ///< of t-SNE; 0: the first two principal components alone
    float perplexity = 30;  ///< effective number of neighbours; at most a third of the rows is used
    std::uint64_t seed = 1;
};

/// Most rows that embedding_map takes; it keeps a float per pair.
inline constexpr int embedding_map_limit = 10'000;

namespace map_detail {

inline namespace TEMPERA_EIGEN_TAG {

using column = Eigen::ArrayXf;

/// Joint probabilities p_ij: per row a Gaussian whose entropy is log(perplexity), found by bisection, then symmetric.
inline matrix joint_probabilities(matrix const& rows, float perplexity) {
    auto const n = rows.rows();
    Eigen::ArrayXf const squares = rows.rowwise().squaredNorm().array();
    matrix p = product(rows, rows.transpose());
    float const entropy = std::log(perplexity);
    for (Eigen::Index i = 0; i < n; ++i) {
        column distance = squares - 2.0F * p.col(i).array();
        distance(i) = INFINITY;
        distance -= distance.minCoeff();
        distance(i) = 0;
        float low = 0, high = INFINITY, beta = 1 / std::max(distance.mean(), 1e-30F);
        column weights(n);
        float sum = 1;
        for (int round = 0; round < 60; ++round) {
            weights = (-beta * distance).exp();
            weights(i) = 0;
            sum = weights.sum();
            float const found = std::log(sum) + beta * (weights * distance).sum() / sum;
            if (std::abs(found - entropy) < 1e-4F) break;
            (found > entropy ? low : high) = beta;
            beta = high == INFINITY ? 2 * beta : 0.5F * (low + high);
            if (!(beta < 1e30F)) break;  // many equal rows: no width gives this perplexity
        }
        p.col(i) = (weights / sum).matrix();
    }
    matrix const turned = p.transpose();
    return ((p + turned) / (2.0F * static_cast<float>(n))).cwiseMax(1e-12F);
}

/// Gradient descent with momentum and per-coordinate gains on the map y (n x 2).
inline void descend(matrix const& p, matrix& y, int iterations) {
    auto const n = y.rows();
    float const exaggeration = 12;
    float const rate = std::max(static_cast<float>(n) / exaggeration, 50.0F);
    int const early = std::min(iterations / 3, 200);
    matrix gains = matrix::Ones(n, 2), step = matrix::Zero(n, 2), pull(n, 2), push(n, 2);
    column dx(n), dy(n), q(n), weight(n);
    for (int iteration = 0; iteration < iterations; ++iteration) {
        float const factor = iteration < early ? exaggeration : 1;
        float const momentum = iteration < early ? 0.5F : 0.8F;
        double total = 0;
        for (Eigen::Index i = 0; i < n; ++i) {
            dx = y(i, 0) - y.col(0).array();
            dy = y(i, 1) - y.col(1).array();
            q = (1.0F + dx.square() + dy.square()).inverse();
            total += static_cast<double>(q.sum()) - 1;
            weight = p.col(i).array() * q;
            pull.row(i) << (weight * dx).sum(), (weight * dy).sum();
            q = q.square();
            push.row(i) << (q * dx).sum(), (q * dy).sum();
        }
        matrix const gradient = 4.0F * (factor * pull - push / static_cast<float>(total));
        for (Eigen::Index k = 0; k < 2 * n; ++k) {
            float& gain = gains.data()[k];
            bool const turned = gradient.data()[k] * step.data()[k] > 0;
            gain = std::max(turned ? gain * 0.8F : gain + 0.2F, 0.01F);
        }
        step = momentum * step - rate * gains.cwiseProduct(gradient);
        y += step;
        y.rowwise() -= y.colwise().mean().eval();
    }
}

inline std::vector<std::array<float, 2>> map_of(view<float const> rows, embedding_map_options const& options) {
    using row_major = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    auto const width = rows.dims.sample().size();
    matrix centered = Eigen::Map<row_major const>(rows.data, rows.dims.n, width);
    if (!centered.allFinite())
        throw error("embedding_map", "finite embeddings", "NaN or infinity", "check the network that made them");
    centered.rowwise() -= centered.colwise().mean().eval();
    bool const pca_only = options.iterations == 0 || rows.dims.n < 4;
    matrix scores = principal_components(centered, pca_only ? 2 : std::max(options.components, 2), options.seed);
    matrix y = matrix::Zero(rows.dims.n, 2);
    y.leftCols(std::min<Eigen::Index>(scores.cols(), 2)) = scores.leftCols(std::min<Eigen::Index>(scores.cols(), 2));
    if (!pca_only) {
        // The principal plane, small, is where the descent starts; the draws part rows that coincide.
        float const spread = std::sqrt(y.col(0).squaredNorm() / static_cast<float>(rows.dims.n));
        y *= 1e-4F / std::max(spread, 1e-30F);
        philox_stream draws(options.seed, 2);
        for (Eigen::Index k = 0; k < y.size(); ++k) y.data()[k] += draws.uniform(-1e-6F, 1e-6F);
        float const most = static_cast<float>(rows.dims.n - 1) / 3;
        descend(joint_probabilities(scores, std::clamp(options.perplexity, 1.0F, most)), y, options.iterations);
    }
    std::vector<std::array<float, 2>> out(static_cast<std::size_t>(rows.dims.n));
    for (std::size_t i = 0; i < out.size(); ++i) {
        auto const row = static_cast<Eigen::Index>(i);
        out[i] = {y(row, 0), y(row, 1)};
    }
    return out;
}

}  // namespace TEMPERA_EIGEN_TAG
}  // namespace map_detail

/// Coordinates of each row of {n,1,1,d} (host memory), centered at the origin. 2,000 rows take a few seconds. Throws
/// error for more than 10,000 rows or for values that are not finite.
inline std::vector<std::array<float, 2>> embedding_map(view<float const> rows,
                                                       embedding_map_options const& options = {}) {
    if (rows.dims.n > embedding_map_limit)
        throw error("embedding_map", {"at most ", embedding_map_limit, " rows"}, rows.dims.n, "draw a sample of them");
    if (rows.empty()) return {};
    return map_detail::map_of(rows, options);
}

}  // namespace tempera
