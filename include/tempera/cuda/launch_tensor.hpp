// SPDX-License-Identifier: Apache-2.0
#pragma once
// Launchers of convolutions on tensor cores, for bf16 and half, and how their work is cut: whole_chunks.cuh, window_sum.cuh,
// swapped_filters.cuh, weight_gradient.cuh.

#include <tempera/cuda/launch.hpp>

namespace tempera::cuda_kernels {

/// x, dx and filters come here with their input channels in whole chunks of 16 bytes, zeros behind those of g.
constexpr int whole_chunks(int channels) { return (channels + 7) / 8 * 8; }
/// With few channels, as an image has, most of a chunk would be zeros. Where the stride is 2, the channels of 2 x 2 positions
/// come as those of one for y and dw, and a convolution of blocks, which has stride 1, takes sums of the same products:
/// of 3 channels and kernel 7, 4 x 4 blocks in two chunks each, not 7 x 7 positions in one.
struct position_blocks {
    int size;                       ///< positions down and across
    int blank_rows, blank_columns;  ///< in the first blocks of a filter: padding fills whole blocks

    constexpr explicit position_blocks(convolution_geometry const& g)
        : size(g.stride == 2 && g.kernel > 1 && g.in_channels <= 4 ? 2 : 1),
          blank_rows(g.pad_top % size),
          blank_columns(g.pad_left % size) {}
    constexpr int needed(int positions) const { return (positions + size - 1) / size; }
};
constexpr convolution_geometry in_whole_chunks(convolution_geometry g) {
    g.in_channels = whole_chunks(g.in_channels);
    return g;
}
constexpr convolution_geometry in_blocks(convolution_geometry g) {
    position_blocks const blocks(g);
    g.in_height = blocks.needed(g.in_height);
    g.in_width = blocks.needed(g.in_width);
    g.in_channels *= blocks.size * blocks.size;
    g.kernel = blocks.needed(g.kernel + std::max(blocks.blank_rows, blocks.blank_columns));
    g.stride /= blocks.size;
    g.pad_top = blocks.needed(g.pad_top);
    g.pad_left = blocks.needed(g.pad_left);
    return in_whole_chunks(g);
}
/// Output channels come in chunks too, and positions and offsets inside a sample are counted in int.
constexpr bool fits_tensor_cores(convolution_geometry const& g) {
    constexpr std::int64_t most = std::int64_t{1} << 30;
    convolution_geometry const whole = in_whole_chunks(g);
    std::int64_t const batch = g.batch > 0 ? g.batch : 1;
    return g.out_channels % 8 == 0 && whole.weight_size() < most &&
           std::int64_t{1} * g.in_height * g.in_width * batch < most && whole.in_size() / batch < most &&
           std::int64_t{1} * g.out_height * g.out_width * batch < most && g.out_size() / batch < most;
}
/// to[n, i, j, (r, s, c)] = from[n, i*size + r - blank_rows, j*size + s - blank_columns, c], zero outside and behind.
struct chunk_copy {
    int samples, height, width, channels;
    int to_height, to_width, to_channels;
    position_blocks blocks;
};
template <class From, class T>
void copy_in_whole_chunks(cudaStream_t stream, chunk_copy const& copy, From const* from, T* to);
/// How the depth of a sum over windows is split among blocks.
struct depth_splits {
    int depth = 1 << 30;  ///< of a split
    int count = 1;
};
/// Where the tiles of a convolution are too few for a GPU and the depth is worth it: by sizes only, so that the order of
/// summation is fixed.
inline depth_splits splits_of(convolution_geometry const& g) {
    constexpr std::int64_t enough_blocks = 128;
    constexpr int fewest_depth = 256;
    convolution_geometry const whole = in_blocks(g);
    int const depth = whole.kernel * whole.kernel * whole.in_channels;
    std::int64_t const rows = std::int64_t{1} * g.batch * g.out_height * g.out_width;
    std::int64_t const tiles = (rows + 127) / 128 * ((g.out_channels + 63) / 64);
    int const most = static_cast<int>(
        std::min<std::int64_t>(enough_blocks / std::max<std::int64_t>(tiles, 1), depth / fewest_depth));
    if (most < 2 || depth < 4 * fewest_depth) return {};  // one more pass would take what splits save
    int const of_split = ((depth + most - 1) / most + 63) / 64 * 64;
    return {.depth = of_split, .count = (depth + of_split - 1) / of_split};
}
inline std::int64_t depth_split_floats(convolution_geometry const& g) {
    int const count = splits_of(g).count;
    return count > 1 ? count * g.out_size() : 0;
}
/// scratch: depth_split_floats(g)
template <class T>
void tensor_forward(cudaStream_t stream, convolution_geometry const& g, T const* x, T const* w,
                    convolution_epilogue<T> const& epilogue, T* y, float* scratch);
/// The same, and the batch-norm statistics of y; scratch: moment_floats(g)
template <class T>
void tensor_forward_statistics(cudaStream_t stream, convolution_geometry const& g, T const* x, T const* w,
                               float const* bias, T* y, batch_norm_statistics_target const& target, float* scratch);
inline std::int64_t moment_floats(convolution_geometry const& g) {
    constexpr int part_rows = 128;
    std::int64_t const parts = (std::int64_t{1} * g.batch * g.out_height * g.out_width + part_rows - 1) / part_rows;
    return 2 * parts * g.out_channels;
}
/// w_swapped: filters with their channels swapped, IHWO.
template <class T>
void tensor_backward_data(cudaStream_t stream, convolution_geometry const& g, T const* dy, T const* w_swapped, T* dx,
                          store mode);
/// w: as the catalogue has it; swapped: IHWO in whole chunks, not in blocks, as is dx.
template <class T>
void swap_channels(cudaStream_t stream, convolution_geometry const& g, float const* w, T* swapped);
/// How the positions of y are split among blocks: by sizes only, so that the order of summation is fixed.
struct weight_gradient_splits {
    int rows;       ///< weights of an output channel
    int positions;  ///< of a split
    int count;

    /// Of a convolution in blocks.
    explicit weight_gradient_splits(convolution_geometry const& g) : rows(g.kernel * g.kernel * g.in_channels) {
        constexpr int enough_blocks = 512;
        constexpr int fewest_positions = 512;
        int const all = g.batch * g.out_height * g.out_width;
        int const tiles = (rows + 127) / 128 * ((g.out_channels + 127) / 128);
        int const most = std::max(1, std::min(enough_blocks / tiles, all / fewest_positions));
        positions = ((all + most - 1) / most + 63) / 64 * 64;
        count = positions == 0 ? 1 : (all + positions - 1) / positions;
    }
};
inline std::int64_t weight_gradient_floats(convolution_geometry const& g) {
    convolution_geometry const whole = in_blocks(g);
    return weight_gradient_splits(whole).count * whole.weight_size();
}
/// dw: as the catalogue has it; scratch: weight_gradient_floats(g)
template <class T>
void tensor_backward_weights(cudaStream_t stream, convolution_geometry const& g, T const* x, T const* dy, float* dw,
                             store mode, float* scratch);

}  // namespace tempera::cuda_kernels
