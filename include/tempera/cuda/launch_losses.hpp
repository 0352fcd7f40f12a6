// SPDX-License-Identifier: Apache-2.0
#pragma once
// Launchers of losses, whose sums a captured step adds up and scales: losses.cuh, contrastive.cuh, step.cuh.

#include <cstdint>

#include <tempera/cuda/launch.hpp>
#include <tempera/device/losses.hpp>

namespace tempera::cuda_kernels {

// --- losses.cuh, contrastive.cuh -----------------------------------------------------------------------------------------
/// What a loss tells the host: sums over rows in row order.
struct loss_sums {
    float loss = 0;     ///< sum over the rows that count
    float correct = 0;  ///< rows whose prediction is right
    float entropy = 0;  ///< sum over the rows that count
    float labeled = 0;  ///< rows with a label
    float bad = 0;      ///< rows whose label is below -1 or not below classes
};
inline std::int64_t loss_floats(std::int64_t rows) { return std::int64_t{5} * rows + 8; }
/// Sums of cross entropy, then the gradient of the mean over so many rows (0: over the labeled ones). The sums lie at
/// `scratch`.
void softmax_cross_entropy(cudaStream_t stream, int rows, int classes, float const* logits, std::int32_t const* labels,
                           float smoothing, float mean_over, float weight, float* dlogits, store mode, float* scratch);
/// Sums of the distillation term; the gradient is multiplied by factor.
void distillation_term(cudaStream_t stream, distillation_geometry const& g, float const* student, float const* teacher,
                       float factor, float* dstudent, store mode, float* scratch);
/// sums.correct counts the rows whose label is among the `top` largest logits (ties by smaller index).
void count_correct(cudaStream_t stream, int rows, int classes, float const* logits, std::int32_t const* labels, int top,
                   float* scratch);
/// sums.bad > 0 where a value is infinite or NaN; scratch: loss_floats(finite_blocks)
inline constexpr int finite_blocks = 256;
void find_not_finite(cudaStream_t stream, std::int64_t n, float const* x, float* scratch);

/// Embeddings and weights of NT-Xent as halves, see contrastive.cuh.
inline constexpr int split_parts = 4;  // of a row of embeddings
inline constexpr float split_scale = 16384;
/// halves = the rows of h, normalized, scaled and split
void split_embeddings(cudaStream_t stream, int rows, int channels, float const* h, half* halves, float* inverse_norm);
/// logits[i - first, j] holds u_i . u_j / temperature for rows first .. first + count - 1 of 2 * pairs. Per row: the
/// log-sum-exp over j != i, pull = P_i,pos - 1, and the terms of loss_sums (5 per row).
void contrastive_rows(cudaStream_t stream, contrastive_geometry const& g, int first, int count, float const* logits,
                      float* log_sum_exp, float* pull, float* row_terms);
/// logits become P - Y + transpose(P - Y), 0 on the diagonal.
void contrastive_weights(cudaStream_t stream, contrastive_geometry const& g, int first, int count,
                         float const* log_sum_exp, float const* pull, float* logits);
/// The same, scaled, each as the two halves (hi, lo / 2).
void contrastive_split_weights(cudaStream_t stream, contrastive_geometry const& g, int first, int count,
                               float const* log_sum_exp, float const* pull, float* logits);
/// The gradient of rows first .. first + count - 1 of h; products[parts][count][2 channels] is overwritten.
void contrastive_gradient(cudaStream_t stream, contrastive_geometry const& g, int first, int count, int parts,
                          float* products, half const* halves, float const* inverse_norm, float* dh, store mode);
/// sums[5] = the terms added up in row order.
void sum_row_terms(cudaStream_t stream, int rows, float const* row_terms, float* sums);

// --- step.cuh ------------------------------------------------------------------------------------------------------------
/// *to = value, for the structs of running_step.hpp
template <class T>
void store_value(cudaStream_t stream, T const& value, T* to);
/// The loss of these sums, the mean over `rows` rows (0: over the labeled ones) times a factor; `first`: with accuracy
/// and entropy.
void add_to_tally(cudaStream_t stream, loss_sums const* sums, float rows, float factor, bool first,
                  replay_numbers const* replay, loss_tally* tally);
/// y *= the loss scale
void scale_by(cudaStream_t stream, std::int64_t n, scale_numbers const* scaling, float* y);
/// Notes whether find_not_finite found something.
void note_not_finite(cudaStream_t stream, loss_sums const* sums, scale_numbers* scaling);
/// After an update: half the scale where it was skipped, twice the scale after `interval` that were not.
void adjust_scale(cudaStream_t stream, int interval, scale_numbers* scaling);

}  // namespace tempera::cuda_kernels
