// SPDX-License-Identifier: Apache-2.0
#pragma once
// The statistics of batch norm: mean and variance of a map in one pass (columns.cuh), and the moving averages of both.

#include <tempera/cuda/columns.cuh>
#include <tempera/cuda/launch.hpp>

namespace tempera::cuda_kernels {

template <class T>
struct statistics_work : any_channels {
    T const* x;

    template <int Width>
    __device__ pack<T, Width> load(std::int64_t i) const {
        return load_pack<Width>(x + i);
    }
    template <int Width>
    __device__ void operator()(std::int64_t, pack<T, Width> const& in, nothing<Width>, moments (&total)[Width]) const {
        float const share = 1 / (total[0].count() + 1);
        for (int k = 0; k < Width; ++k) total[k].add(as_float(in.at[k]), share);
    }
};
__device__ inline float moved(float moving, float decay, float batch) { return decay * moving + (1 - decay) * batch; }

struct finish_statistics {
    batch_norm_statistics_target to;
    __device__ void operator()(int c, moments const& total) const {
        float const variance = total.squares() / total.count();
        to.mean[c] = total.mean();
        to.variance[c] = variance;
        if (to.moving_mean == nullptr) return;
        float const moving_mean = moved(to.moving_mean[c], to.decay, total.mean());
        float const moving_variance = moved(to.moving_variance[c], to.decay, to.factor * variance);
        to.moving_mean[c] = moving_mean;
        to.moving_variance[c] = moving_variance;
    }
};
template <class T>
void batch_norm_statistics(cudaStream_t stream, batch_norm_geometry const& g, T const* x,
                           batch_norm_statistics_target const& target, float* scratch) {
    columns<T, moments>(stream, g.rows, g.channels, statistics_work<T>{{}, x}, {x}, finish_statistics{target}, scratch);
}

struct moving_at {
    float decay;
    float factor;
    float const* mean;
    float const* variance;
    float* moving_mean;
    float* moving_variance;
    __device__ void operator()(std::int64_t c) const {
        moving_mean[c] = moved(moving_mean[c], decay, mean[c]);
        moving_variance[c] = moved(moving_variance[c], decay, factor * variance[c]);
    }
};
inline void batch_norm_moving(cudaStream_t stream, int channels, float decay, float factor, float const* mean,
                              float const* variance, float* moving_mean, float* moving_variance) {
    each(stream, channels, moving_at{decay, factor, mean, variance, moving_mean, moving_variance});
}

}  // namespace tempera::cuda_kernels
