// SPDX-License-Identifier: Apache-2.0
#pragma once
// Kernels around a training step (running_step.hpp): one thread that puts numbers where the step reads them, adds a loss
// to the tally, or adjusts the loss scale; and the gradient times the loss scale.

#include <tempera/cuda/each.cuh>
#include <tempera/cuda/launch_losses.hpp>

namespace tempera::cuda_kernels {

template <class T>
__global__ void store_value_kernel(T value, T* to) {
    *to = value;
}
/// Arguments are copied when a kernel is launched: the host may go on at once.
template <class T>
void store_value(cudaStream_t stream, T const& value, T* to) {
    launch(store_value_kernel<T>, dim3(1), dim3(1), stream, value, to);
}

static __global__ void add_to_tally_kernel(loss_sums const* sums, float rows, float factor, bool first,
                                           replay_numbers const* replay, loss_tally* tally) {
    float const counted = rows > 0 ? rows : sums->labeled;
    tally->bad += sums->bad;
    if (!(counted > 0)) return;
    double const weight = replay != nullptr ? replay->weight : 1;
    tally->loss += weight * (factor * (sums->loss / counted));
    if (!first) return;
    tally->accuracy += weight * (sums->correct / counted);
    tally->entropy += weight * (sums->entropy / counted);
}
inline void add_to_tally(cudaStream_t stream, loss_sums const* sums, float rows, float factor, bool first,
                         replay_numbers const* replay, loss_tally* tally) {
    launch(add_to_tally_kernel, dim3(1), dim3(1), stream, sums, rows, factor, first, replay, tally);
}

struct scale_by_at {
    scale_numbers const* scaling;
    float* y;
    __device__ void operator()(std::int64_t i) const { y[i] *= scaling->scale; }
};
inline void scale_by(cudaStream_t stream, std::int64_t n, scale_numbers const* scaling, float* y) {
    each(stream, n, scale_by_at{scaling, y});
}

static __global__ void note_not_finite_kernel(loss_sums const* sums, scale_numbers* scaling) {
    scaling->not_finite = sums->bad;
}
inline void note_not_finite(cudaStream_t stream, loss_sums const* sums, scale_numbers* scaling) {
    launch(note_not_finite_kernel, dim3(1), dim3(1), stream, sums, scaling);
}

static __global__ void adjust_scale_kernel(int interval, scale_numbers* scaling) {
    constexpr float largest = 16777216;
    if (scaling->not_finite > 0) {
        scaling->scale = fmaxf(scaling->scale / 2, 1);
        scaling->good_steps = 0;
        ++scaling->skipped;
    } else if (++scaling->good_steps >= interval) {
        scaling->scale = fminf(scaling->scale * 2, largest);
        scaling->good_steps = 0;
    }
}
inline void adjust_scale(cudaStream_t stream, int interval, scale_numbers* scaling) {
    launch(adjust_scale_kernel, dim3(1), dim3(1), stream, interval, scaling);
}

}  // namespace tempera::cuda_kernels
