// SPDX-License-Identifier: Apache-2.0
#pragma once
// The gradient of a convolution's weights on tensor cores: dw' = columns(x)' dy, rows (r, s, c), columns o, its depth the
// positions of y, which are split among blocks. Each split writes a product of its own; they are added in an order that
// depends on their number only.

#include <tempera/cuda/block_product.cuh>
#include <tempera/cuda/each.cuh>
#include <tempera/cuda/launch.hpp>

namespace tempera::cuda_kernels {

template <class T, int Columns>
class gradient_loader {
    static constexpr int a_chunks = product_rows / chunk_elements;
    static constexpr int b_chunks = Columns / chunk_elements;
    static constexpr int a_rows_at_once = product_threads / a_chunks;
    static constexpr int b_rows_at_once = product_threads / b_chunks;
    static constexpr int a_rows = product_depth / a_rows_at_once;
    static constexpr int b_rows = product_depth / b_rows_at_once;

public:
    /// Positions first .. last - 1 of y, weights from first_row on, output channels from first_column on.
    __device__ gradient_loader(convolution_geometry const& g, T const* x, T const* dy, int first, int last,
                               int first_row, int first_column)
        : g_(g),
          x_(x),
          dy_(dy),
          last_(last),
          step_(product_depth, g.out_height, g.out_width),
          a_row_(thread() / a_chunks),
          b_row_(thread() / b_chunks),
          position_(first),
          channel_(first_column + thread() % b_chunks * chunk_elements),
          at_{odometer(first + a_row_, g.out_height, g.out_width),
              odometer(first + a_row_ + a_rows_at_once, g.out_height, g.out_width)} {
        static_assert(a_rows == 2);
        odometer const tap(first_row + thread() % a_chunks * chunk_elements, g.kernel, g.in_channels);
        top_ = tap.high - g.pad_top;
        left_ = tap.middle - g.pad_left;
        source_channel_ = tap.low;
    }

    __device__ void operator()(T* a, T* b) {
        for (int i = 0; i < a_rows; ++i) {
            int const row = at_[i].middle * g_.stride + top_;
            int const column = at_[i].low * g_.stride + left_;
            bool const inside = position_ + a_row_ + i * a_rows_at_once < last_ && row >= 0 && row < g_.in_height &&
                                column >= 0 && column < g_.in_width;
            std::int64_t const from = (std::int64_t{at_[i].high} * g_.in_height + row) * g_.in_width + column;
            int const place = chunk_place<a_chunks>(a_row_ + i * a_rows_at_once, thread() % a_chunks);
            copy_chunk(a + place * chunk_elements, inside ? x_ + from * g_.in_channels + source_channel_ : x_, inside);
            at_[i].add(step_, g_.out_height, g_.out_width);
        }
        for (int i = 0; i < b_rows; ++i) {
            int const row = b_row_ + i * b_rows_at_once;
            bool const inside = position_ + row < last_ && channel_ < g_.out_channels;
            std::int64_t const from = std::int64_t{position_ + row} * g_.out_channels + channel_;
            copy_chunk(b + chunk_place<b_chunks>(row, thread() % b_chunks) * chunk_elements, inside ? dy_ + from : dy_,
                       inside);
        }
        position_ += product_depth;
    }

private:
    __device__ static int thread() { return static_cast<int>(threadIdx.x); }

    convolution_geometry const& g_;
    T const* x_;
    T const* dy_;
    int last_;
    odometer step_;
    int a_row_, b_row_;
    int position_;         ///< of y, the first of the next tile
    int channel_;          ///< of dy
    odometer at_[a_rows];  ///< (sample, row, column) of this thread's positions
    int top_, left_;       ///< of this thread's window position in x, for the first position of y
    int source_channel_;   ///< of x
};

/// partial[split][row of dw'][o]; rows and columns past the end are computed from whatever lies there, and not written.
/// Grid: tiles of rows x tiles of columns x splits.
template <class T, int Columns>
__global__ void __launch_bounds__(product_threads, 2)
    weight_gradient_kernel(convolution_geometry g, int positions_per_split, T const* x, T const* dy, float* partial) {
    using product = block_product<T, Columns, major::outer>;
    __shared__ typename product::memory memory;
    int const rows = g.kernel * g.kernel * g.in_channels;
    int const first_row = static_cast<int>(blockIdx.x) * product_rows;
    int const first_column = static_cast<int>(blockIdx.y) * Columns;
    int const positions = g.batch * g.out_height * g.out_width;
    int const first = static_cast<int>(blockIdx.z) * positions_per_split;
    int const last = first + positions_per_split < positions ? first + positions_per_split : positions;
    product p(memory);
    p.run((last - first + product_depth - 1) / product_depth,
          gradient_loader<T, Columns>(g, x, dy, first, last, first_row, first_column));
    p.each_stage([&](auto const& part) {
        part.each_chunk([&](int row, int column, float const* values) {
            std::int64_t const number = first_row + row;
            int const channel = first_column + column;
            if (number >= rows || channel >= g.out_channels) return;
            float* const to = partial + (std::int64_t{blockIdx.z} * rows + number) * g.out_channels + channel;
            for (int i = 0; i < chunk_elements; i += 4) store_pack(to + i, load_pack<4>(values + i));
        });
    });
}

constexpr int split_rows = chunk_elements;  ///< of dw' that a block adds up: channels of one window position
constexpr int split_columns = 32;
constexpr int split_groups = 8;

/// dw[o][r, s, c] (+)= the sum over splits of partial, without the rows of channels that fill up the last chunk. Threads read
/// along o, each group some of the splits, and write along c. Blocks: chunks of rows x tiles of columns.
static __global__ void add_splits_kernel(int in_channels, int window, int out_channels, int splits,
                                         float const* partial, float* dw, store mode) {
    constexpr int stride = split_columns + 4;  // what a warp reads lies in different banks
    __shared__ float sums[split_groups][split_rows][stride];
    auto const thread = static_cast<int>(threadIdx.x);
    auto const rows = static_cast<int>(gridDim.x) * split_rows;
    int const first_row = static_cast<int>(blockIdx.x) * split_rows;
    int const first_column = static_cast<int>(blockIdx.y) * split_columns;
    int const column = thread % split_columns;
    int const group = thread / split_columns;
    float total[split_rows] = {};
    if (first_column + column < out_channels)
        for (int split = group; split < splits; split += split_groups) {
            std::int64_t const row = std::int64_t{split} * rows + first_row;
            float const* const from = partial + row * out_channels + first_column + column;
            for (int i = 0; i < split_rows; ++i) total[i] += from[i * out_channels];
        }
    for (int i = 0; i < split_rows; ++i) sums[group][i][column] = total[i];
    __syncthreads();
    int const chunks = rows / window / split_rows;  // of a window position
    int const c = static_cast<int>(blockIdx.x) % chunks * split_rows + thread % split_rows;
    int const o = first_column + thread / split_rows;
    if (c >= in_channels || o >= out_channels) return;
    float sum = 0;
    for (int i = 0; i < split_groups; ++i) sum += sums[i][thread % split_rows][thread / split_rows];
    std::int64_t const position = std::int64_t{o} * window + static_cast<int>(blockIdx.x) / chunks;
    put(dw[position * in_channels + c], sum, mode);
}

template <class T>
void tensor_backward_weights(cudaStream_t stream, convolution_geometry const& g, T const* x, T const* dy, float* dw,
                             store mode, float* scratch) {
    weight_gradient_splits const splits(g);
    auto const start = [&](auto kernel, int columns) {
        dim3 const grid(static_cast<unsigned>((splits.rows + product_rows - 1) / product_rows),
                        static_cast<unsigned>((g.out_channels + columns - 1) / columns),
                        static_cast<unsigned>(splits.count));
        launch(kernel, grid, dim3(product_threads), stream, in_whole_chunks(g), splits.positions, x, dy, scratch);
    };
    if (g.out_channels % 128 == 0 || g.out_channels % 128 > 64) start(weight_gradient_kernel<T, 128>, 128);
    else start(weight_gradient_kernel<T, 64>, 64);
    static_assert(split_rows * split_columns == each_threads && split_groups * split_columns == each_threads);
    dim3 const grid(static_cast<unsigned>(splits.rows / split_rows),
                    static_cast<unsigned>((g.out_channels + split_columns - 1) / split_columns));
    launch(add_splits_kernel, grid, dim3(each_threads), stream, g.in_channels, g.kernel * g.kernel, g.out_channels,
           splits.count, scratch, dw, mode);
}

}  // namespace tempera::cuda_kernels
