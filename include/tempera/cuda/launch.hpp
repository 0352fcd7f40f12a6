// SPDX-License-Identifier: Apache-2.0
#pragma once
// The seam between the catalogue functions (plain C++) and the kernels (.cuh, compiled by nvcc in kernels.cu, which
// defines these templates for float, bf16 and half). A launcher starts its kernels on a stream and returns; pointers
// are device memory, arguments mean what the catalogue says. `scratch` holds as many floats as the function beside
// the launcher tells. Losses and what a captured step keeps have launch_losses.hpp, tensor cores launch_tensor.hpp.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <cuda_runtime_api.h>

#include <tempera/core/precision.hpp>
#include <tempera/cuda/running_step.hpp>
#include <tempera/cuda/update_pieces.hpp>
#include <tempera/device/batch_norm.hpp>
#include <tempera/device/convolution.hpp>
#include <tempera/device/distortion.hpp>
#include <tempera/device/normalized_branches.hpp>
#include <tempera/device/pointwise.hpp>
#include <tempera/device/pooling.hpp>
#include <tempera/device/selective.hpp>
#include <tempera/device/store.hpp>

namespace tempera::cuda_kernels {

/// Whether an array can be read and written 16 bytes at a time.
inline bool aligned_to_packs(void const* p) { return reinterpret_cast<std::uintptr_t>(p) % 16 == 0; }
/// Bytes of a part of scratch memory, so that the next one is aligned as allocated memory is.
inline std::size_t scratch_part(std::size_t bytes) { return (bytes + 255) / 256 * 256; }

// --- columns.cuh: reductions over rows, split by size only, so that the order of summation is fixed --------------------
/// With tiles of 256 channels as many blocks as an H100 holds at once, two on each of 132 multiprocessors; fewer where
/// a thread would have less than four packs of 8 elements.
inline std::int64_t column_splits(std::int64_t rows, int channels) {
    constexpr std::int64_t blocks = 264;
    constexpr std::int64_t fewest_elements = 256 * 8 * 4;
    std::int64_t const tiles = (channels + 255) / 256;
    return std::clamp<std::int64_t>(rows * std::min(channels, 256) / fewest_elements, 1,
                                    std::max<std::int64_t>(1, blocks / tiles));
}
inline std::int64_t column_floats(std::int64_t rows, int channels, int count) {
    return column_splits(rows, channels) * channels * count;
}

/// How blocks share {batch, positions, channels}, `width` elements to a pack.
inline constexpr int position_threads = 256;
struct position_splits {
    int across;              ///< threads of a block along the channels
    int down;                ///< and along the positions
    std::int64_t positions;  ///< of a split
    int count;

    position_splits(int batch, std::int64_t all, int channels, int width) {
        constexpr std::int64_t enough_blocks = 1536;
        constexpr int fewest_rounds = 4;
        int const packs = channels % width == 0 ? channels / width : channels;
        across = std::clamp(packs, 1, 32);
        down = position_threads / across;
        std::int64_t const blocks = std::max<std::int64_t>(1, std::int64_t{batch} * ((packs + across - 1) / across));
        std::int64_t const most =
            std::max<std::int64_t>(1, std::min((enough_blocks + blocks - 1) / blocks, all / (fewest_rounds * down)));
        positions = std::max<std::int64_t>(1, (all + most - 1) / most);
        count = static_cast<int>(std::max<std::int64_t>(1, (all + positions - 1) / positions));
    }
};
/// Sums over positions of maps of T.
template <class T>
std::int64_t position_floats(int batch, std::int64_t positions, int channels) {
    return std::int64_t{1} * position_splits(batch, positions, channels, 16 / static_cast<int>(sizeof(T))).count *
           batch * channels;
}

// --- pointwise.cuh -----------------------------------------------------------------------------------------------------
template <class T>
void relu_forward(cudaStream_t stream, std::int64_t n, T const* x, T* y);
template <class T>
void relu_backward(cudaStream_t stream, std::int64_t n, T const* y, T const* dy, T* dx, store mode);
template <class T>
void sigmoid_forward(cudaStream_t stream, std::int64_t n, T const* x, T* y);
template <class T>
void sigmoid_backward(cudaStream_t stream, std::int64_t n, T const* y, T const* dy, T* dx, store mode);
template <class T>
void add_forward(cudaStream_t stream, std::int64_t n, T const* a, T const* b, T* y);
template <class T>
void multiply(cudaStream_t stream, std::int64_t n, T const* a, T const* b, T* y, store mode);
template <class T>
void copy(cudaStream_t stream, std::int64_t n, T const* x, T* y, store mode);
template <class T>
void fill(cudaStream_t stream, std::int64_t n, float value, T* y);
template <class T>
void scale(cudaStream_t stream, std::int64_t n, float factor, T* y);
template <class From, class To>
void convert(cudaStream_t stream, std::int64_t n, From const* x, To* y);
template <class T>
void copy_channels(cudaStream_t stream, channel_copy const& c, T const* x, T* y, store mode);
template <class T>
void gate_forward(cudaStream_t stream, gate_geometry const& g, T const* x, float const* gate, T* y);
/// scratch: position_floats<T>(g.batch, g.positions, g.channels), where dgate is wanted
template <class T>
void gate_backward(cudaStream_t stream, gate_geometry const& g, T const* x, float const* gate, T const* dy, T* dx,
                   store dx_store, float* dgate, store dgate_store, float* scratch);
template <class T>
void mask_elements(cudaStream_t stream, std::int64_t n, float const* mask, T const* x, T* y, store mode);

// --- random.cuh: `replay` may be null ------------------------------------------------------------------------------------
template <class T>
void dropout(cudaStream_t stream, std::int64_t n, float rate, random_stream const& random, replay_numbers const* replay,
             T const* x, T* y, store mode);
inline constexpr int mask_parts = 256;
/// scratch: 1 + mask_parts floats
void drop_block_mask(cudaStream_t stream, drop_block_geometry const& g, random_stream const& random,
                     replay_numbers const* replay, float* mask, float* scratch);

// --- normalize.cuh -----------------------------------------------------------------------------------------------------
template <class T>
void l2_normalize_forward(cudaStream_t stream, std::int64_t rows, int channels, T const* x, T* y, float* inverse_norm);
template <class T>
void l2_normalize_backward(cudaStream_t stream, std::int64_t rows, int channels, T const* y, float const* inverse_norm,
                           T const* dy, T* dx, store mode);

// --- batch_norm.cuh ----------------------------------------------------------------------------------------------------
inline std::int64_t batch_norm_floats(batch_norm_geometry const& g) {
    return column_floats(g.rows, g.channels, 3) + std::int64_t{2} * g.channels;
}
template <class T>
void batch_norm_statistics(cudaStream_t stream, batch_norm_geometry const& g, T const* x,
                           batch_norm_statistics_target const& target, float* scratch);
void batch_norm_moving(cudaStream_t stream, int channels, float decay, float factor, float const* mean,
                       float const* variance, float* moving_mean, float* moving_variance);
template <class T>
void batch_norm_apply(cudaStream_t stream, batch_norm_geometry const& g, batch_norm_state const& s, T const* x,
                      T const* residual, bool fused_relu, T* y);
template <class T>
void batch_norm_backward(cudaStream_t stream, batch_norm_geometry const& g, batch_norm_state const& s,
                         bool batch_statistics, T const* x, T const* y, T const* dy, batch_norm_gradients<T> out,
                         float* scratch);

// --- convolution.cuh: the column matrix of samples first .. first + samples - 1 ------------------------------------------
/// columns[(n,i,j), (r,s,c)] = x[first + n, i*stride + r - pad_top, j*stride + s - pad_left, c], zero outside.
template <class T>
void gather_columns(cudaStream_t stream, convolution_geometry const& g, int first, int samples, T const* x, T* columns);
/// dx[first + n, ...] (+)= the sum of all entries of dcolumns that gather_columns takes from there.
template <class T>
void gather_gradient(cudaStream_t stream, convolution_geometry const& g, int first, int samples, float const* dcolumns,
                     T* dx, store mode);
/// dbias[c] (+)= sum over rows of dy; scratch: column_floats(rows, channels, 1)
template <class T>
void bias_gradient(cudaStream_t stream, std::int64_t rows, int channels, T const* dy, float* dbias, store mode,
                   float* scratch);

// --- epilogue.cuh --------------------------------------------------------------------------------------------------------
/// y = relu(y + bias + residual)
template <class T>
void apply_epilogue(cudaStream_t stream, std::int64_t rows, int channels, convolution_epilogue<T> const& epilogue,
                    T* y);

// --- pooling.cuh, global_average.cuh -----------------------------------------------------------------------------------
template <class T>
void max_pool_forward(cudaStream_t stream, pool_geometry const& g, T const* x, T* y, std::uint8_t* argmax);
template <class T>
void max_pool_backward(cudaStream_t stream, pool_geometry const& g, std::uint8_t const* argmax, T const* dy, T* dx,
                       store mode);
template <class T>
void average_pool_forward(cudaStream_t stream, pool_geometry const& g, T const* x, T* y);
template <class T>
void average_pool_backward(cudaStream_t stream, pool_geometry const& g, T const* dy, T* dx, store mode);
template <class T>
void global_average_pool_forward(cudaStream_t stream, int batch, std::int64_t positions, int channels, T const* x,
                                 float* y);
template <class T>
void global_average_pool_backward(cudaStream_t stream, int batch, std::int64_t positions, int channels, float const* dy,
                                  T* dx, store mode);

// --- selective.cuh -----------------------------------------------------------------------------------------------------
template <class T>
void selective_merge_forward(cudaStream_t stream, selective_geometry const& g, T const* x, float const* logits, T* y);
/// scratch: position_floats<T>(g.batch, g.positions, g.filters)
template <class T>
void selective_merge_backward(cudaStream_t stream, selective_geometry const& g, T const* x, float const* logits,
                              T const* dy, T* dx, store dx_store, float* dlogits, store dlogits_store, float* scratch);

// --- normalized_branches.cuh -------------------------------------------------------------------------------------------
/// Sums of two kinds over the positions of both branches.
template <class T>
std::int64_t branch_floats(selective_geometry const& g) {
    return 2 * position_floats<T>(2 * g.batch, g.positions, g.filters);
}
/// scratch: branch_floats<T>(g)
template <class T>
void normalized_average(cudaStream_t stream, selective_geometry const& g, normalized_branches<T> const& from,
                        float* sums, float* average, float* scratch);
template <class T>
void normalized_merge(cudaStream_t stream, selective_geometry const& g, normalized_branches<T> const& from,
                      float const* logits, T* y);
/// scratch: branch_floats<T>(g)
template <class T>
void normalized_merge_backward(cudaStream_t stream, selective_geometry const& g, normalized_branches<T> const& from,
                               float const* logits, T const* dy, float* sums, float* dlogits, store mode,
                               float* scratch);
/// scratch: column_floats(g.batch, 2 * g.filters, 2) + 4 * g.filters
template <class T>
void normalized_branches_backward(cudaStream_t stream, selective_geometry const& g, normalized_branches<T> const& from,
                                  bool batch_statistics, float const* logits, T const* dy, float const* daverage,
                                  float const* sums, batch_norm_gradients<T> const& out, float* scratch);

// --- augmentation.cuh: `drawn` is device memory --------------------------------------------------------------------------
/// How much of it the drawn views need at most.
struct distortion_work {
    int contrasts = 0;     ///< of one view
    int blur_radius = -1;  ///< -1: no view is blurred
};
/// Positions are split among blocks by size only, so that the mean of a channel has a fixed order of summation.
inline constexpr int positions_per_part = 4096;
inline std::int64_t distortion_parts(distortion_geometry const& g) {
    return (std::int64_t{1} * g.height * g.width + positions_per_part - 1) / positions_per_part;
}
/// In floats: taps of rows and columns, sums of channels (two, as each pass reads those of the one before), filters, and
/// the horizontally blurred views.
struct distortion_scratch {
    std::int64_t taps, sums, filters, blurred;

    distortion_scratch(distortion_geometry const& g, distortion_work const& work)
        : taps(std::int64_t{5} * g.views * (g.height + g.width)),
          sums(work.contrasts > 0 ? 2 * g.views * distortion_parts(g) * g.channels : 0),
          filters(std::int64_t{1} * g.views * (work.blur_radius + 1)),
          blurred(work.blur_radius >= 0 ? std::int64_t{1} * g.views * g.height * g.width * g.channels : 0) {}
    std::int64_t size() const { return taps + sums + filters + blurred; }
};
void distort(cudaStream_t stream, distortion_geometry const& g, distortion_work const& work, std::uint8_t const* images,
             drawn_view const* drawn, float* views, float* scratch);

// --- optimizers.cuh ------------------------------------------------------------------------------------------------------
/// scratch: lars_floats(pieces)
void apply_lars(cudaStream_t stream, lars_update const& u, update_memory const& memory, update_pieces const& pieces,
                float* w, float const* g, float* momentum, float* scratch);
inline std::int64_t lars_floats(update_pieces const& pieces) { return std::int64_t{2} * pieces.count; }
void apply_sgd(cudaStream_t stream, sgd_update const& u, update_memory const& memory, update_pieces const& pieces,
               float* w, float const* g, float* momentum);
/// scratch: 1
void apply_adam(cudaStream_t stream, adam_update const& u, update_memory const& memory, update_pieces const& pieces,
                float* w, float const* g, float* first, float* second, float* scratch);
void apply_ema(cudaStream_t stream, std::int64_t n, float decay, float const* w, float* average);

}  // namespace tempera::cuda_kernels
