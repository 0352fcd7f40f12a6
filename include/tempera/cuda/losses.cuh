// SPDX-License-Identifier: Apache-2.0
#pragma once
// Kernels of the softmax losses of device/losses.hpp, a block per row. Each row leaves its terms; they are added up in
// row order, so that the value does not depend on scheduling; the gradient follows, divided by what was counted.

#include <tempera/cuda/launch_losses.hpp>
#include <tempera/cuda/rows.cuh>

namespace tempera::cuda_kernels {

constexpr int terms_per_row = 5;  // the members of loss_sums
constexpr int sums_floats = 8;    // room for them at the beginning of scratch

__device__ inline int thread_index() { return static_cast<int>(threadIdx.x); }

/// Softmax of one row of z / temperature, kept relative to its largest logit so that little is lost in differences.
struct softmax_row {
    float temperature;
    float largest;
    float sum;      ///< of exp(z / temperature - largest)
    float log_sum;  ///< its logarithm

    __device__ softmax_row(float const* z, int classes, float temperature_) : temperature(temperature_) {
        largest = -INFINITY;
        for (int c = thread_index(); c < classes; c += row_threads)
            largest = larger_float{}(largest, z[c] / temperature);
        largest = block_max(largest);
        sum = 0;
        for (int c = thread_index(); c < classes; c += row_threads) sum += expf(above(z[c]));
        sum = block_sum(sum);
        log_sum = logf(sum);
    }
    /// How far a logit lies from the largest one: at most 0.
    __device__ float above(float logit) const { return logit / temperature - largest; }
    __device__ float probability(float logit) const { return expf(above(logit)) / sum; }
    /// In nats, as a sum of -p log p: nothing large is subtracted where the entropy is small. All threads must call it.
    __device__ float entropy(float const* z, int classes) const {
        float surprise = 0;
        for (int c = thread_index(); c < classes; c += row_threads)
            surprise += probability(z[c]) * (log_sum - above(z[c]));
        return block_sum(surprise);
    }
};

/// How many logits stand before z[label]: larger ones, and equal ones with a smaller index. NaN stands before all.
__device__ inline float rank_of(float const* z, int classes, int label) {
    float before = 0;
    for (int c = thread_index(); c < classes; c += row_threads)
        if (c != label && (!(z[c] <= z[label]) || (c < label && z[c] == z[label]))) before += 1;
    return block_sum(before);
}

static __global__ void cross_entropy_rows(int classes, float const* logits, std::int32_t const* labels, float smoothing,
                                          float* terms) {
    float const* const z = logits + std::int64_t{blockIdx.x} * classes;
    int const label = labels[blockIdx.x];
    bool const labeled = label >= 0 && label < classes;
    softmax_row const row(z, classes, 1);
    float sum = 0;
    for (int c = thread_index(); c < classes; c += row_threads) sum += row.above(z[c]);
    sum = block_sum(sum);
    float const entropy = row.entropy(z, classes);
    float const rank = rank_of(z, classes, labeled ? label : 0);
    if (threadIdx.x != 0) return;
    float* const out = terms + std::int64_t{blockIdx.x} * terms_per_row;
    float const aim =
        labeled ? (1 - smoothing) * row.above(z[label]) + smoothing * (sum / static_cast<float>(classes)) : 0;
    out[0] = labeled ? row.log_sum - aim : 0;
    out[1] = labeled && rank < 1 ? 1 : 0;
    out[2] = labeled ? entropy : 0;
    out[3] = labeled ? 1 : 0;
    out[4] = labeled || label == -1 ? 0 : 1;
}

static __global__ void cross_entropy_gradient(int classes, float const* logits, std::int32_t const* labels,
                                              float smoothing, float mean_over, float weight, float const* sums,
                                              float* dlogits, store mode) {
    float const* const z = logits + std::int64_t{blockIdx.x} * classes;
    float* const dz = dlogits + std::int64_t{blockIdx.x} * classes;
    int const label = labels[blockIdx.x];
    bool const labeled = label >= 0 && label < classes;
    softmax_row const row(z, classes, 1);
    float const factor = labeled ? weight / (mean_over > 0 ? mean_over : sums[3]) : 0;
    float const rest = smoothing / static_cast<float>(classes);
    for (int c = thread_index(); c < classes; c += row_threads) {
        float const q = rest + (c == label ? 1 - smoothing : 0);
        put(dz[c], labeled ? factor * (row.probability(z[c]) - q) : 0, mode);
    }
}

/// sums[k] = sum over rows of terms[row][k], a block each.
static __global__ void sum_row_terms_kernel(int rows, float const* terms, float* sums) {
    auto const k = static_cast<int>(blockIdx.x);
    float sum = 0;
    for (int row = thread_index(); row < rows; row += row_threads) sum += terms[std::int64_t{row} * terms_per_row + k];
    sum = block_sum(sum);
    if (threadIdx.x == 0) sums[k] = sum;
}
inline void sum_row_terms(cudaStream_t stream, int rows, float const* row_terms, float* sums) {
    launch(sum_row_terms_kernel, dim3(terms_per_row), dim3(row_threads), stream, rows, row_terms, sums);
}

inline void softmax_cross_entropy(cudaStream_t stream, int rows, int classes, float const* logits,
                                  std::int32_t const* labels, float smoothing, float mean_over, float weight,
                                  float* dlogits, store mode, float* scratch) {
    float* const terms = scratch + sums_floats;
    launch_rows(cross_entropy_rows, rows, stream, classes, logits, labels, smoothing, terms);
    sum_row_terms(stream, rows, terms, scratch);
    if (dlogits != nullptr)
        launch_rows(cross_entropy_gradient, rows, stream, classes, logits, labels, smoothing, mean_over, weight,
                    scratch, dlogits, mode);
}

/// Value and gradient of one row of -sum P_T log P_S, both at the temperature.
static __global__ void distillation_rows(distillation_geometry g, float const* student, float const* teacher,
                                         float factor, float* dstudent, store mode, float* terms) {
    float const* const s = student + std::int64_t{blockIdx.x} * g.classes;
    float const* const t = teacher + std::int64_t{blockIdx.x} * g.classes;
    softmax_row const row_s(s, g.classes, g.temperature);
    softmax_row const row_t(t, g.classes, g.temperature);
    float cross = 0;
    float favourite = static_cast<float>(g.classes);  // first class with the teacher's largest logit
    for (int c = thread_index(); c < g.classes; c += row_threads) {
        float const p_s = row_s.probability(s[c]);
        float const p_t = row_t.probability(t[c]);
        cross += p_t * row_s.above(s[c]);
        if (t[c] / g.temperature >= row_t.largest) favourite = fminf(favourite, static_cast<float>(c));
        if (dstudent != nullptr) put(dstudent[std::int64_t{blockIdx.x} * g.classes + c], factor * (p_s - p_t), mode);
    }
    cross = block_sum(cross);
    float const entropy = row_s.entropy(s, g.classes);
    auto const target = static_cast<int>(-block_max(-favourite));
    bool const known = target < g.classes;  // false only where the teacher's logits are NaN
    float const rank = rank_of(s, g.classes, known ? target : 0);
    if (threadIdx.x != 0) return;
    float* const out = terms + std::int64_t{blockIdx.x} * terms_per_row;
    out[0] = row_s.log_sum - cross;
    out[1] = known && rank < 1 ? 1 : 0;
    out[2] = entropy;
    out[3] = 1;
    out[4] = 0;
}
inline void distillation_term(cudaStream_t stream, distillation_geometry const& g, float const* student,
                              float const* teacher, float factor, float* dstudent, store mode, float* scratch) {
    float* const terms = scratch + sums_floats;
    launch_rows(distillation_rows, g.rows, stream, g, student, teacher, factor, dstudent, mode, terms);
    sum_row_terms(stream, g.rows, terms, scratch);
}

static __global__ void count_correct_rows(int classes, float const* logits, std::int32_t const* labels, int top,
                                          float* terms) {
    int const label = labels[blockIdx.x];
    bool const labeled = label >= 0 && label < classes;
    float const rank = rank_of(logits + std::int64_t{blockIdx.x} * classes, classes, labeled ? label : 0);
    if (threadIdx.x != 0) return;
    float* const out = terms + std::int64_t{blockIdx.x} * terms_per_row;
    out[0] = 0;
    out[1] = labeled && rank < static_cast<float>(top) ? 1 : 0;
    out[2] = 0;
    out[3] = labeled ? 1 : 0;
    out[4] = labeled || label == -1 ? 0 : 1;
}
inline void count_correct(cudaStream_t stream, int rows, int classes, float const* logits, std::int32_t const* labels,
                          int top, float* scratch) {
    float* const terms = scratch + sums_floats;
    launch_rows(count_correct_rows, rows, stream, classes, logits, labels, top, terms);
    sum_row_terms(stream, rows, terms, scratch);
}

/// terms[block][4] = 1 where the block saw a value that is not finite.
static __global__ void not_finite_kernel(std::int64_t n, float const* x, float* terms) {
    std::int64_t const step = std::int64_t{gridDim.x} * row_threads;
    float seen = 0;
    for (std::int64_t i = std::int64_t{blockIdx.x} * row_threads + threadIdx.x; i < n; i += step)
        if (!(x[i] - x[i] == 0)) seen = 1;
    seen = block_max(seen);
    if (threadIdx.x != 0) return;
    for (int k = 0; k < terms_per_row; ++k) terms[std::int64_t{blockIdx.x} * terms_per_row + k] = k == 4 ? seen : 0;
}
inline void find_not_finite(cudaStream_t stream, std::int64_t n, float const* x, float* scratch) {
    float* const terms = scratch + sums_floats;
    launch(not_finite_kernel, dim3(finite_blocks), dim3(row_threads), stream, n, x, terms);
    sum_row_terms(stream, finite_blocks, terms, scratch);
}

}  // namespace tempera::cuda_kernels
