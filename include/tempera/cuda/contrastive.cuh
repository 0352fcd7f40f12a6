// SPDX-License-Identifier: Apache-2.0
#pragma once
// NT-Xent over tiles of similarities (SimCLR eq. 1). A tile holds u_i . u_j for some rows i and all 2N columns j;
// cuBLAS makes it, twice: once for the loss of each row, once for the weights W of the gradient.
//   x_i = log sum_{j not i, pos} exp(S_ij) - S_i,pos      loss_i = log(1 + exp x_i)      lse_i = S_i,pos + loss_i
//   dU = 1 / (N tau) W U      W_ij = exp(S_ij - lse_i) + exp(S_ij - lse_j), minus 2 where j = pos, 0 where j = i
// 1 - P_i,pos = 1 - exp(-loss_i) is small when training has gone far: it is computed without subtracting from 1.

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

    /// log sum exp over the negatives: all j but i and the positive.
    __device__ float log_sum_of_negatives() const {
        float largest = -INFINITY;
        for (int j = thread_index(); j < rows; j += row_threads)
            if (j != i && j != positive) largest = larger_float{}(largest, at(j));
        largest = block_max(largest);
        float sum = 0;
        for (int j = thread_index(); j < rows; j += row_threads)
            if (j != i && j != positive) sum += expf(at(j) - largest);
        return largest + logf(block_sum(sum));
    }
};

/// Loss of every row; accuracy and entropy of the rows of view a among the N embeddings of view b.
static __global__ void contrastive_rows_kernel(contrastive_geometry g, int first, float const* similarity,
                                               float* log_sum_exp, float* pull, float* row_terms) {
    similarity_row const row(g, first, similarity);
    float const x = row.log_sum_of_negatives() - row.at(row.positive);
    float entropy = 0;
    float rank = 1;
    if (row.i < g.pairs) {  // the same for the whole block
        float const* const across = row.values + g.pairs;
        entropy = softmax_row(across, g.pairs, g.temperature).entropy(across, g.pairs);
        rank = rank_of(across, g.pairs, row.positive - g.pairs);
    }
    if (threadIdx.x != 0) return;
    float const loss = x > 0 ? x + log1pf(expf(-x)) : log1pf(expf(x));
    log_sum_exp[row.i] = row.at(row.positive) + loss;
    pull[row.i] = expm1f(-loss);
    float* const out = row_terms + std::int64_t{row.i} * terms_per_row;
    out[0] = loss;
    out[1] = rank < 1 ? 1 : 0;
    out[2] = entropy;
    out[3] = 1;
    out[4] = 0;
}
inline void contrastive_rows(cudaStream_t stream, contrastive_geometry const& g, int first, int count,
                             float const* similarity, float* log_sum_exp, float* pull, float* row_terms) {
    launch_rows(contrastive_rows_kernel, count, stream, g, first, similarity, log_sum_exp, pull, row_terms);
}

struct contrastive_weight_at {
    contrastive_geometry g;
    int first;
    float factor;
    float const* log_sum_exp;
    float const* pull;
    float* similarity;
    __device__ void operator()(std::int64_t at) const {
        int const rows = 2 * g.pairs;
        auto const j = static_cast<int>(at % rows);
        int const i = first + static_cast<int>(at / rows);
        float const s = similarity[at] / g.temperature;
        bool const positive = j == i + g.pairs || i == j + g.pairs;
        float const w = positive ? pull[i] + pull[j] : expf(s - log_sum_exp[i]) + expf(s - log_sum_exp[j]);
        similarity[at] = i == j ? 0 : factor * w;
    }
};
inline void contrastive_weights(cudaStream_t stream, contrastive_geometry const& g, int first, int count, float factor,
                                float const* log_sum_exp, float const* pull, float* similarity) {
    each(stream, std::int64_t{2} * g.pairs * count,
         contrastive_weight_at{g, first, factor, log_sum_exp, pull, similarity});
}

}  // namespace tempera::cuda_kernels
