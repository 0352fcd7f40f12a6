// SPDX-License-Identifier: Apache-2.0
#pragma once
// NT-Xent over tiles of logits (SimCLR eq. 1). A tile holds S_ij = u_i . u_j / tau for some rows i and all 2N columns j;
// cuBLAS makes it, twice: once for the loss of each row, once for the weights W of the gradient.
//   x_i = log sum_{j not i, pos} exp(S_ij) - S_i,pos      loss_i = log(1 + exp x_i)      lse_i = S_i,pos + loss_i
//   dU = 1 / (N tau) W U      W_ij = exp(S_ij - lse_i) + exp(S_ij - lse_j), minus 2 where j = pos, 0 where j = i
// 1 - P_i,pos = 1 - exp(-loss_i) is small when training has gone far: it is computed without subtracting from 1.
//
// Normalized rows and weights are bounded: they are scaled by 2^14 and split in two halves, v = hi + lo to 22 bits, so
// that tensor cores multiply them as exactly as float32 does. A row of embeddings lies in memory as [hi lo hi hi]:
//   S from its first three parts times the last three of another row, hi lo + lo hi + hi hi, the small terms first;
//   W U from the pairs (hi, lo / 2) of the weights times the two rows [hi lo] and [hi hi], whose columns are added up:
//   hi hi + hi lo + 2 (lo / 2) hi.

#include <tempera/cuda/losses.cuh>
#include <tempera/cuda/normalize.cuh>

namespace tempera::cuda_kernels {

struct split_float {
    half high;
    half low;
    __device__ explicit split_float(float scaled) {
        put(high, scaled);
        put(low, scaled - as_float(high));
    }
};

static __global__ void split_embeddings_kernel(int channels, float const* h, half* halves, float* inverse_norm) {
    std::int64_t const row = blockIdx.x;
    h += row * channels;
    halves += row * split_parts * channels;
    float sum = 0;
    for (int c = thread_index(); c < channels; c += row_threads) sum += h[c] * h[c];
    float const inverse = inverse_root(block_sum(sum));
    for (int c = thread_index(); c < channels; c += row_threads) {
        split_float const u(h[c] * inverse * split_scale);
        halves[c] = u.high;
        halves[channels + c] = u.low;
        halves[2 * channels + c] = u.high;
        halves[3 * channels + c] = u.high;
    }
    if (threadIdx.x == 0) inverse_norm[row] = inverse;
}
inline void split_embeddings(cudaStream_t stream, int rows, int channels, float const* h, half* halves,
                             float* inverse_norm) {
    launch_rows(split_embeddings_kernel, rows, stream, channels, h, halves, inverse_norm);
}

/// Sums over logits s, relative to the largest one so far.
struct running_softmax {
    float largest = -INFINITY;
    float sum = 0;     ///< of exp(s - largest)
    float spread = 0;  ///< of exp(s - largest) (largest - s)

    /// All logits but number `skip`.
    template <int Width>
    __device__ void add(pack<float, Width> const& s, int skip = -1) {
        float top = -INFINITY;
        for (int k = 0; k < Width; ++k)
            if (k != skip) top = larger_float{}(top, s.at[k]);
        raise(top);
        for (int k = 0; k < Width; ++k) {
            float const below = largest - s.at[k];
            float const e = expf(-below);
            if (k == skip) continue;
            sum += e;
            spread += e * below;
        }
    }
    /// Relative to `top` where that is larger, or NaN.
    __device__ void raise(float top) {
        if (top <= largest) return;
        if (sum > 0) {
            float const rise = top - largest;
            float const factor = expf(-rise);
            spread = factor * (spread + rise * sum);
            sum *= factor;
        }
        largest = top;
    }
    /// The sums of all threads. All must call it.
    template <int Threads>
    __device__ void reduce() {
        raise(block_max<Threads>(largest));
        sum = block_sum<Threads>(sum);
        spread = block_sum<Threads>(spread);
    }
    __device__ float log_sum() const { return largest + logf(sum); }
    /// In nats: nothing large is subtracted where it is small.
    __device__ float entropy() const { return logf(sum) + spread / sum; }
};

/// Loss of every row; accuracy and entropy of the rows of view a among the N embeddings of view b.
template <int Width, int Threads>
__global__ void __launch_bounds__(Threads)
    contrastive_rows_kernel(contrastive_geometry g, int first, float const* logits, float* log_sum_exp, float* pull,
                            float* row_terms) {
    int const i = first + static_cast<int>(blockIdx.x);
    bool const of_a = i < g.pairs;
    int const positive = of_a ? i + g.pairs : i - g.pairs;
    float const* const row = logits + std::int64_t{blockIdx.x} * 2 * g.pairs;
    float const pulled = row[positive];

    running_softmax own;  // the view of row i, without i
    int const begin = of_a ? 0 : g.pairs;
    for (int j = begin + thread_index() * Width; j < begin + g.pairs; j += Threads * Width)
        own.add(load_pack<Width>(row + j), i - j);
    running_softmax across;  // the other view, without the positive
    float before = 0;        // how many stand before the positive
    int const other = g.pairs - begin;
    for (int j = other + thread_index() * Width; j < other + g.pairs; j += Threads * Width) {
        auto const s = load_pack<Width>(row + j);
        across.add(s, positive - j);
        for (int k = 0; k < Width; ++k)
            if (j + k != positive && (!(s.at[k] <= pulled) || (j + k < positive && s.at[k] == pulled))) before += 1;
    }
    own.reduce<Threads>();
    across.reduce<Threads>();
    before = block_sum<Threads>(before);
    if (threadIdx.x != 0) return;

    running_softmax negatives = own;
    negatives.raise(across.largest);
    running_softmax same_scale = across;
    same_scale.raise(own.largest);
    negatives.sum += same_scale.sum;
    float const x = negatives.log_sum() - pulled;
    float const loss = x > 0 ? x + log1pf(expf(-x)) : log1pf(expf(x));
    log_sum_exp[i] = pulled + loss;
    pull[i] = expm1f(-loss);
    across.add(pack<float, 1>{{pulled}});
    float* const out = row_terms + std::int64_t{i} * terms_per_row;
    out[0] = loss;
    out[1] = of_a && before < 1 ? 1 : 0;
    out[2] = of_a ? across.entropy() : 0;
    out[3] = 1;
    out[4] = 0;
}
/// Whether rows of a tile, and their halves, can be read in packs.
inline bool rows_in_packs(contrastive_geometry const& g, void const* tile) {
    return g.pairs % 4 == 0 && aligned_to_packs(tile);
}
inline void contrastive_rows(cudaStream_t stream, contrastive_geometry const& g, int first, int count,
                             float const* logits, float* log_sum_exp, float* pull, float* row_terms) {
    constexpr int most = 1024;  // for tiles of few long rows
    bool const packs = rows_in_packs(g, logits);
    if (g.pairs >= 8 * most) {
        auto const kernel = packs ? contrastive_rows_kernel<4, most> : contrastive_rows_kernel<1, most>;
        launch_rows<most>(kernel, count, stream, g, first, logits, log_sum_exp, pull, row_terms);
    } else {
        auto const kernel = packs ? contrastive_rows_kernel<4, row_threads> : contrastive_rows_kernel<1, row_threads>;
        launch_rows(kernel, count, stream, g, first, logits, log_sum_exp, pull, row_terms);
    }
}

/// Grid: rows x parts of their columns.
template <int Width, bool Split>
__global__ void contrastive_weights_kernel(contrastive_geometry g, int first, float const* log_sum_exp,
                                           float const* pull, float* logits) {
    int const rows = 2 * g.pairs;
    int const i = first + static_cast<int>(blockIdx.x);
    int const positive = i < g.pairs ? i + g.pairs : i - g.pairs;
    float const lse = log_sum_exp[i];
    float const pulls = pull[i] + pull[positive];
    float* const row = logits + std::int64_t{blockIdx.x} * rows;
    int const step = static_cast<int>(gridDim.y) * row_threads * Width;
    for (int j = (static_cast<int>(blockIdx.y) * row_threads + thread_index()) * Width; j < rows; j += step) {
        auto w = load_pack<Width>(row + j);
        auto const lse_of_j = load_pack<Width>(log_sum_exp + j);
        for (int k = 0; k < Width; ++k) {
            float const s = w.at[k];
            w.at[k] = expf(s - lse) + expf(s - lse_of_j.at[k]);
            if (j + k == positive) w.at[k] = pulls;
            if (j + k == i) w.at[k] = 0;
        }
        if constexpr (Split) {
            pack<half, 2 * Width> pairs;
            for (int k = 0; k < Width; ++k) {
                split_float const v(w.at[k] * split_scale);
                pairs.at[2 * k] = v.high;
                put(pairs.at[2 * k + 1], as_float(v.low) / 2);
            }
            store_pack(reinterpret_cast<half*>(row + j), pairs);
        } else {
            store_pack(row + j, w);
        }
    }
}
template <bool Split>
void start_contrastive_weights(cudaStream_t stream, contrastive_geometry const& g, int first, int count,
                               float const* log_sum_exp, float const* pull, float* logits) {
    constexpr int packs_of_thread = 4;
    auto const start = [&](auto kernel, int width) {
        int const of_block = row_threads * width * packs_of_thread;
        dim3 const grid(static_cast<unsigned>(count), static_cast<unsigned>((2 * g.pairs + of_block - 1) / of_block));
        launch(kernel, grid, dim3(row_threads), stream, g, first, log_sum_exp, pull, logits);
    };
    if (rows_in_packs(g, logits) && aligned_to_packs(log_sum_exp)) start(contrastive_weights_kernel<4, Split>, 4);
    else start(contrastive_weights_kernel<1, Split>, 1);
}
inline void contrastive_weights(cudaStream_t stream, contrastive_geometry const& g, int first, int count,
                                float const* log_sum_exp, float const* pull, float* logits) {
    start_contrastive_weights<false>(stream, g, first, count, log_sum_exp, pull, logits);
}
inline void contrastive_split_weights(cudaStream_t stream, contrastive_geometry const& g, int first, int count,
                                      float const* log_sum_exp, float const* pull, float* logits) {
    start_contrastive_weights<true>(stream, g, first, count, log_sum_exp, pull, logits);
}

/// du = the parts of W U, [left + right], added up in order; then as in normalize.cuh.
static __global__ void contrastive_gradient_kernel(int channels, int first, int parts, float* products,
                                                   half const* halves, float const* inverse_norm, float* dh,
                                                   store mode) {
    std::int64_t const row = first + static_cast<int>(blockIdx.x);
    std::int64_t const part = std::int64_t{gridDim.x} * 2 * channels;
    float* const du = products + std::int64_t{blockIdx.x} * 2 * channels;
    half const* const high = halves + row * split_parts * channels;
    auto const u = [&](int c) { return (as_float(high[c]) + as_float(high[channels + c])) / split_scale; };
    float sum = 0;
    for (int c = thread_index(); c < channels; c += row_threads) {
        float total = 0;
        for (int p = 0; p < parts; ++p) total += du[p * part + c] + du[p * part + channels + c];
        du[c] = total;
        sum += u(c) * total;
    }
    sum = block_sum(sum);
    float const inverse = inverse_norm[row];
    float const along = inverse >= inverse_root(0) ? 0 : sum;
    for (int c = thread_index(); c < channels; c += row_threads)
        put(dh[row * channels + c], inverse * (du[c] - u(c) * along), mode);
}
inline void contrastive_gradient(cudaStream_t stream, contrastive_geometry const& g, int first, int count, int parts,
                                 float* products, half const* halves, float const* inverse_norm, float* dh,
                                 store mode) {
    launch_rows(contrastive_gradient_kernel, count, stream, g.channels, first, parts, products, halves, inverse_norm,
                dh, mode);
}

}  // namespace tempera::cuda_kernels
