// SPDX-License-Identifier: Apache-2.0
#pragma once
// Kernels of device/optimizers.hpp over all ranges at once: block (range, split), whatever the number of tensors. LARS
// takes two launches, one for the norms' partial sums, one for the update; Adam one for its rate, one for the update.

#include <cmath>

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

/// The blocks that a range needs; those of its norm_splits beyond have nothing to do.
__device__ inline unsigned splits_of(update_range const& range) {
    std::int64_t const needed = (range.count + row_threads - 1) / row_threads;
    return static_cast<unsigned>(needed < norm_splits ? needed : norm_splits);
}

/// function(i) for every element of this block's part of its range.
template <class Function>
__device__ void each_of_range(update_range const& range, Function const& function) {
    std::int64_t const step = std::int64_t{gridDim.y} * row_threads;
    for (std::int64_t i = std::int64_t{blockIdx.y} * row_threads + threadIdx.x; i < range.count; i += step)
        function(range.offset + i);
}

/// Momentum with a trust ratio, see device/optimizers.hpp. sgd is the case trust = 1.
struct momentum_step {
    lars_update u;
    float* w;
    float const* g;
    float* momentum;
    float weight_decay;
    float factor;  ///< of the gradient

    __device__ float gradient(std::int64_t i) const { return factor * g[i] + weight_decay * w[i]; }
    /// What the trust ratio compares |w| with: the gradient, or the update made of it. Writes nothing.
    __device__ float measured(std::int64_t i) const {
        float const gradient_i = gradient(i);
        if (u.classic_momentum) return gradient_i;
        float const v = u.momentum * momentum[i] + gradient_i;
        return u.nesterov ? u.momentum * v + gradient_i : v;
    }
    __device__ void apply(std::int64_t i, float trust) const {
        float const rate = u.learning_rate * trust;
        float const step = u.classic_momentum ? rate * gradient(i) : gradient(i);
        float const v = u.momentum * momentum[i] + step;
        float const update = u.nesterov ? u.momentum * v + step : v;
        momentum[i] = v;
        w[i] -= u.classic_momentum ? update : rate * update;
    }
};

struct square_sums {
    momentum_step step;
    float* total;  ///< |w|^2, |measured|^2 of one thread
    __device__ void operator()(std::int64_t i) const {
        float const m = step.measured(i);
        total[0] += step.w[i] * step.w[i];
        total[1] += m * m;
    }
};
static __global__ void lars_norms(lars_update u, update_memory memory, update_range const* ranges, float* w,
                                  float const* g, float* momentum, float* partial) {
    update_range const range = ranges[blockIdx.x];
    if (blockIdx.y >= splits_of(range)) return;
    float total[2] = {0, 0};
    each_of_range(range, square_sums{{u, w, g, momentum, range.weight_decay, unscale(memory)}, total});
    float const w_sum = block_sum(total[0]);
    float const m_sum = block_sum(total[1]);
    if (threadIdx.x != 0) return;
    float* const out = partial + (std::int64_t{blockIdx.x} * norm_splits + blockIdx.y) * 2;
    out[0] = w_sum;
    out[1] = m_sum;
}

struct momentum_at {
    momentum_step step;
    float trust;
    __device__ void operator()(std::int64_t i) const { step.apply(i, trust); }
};
/// partial null: trust = 1.
static __global__ void momentum_kernel(lars_update u, update_memory memory, update_range const* ranges, float* w,
                                       float const* g, float* momentum, float const* partial) {
    if (skips(memory)) return;
    update_range const range = ranges[blockIdx.x];
    float trust = 1;
    if (partial != nullptr && range.adapt) {
        float w_sum = 0;
        float m_sum = 0;
        for (unsigned split = 0; split < splits_of(range); ++split) {
            w_sum += partial[(std::int64_t{blockIdx.x} * norm_splits + split) * 2];
            m_sum += partial[(std::int64_t{blockIdx.x} * norm_splits + split) * 2 + 1];
        }
        if (w_sum > 0 && m_sum > 0) trust = u.eta * sqrtf(w_sum) / sqrtf(m_sum);
    }
    each_of_range(range, momentum_at{{now(u, memory), w, g, momentum, range.weight_decay, unscale(memory)}, trust});
}

inline void apply_lars(cudaStream_t stream, lars_update const& u, update_memory const& memory, int count,
                       update_range const* ranges, float* w, float const* g, float* momentum, float* scratch) {
    if (count == 0) return;
    dim3 const grid(static_cast<unsigned>(count), norm_splits);
    launch(lars_norms, grid, dim3(row_threads), stream, u, memory, ranges, w, g, momentum, scratch);
    launch(momentum_kernel, grid, dim3(row_threads), stream, u, memory, ranges, w, g, momentum, scratch);
}

inline void apply_sgd(cudaStream_t stream, sgd_update const& u, update_memory const& memory, int count,
                      update_range const* ranges, float* w, float const* g, float* momentum) {
    if (count == 0) return;
    lars_update plain;
    plain.learning_rate = u.learning_rate;
    plain.momentum = u.momentum;
    plain.nesterov = u.nesterov;
    plain.classic_momentum = u.classic_momentum;
    float const* const no_norms = nullptr;
    launch(momentum_kernel, dim3(static_cast<unsigned>(count), norm_splits), dim3(row_threads), stream, plain, memory,
           ranges, w, g, momentum, no_norms);
}

/// rate = lr sqrt(1 - beta2^step) / (1 - beta1^step), by one thread: powers in double are slow.
static __global__ void adam_rate_kernel(adam_update u, update_memory memory, float* rate) {
    auto const step = static_cast<double>(u.step + (memory.replay != nullptr ? memory.replay->later_updates : 0));
    double const learning_rate = now(u, memory).learning_rate;
    *rate = static_cast<float>(learning_rate * sqrt(1 - pow(double{u.beta2}, step)) / (1 - pow(double{u.beta1}, step)));
}

struct adam_at {
    adam_update u;
    float weight_decay;
    float factor;  ///< of the gradient
    float rate;
    float* w;
    float const* g;
    float* first;
    float* second;
    __device__ void operator()(std::int64_t i) const {
        float const gradient = factor * g[i] + weight_decay * w[i];
        first[i] = u.beta1 * first[i] + (1 - u.beta1) * gradient;
        second[i] = u.beta2 * second[i] + (1 - u.beta2) * (gradient * gradient);
        w[i] -= rate * first[i] / (sqrtf(second[i]) + u.epsilon);
    }
};
static __global__ void adam_kernel(adam_update u, update_memory memory, float const* rate, update_range const* ranges,
                                   float* w, float const* g, float* first, float* second) {
    if (skips(memory)) return;
    update_range const range = ranges[blockIdx.x];
    each_of_range(range, adam_at{u, range.weight_decay, unscale(memory), *rate, w, g, first, second});
}
inline void apply_adam(cudaStream_t stream, adam_update const& u, update_memory const& memory, int count,
                       update_range const* ranges, float* w, float const* g, float* first, float* second,
                       float* scratch) {
    if (count == 0) return;
    launch(adam_rate_kernel, dim3(1), dim3(1), stream, u, memory, scratch);
    launch(adam_kernel, dim3(static_cast<unsigned>(count), norm_splits), dim3(row_threads), stream, u, memory, scratch,
           ranges, w, g, first, second);
}

struct ema_at {
    float decay;
    float const* w;
    float* average;
    __device__ void operator()(std::int64_t i) const { average[i] = decay * average[i] + (1 - decay) * w[i]; }
};
inline void apply_ema(cudaStream_t stream, std::int64_t n, float decay, float const* w, float* average) {
    each(stream, n, ema_at{decay, w, average});
}

}  // namespace tempera::cuda_kernels
