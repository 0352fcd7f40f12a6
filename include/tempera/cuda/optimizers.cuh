// SPDX-License-Identifier: Apache-2.0
#pragma once
// Kernels of device/optimizers.hpp over all pieces of all ranges at once (update_pieces.hpp), a block for each, in packs of
// 16 bytes. LARS takes two launches, one for the squares of the pieces, one for the update; Adam one for its rate, one
// for the update. An update begins with the last piece: LARS has read that one last, and finds it in the second-level cache.

#include <cmath>

#include <tempera/cuda/channel_tiles.cuh>
#include <tempera/cuda/elementwise.cuh>
#include <tempera/cuda/launch.hpp>
#include <tempera/cuda/rows.cuh>

namespace tempera::cuda_kernels {

/// The update with this replay's learning rate.
template <class Update>
__device__ Update now(Update u, update_memory const& memory) {
    if (memory.replay != nullptr) u.learning_rate = memory.replay->learning_rate;
    return u;
}
/// Gradients times this are those of the loss. The scale is a power of two, so nothing is lost.
__device__ inline float unscale(update_memory const& memory) {
    return memory.scaling != nullptr ? 1 / memory.scaling->scale : 1;
}
__device__ inline bool skips(update_memory const& memory) {
    return memory.scaling != nullptr && memory.scaling->not_finite > 0;
}
inline __device__ update_piece from_the_last(update_pieces const& pieces) {
    return pieces.at[pieces.count - 1 - static_cast<int>(blockIdx.x)];
}

/// work(i, work.load<Width>(i)) for all elements of a piece, by the threads of a block: in packs where the arrays are
/// aligned to them there, one by one behind the last pack.
template <class Work, class... Arrays>
__device__ void over_piece(update_piece const& piece, Work const& work, Arrays const*... arrays) {
    constexpr int ahead = 2;
    constexpr int width = 4;
    auto const aligned = [&](auto const* array) {
        return reinterpret_cast<std::uintptr_t>(array + piece.offset) % (width * sizeof(float)) == 0;
    };
    int const packs = (aligned(arrays) && ...) ? piece.count / width : 0;
    int const done = packs * width;
    auto const thread = static_cast<int>(threadIdx.x);
    auto const of_thread = [thread](int all) { return (all - thread + row_threads - 1) / row_threads; };
    auto const use = [&](std::int64_t i, auto const& loaded) { work(i, loaded); };
    down_rows<ahead, width>(work, piece.offset + thread * width, row_threads * width, of_thread(packs), use);
    down_rows<ahead, 1>(work, piece.offset + done + thread, row_threads, of_thread(piece.count - done), use);
}

// --- LARS and SGD --------------------------------------------------------------------------------------------------------

/// Momentum with a trust ratio, see device/optimizers.hpp. sgd is the case trust = 1.
struct momentum_step {
    lars_update u;
    float* w;
    float const* g;
    float* momentum;
    float weight_decay;
    float factor;  ///< of the gradient

    template <int Width>
    struct values {
        pack<float, Width> w;
        pack<float, Width> g;
        pack<float, Width> momentum;

        __device__ float gradient(momentum_step const& step, int k) const {
            return step.factor * g.at[k] + step.weight_decay * w.at[k];
        }
    };
    /// What the momentum becomes, and the update made of it.
    struct moved {
        float momentum;
        float update;

        __device__ moved(lars_update const& u, float before, float step)
            : momentum(u.momentum * before + step), update(u.nesterov ? u.momentum * momentum + step : momentum) {}
    };
};

/// Sums of |w|^2 and of the square of what the trust ratio compares it with: the gradient, or the update made of it.
struct momentum_squares : momentum_step {
    float* total;

    template <int Width>
    __device__ values<Width> load(std::int64_t i) const {
        values<Width> v = {load_pack<Width>(w + i), load_pack<Width>(g + i), {}};
        if (!u.classic_momentum) v.momentum = load_pack<Width>(momentum + i);
        return v;
    }
    template <int Width>
    __device__ void operator()(std::int64_t, values<Width> const& v) const {
        for (int k = 0; k < Width; ++k) {
            float const gradient = v.gradient(*this, k);
            float const x = u.classic_momentum ? gradient : moved(u, v.momentum.at[k], gradient).update;
            total[0] += v.w.at[k] * v.w.at[k];
            total[1] += x * x;
        }
    }
};
static __global__ void lars_squares(lars_update u, update_memory memory, update_pieces pieces, float* w, float const* g,
                                    float* momentum, float* partial) {
    update_piece const piece = pieces.at[blockIdx.x];
    if (!piece.adapt) return;
    float total[2] = {0, 0};
    over_piece(piece, momentum_squares{{u, w, g, momentum, piece.weight_decay, unscale(memory)}, total}, w, g,
               momentum);
    float const w_sum = block_sum(total[0]);
    float const x_sum = block_sum(total[1]);
    if (threadIdx.x != 0) return;
    partial[2 * blockIdx.x] = w_sum;
    partial[2 * blockIdx.x + 1] = x_sum;
}

/// Of the piece's range, from the sums of its pieces.
__device__ inline float trust_of(update_piece const& piece, float eta, float const* partial) {
    float w_sum = 0;
    float x_sum = 0;
    for (int i = static_cast<int>(threadIdx.x); i < piece.pieces_of_range; i += row_threads) {
        w_sum += partial[2 * (piece.first_of_range + i)];
        x_sum += partial[2 * (piece.first_of_range + i) + 1];
    }
    w_sum = block_sum(w_sum);
    x_sum = block_sum(x_sum);
    return w_sum > 0 && x_sum > 0 ? eta * sqrtf(w_sum) / sqrtf(x_sum) : 1;
}
struct momentum_move : momentum_step {
    float rate;  ///< learning rate times trust

    template <int Width>
    __device__ values<Width> load(std::int64_t i) const {
        return {load_pack<Width>(w + i), load_pack<Width>(g + i), load_pack<Width>(momentum + i)};
    }
    template <int Width>
    __device__ void operator()(std::int64_t i, values<Width> v) const {
        for (int k = 0; k < Width; ++k) {
            float const gradient = v.gradient(*this, k);
            moved const to(u, v.momentum.at[k], u.classic_momentum ? rate * gradient : gradient);
            v.momentum.at[k] = to.momentum;
            v.w.at[k] -= u.classic_momentum ? to.update : rate * to.update;
        }
        store_pack(momentum + i, v.momentum);
        store_pack(w + i, v.w);
    }
};
/// partial null: trust = 1.
static __global__ void momentum_kernel(lars_update u, update_memory memory, update_pieces pieces, float* w,
                                       float const* g, float* momentum, float const* partial) {
    if (skips(memory)) return;
    update_piece const piece = from_the_last(pieces);
    float const trust = partial != nullptr && piece.adapt ? trust_of(piece, u.eta, partial) : 1;
    float const rate = now(u, memory).learning_rate * trust;
    over_piece(piece, momentum_move{{u, w, g, momentum, piece.weight_decay, unscale(memory)}, rate}, w, g, momentum);
}

inline void apply_lars(cudaStream_t stream, lars_update const& u, update_memory const& memory,
                       update_pieces const& pieces, float* w, float const* g, float* momentum, float* scratch) {
    launch_rows(lars_squares, pieces.count, stream, u, memory, pieces, w, g, momentum, scratch);
    launch_rows(momentum_kernel, pieces.count, stream, u, memory, pieces, w, g, momentum, scratch);
}

inline void apply_sgd(cudaStream_t stream, sgd_update const& u, update_memory const& memory,
                      update_pieces const& pieces, float* w, float const* g, float* momentum) {
    lars_update plain;
    plain.learning_rate = u.learning_rate;
    plain.momentum = u.momentum;
    plain.nesterov = u.nesterov;
    plain.classic_momentum = u.classic_momentum;
    float const* const no_squares = nullptr;
    launch_rows(momentum_kernel, pieces.count, stream, plain, memory, pieces, w, g, momentum, no_squares);
}

// --- Adam ----------------------------------------------------------------------------------------------------------------

/// rate = lr sqrt(1 - beta2^step) / (1 - beta1^step), by one thread: powers in double are slow.
static __global__ void adam_rate_kernel(adam_update u, update_memory memory, float* rate) {
    auto const step = static_cast<double>(u.step + (memory.replay != nullptr ? memory.replay->later_updates : 0));
    double const learning_rate = now(u, memory).learning_rate;
    *rate = static_cast<float>(learning_rate * sqrt(1 - pow(double{u.beta2}, step)) / (1 - pow(double{u.beta1}, step)));
}

struct adam_move {
    adam_update u;
    float weight_decay;
    float factor;  ///< of the gradient
    float rate;
    float* w;
    float const* g;
    float* first;
    float* second;

    template <int Width>
    struct values {
        pack<float, Width> w;
        pack<float, Width> g;
        pack<float, Width> first;
        pack<float, Width> second;
    };
    template <int Width>
    __device__ values<Width> load(std::int64_t i) const {
        return {load_pack<Width>(w + i), load_pack<Width>(g + i), load_pack<Width>(first + i),
                load_pack<Width>(second + i)};
    }
    template <int Width>
    __device__ void operator()(std::int64_t i, values<Width> v) const {
        for (int k = 0; k < Width; ++k) {
            float const gradient = factor * v.g.at[k] + weight_decay * v.w.at[k];
            v.first.at[k] = u.beta1 * v.first.at[k] + (1 - u.beta1) * gradient;
            v.second.at[k] = u.beta2 * v.second.at[k] + (1 - u.beta2) * (gradient * gradient);
            v.w.at[k] -= rate * v.first.at[k] / (sqrtf(v.second.at[k]) + u.epsilon);
        }
        store_pack(first + i, v.first);
        store_pack(second + i, v.second);
        store_pack(w + i, v.w);
    }
};
static __global__ void adam_kernel(adam_update u, update_memory memory, float const* rate, update_pieces pieces,
                                   float* w, float const* g, float* first, float* second) {
    if (skips(memory)) return;
    update_piece const piece = from_the_last(pieces);
    over_piece(piece, adam_move{u, piece.weight_decay, unscale(memory), *rate, w, g, first, second}, w, g, first,
               second);
}
inline void apply_adam(cudaStream_t stream, adam_update const& u, update_memory const& memory,
                       update_pieces const& pieces, float* w, float const* g, float* first, float* second,
                       float* scratch) {
    if (pieces.count == 0) return;
    launch(adam_rate_kernel, dim3(1), dim3(1), stream, u, memory, scratch);
    launch_rows(adam_kernel, pieces.count, stream, u, memory, scratch, pieces, w, g, first, second);
}

// --- EMA -----------------------------------------------------------------------------------------------------------------

struct moving_average {
    float decay;
    __device__ float operator()(float average, float w) const { return decay * average + (1 - decay) * w; }
};
inline void apply_ema(cudaStream_t stream, std::int64_t n, float decay, float const* w, float* average) {
    elementwise(stream, n, moving_average{decay}, store::write, average, static_cast<float const*>(average), w);
}

}  // namespace tempera::cuda_kernels
