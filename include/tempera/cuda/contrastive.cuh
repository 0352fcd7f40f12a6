// SPDX-License-Identifier: Apache-2.0
#pragma once
// NT-Xent over tiles of similarities (SimCLR eq. 1). A tile holds u_i . u_j for some rows i and all 2N columns j;
// cuBLAS makes it, twice: once for each row's log-sum-exp, once for the weights of the gradient
//   dU = 1 / (N tau) ((P - Y) + transpose(P - Y)) U,   P_ij = exp(S_ij - lse_i) off the diagonal, Y one-hot positive.

#include <tempera/cuda/losses.cuh>

namespace tempera::cuda_kernels {

/// A row of the tile as logits S_ij; `positive` is the row of the other view of the same image.
struct similarity_row {
    float const* values;
    float temperature;
    int i;
    int rows;      ///< 2N
    int positive;

    __device__ similarity_row(contrastive_geometry const& g, int first, float const* similarity)
        : values(similarity + std::int64_t{blockIdx.x} * 2 * g.pairs),
          temperature(g.temperature),
          i(first + static_cast<int>(blockIdx.x)),
          rows(2 * g.pairs),
          positive(i < g.pairs ? i + g.pairs : i - g.pairs) {}
    __device__ float at(int j) const { return values[j] / temperature; }

    /// log sum exp over begin <= j < end, j != i.
    __device__ float log_sum_exp(int begin, int end) const {
        float largest = -INFINITY;
        for (int j = begin + thread_index(); j < end; j += row_threads)
            if (j != i) largest = largest >= at(j) ? largest : at(j);
        largest = block_max(largest);
        float sum = 0;
        for (int j = begin + thread_index(); j < end; j += row_threads)
            if (j != i) sum += expf(at(j) - largest);
        return largest + logf(block_sum(sum));
    }
};

/// Loss of every row; accuracy and entropy of the rows of view a among the N embeddings of view b.
static __global__ void contrastive_rows_kernel(contrastive_geometry g, int first, float const* similarity,
                                               float* log_sum_exp, float* row_terms) {
    similarity_row const row(g, first, similarity);
    float const all = row.log_sum_exp(0, row.rows);
    float entropy = 0;
    float rank = 1;
    if (row.i < g.pairs) {  // the same for the whole block
        float const across = row.log_sum_exp(g.pairs, row.rows);
        for (int j = g.pairs + thread_index(); j < row.rows; j += row_threads) {
            float const p = expf(row.at(j) - across);
            entropy -= p * logf(p + 1e-8F);
        }
        entropy = block_sum(entropy);
        rank = rank_of(row.values + g.pairs, g.pairs, row.positive - g.pairs);
    }
    if (threadIdx.x != 0) return;
    log_sum_exp[row.i] = all;
    float* const out = row_terms + std::int64_t{row.i} * terms_per_row;
    out[0] = all - row.at(row.positive);
    out[1] = rank < 1 ? 1 : 0;
    out[2] = entropy;
    out[3] = 1;
    out[4] = 0;
}
inline void contrastive_rows(cudaStream_t stream, contrastive_geometry const& g, int first, int count,
                             float const* similarity, float* log_sum_exp, float* row_terms) {
    launch_rows(contrastive_rows_kernel, count, stream, g, first, similarity, log_sum_exp, row_terms);
}

struct contrastive_weight_at {
    contrastive_geometry g;
    int first;
    float factor;
    float const* log_sum_exp;
    float* similarity;
    __device__ void operator()(std::int64_t at) const {
        int const rows = 2 * g.pairs;
        auto const j = static_cast<int>(at % rows);
        int const i = first + static_cast<int>(at / rows);
        float const s = similarity[at] / g.temperature;
        bool const positive = j == i + g.pairs || i == j + g.pairs;
        float const p = expf(s - log_sum_exp[i]) + expf(s - log_sum_exp[j]);
        similarity[at] = i == j ? 0 : factor * (p - (positive ? 2.0F : 0.0F));
    }
};
inline void contrastive_weights(cudaStream_t stream, contrastive_geometry const& g, int first, int count, float factor,
                                float const* log_sum_exp, float* similarity) {
    each(stream, std::int64_t{2} * g.pairs * count,
         contrastive_weight_at{g, first, factor, log_sum_exp, similarity});
}

}  // namespace tempera::cuda_kernels
