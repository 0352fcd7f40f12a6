// SPDX-License-Identifier: Apache-2.0
#pragma once
// The gradient of a convolution's weights on tensor cores: dw' = columns(x)' dy, rows (r, s, c), columns o, its depth the
// positions of y, which are split among blocks. Each split writes a product of its own; they are added in an order that
// depends on their number only.

#include <tempera/cuda/along_rows.cuh>
#include <tempera/cuda/block_product.cuh>
#include <tempera/cuda/launch_tensor.hpp>
#include <tempera/cuda/warpgroup_product.cuh>

namespace tempera::cuda_kernels {

/// Fills the tiles of a Product of major::outer.
template <class T, class Product>
class gradient_loader {
    static constexpr int a_chunks = product_rows / chunk_elements;
    static constexpr int b_chunks = Product::columns / chunk_elements;
    static constexpr int a_rows_at_once = product_threads / a_chunks;
    static constexpr int b_rows_at_once = product_threads / b_chunks;
    static constexpr int a_rows = Product::depth / a_rows_at_once;
    static constexpr int b_rows = Product::depth / b_rows_at_once;

public:
    /// Positions first .. last - 1 of y, weights from first_row on, output channels from first_column on.
    __device__ gradient_loader(convolution_geometry const& g, T const* x, T const* dy, int first, int last,
                               int first_row, int first_column)
        : g_(g),
          step_(Product::depth, g.out_height, g.out_width),
          left_over_(last - first - a_row()),
          dy_left_over_(last - first - b_row()) {
        TEMPERA_UNROLL
        for (int i = 0; i < a_rows; ++i)
            at_[i] = odometer(first + a_row() + i * a_rows_at_once, g.out_height, g.out_width);
        odometer const tap(first_row + thread() % a_chunks * chunk_elements, g.kernel, g.in_channels);
        top_ = tap.high - g.pad_top;
        left_ = tap.middle - g.pad_left;
        x_ = x + tap.low;
        int const channel = first_column + thread() % b_chunks * chunk_elements;
        // columns behind the last are computed of something, and not written
        dy_ = dy + std::int64_t{first + b_row()} * g.out_channels + (channel < g.out_channels ? channel : 0);
    }

    __device__ void operator()(T* a, T* b) {
        a += Product::a_place(a_row(), thread() % a_chunks) * chunk_elements;
        TEMPERA_UNROLL
        for (int i = 0; i < a_rows; ++i) {
            int const row = at_[i].middle * g_.stride + top_;
            int const column = at_[i].low * g_.stride + left_;
            bool const inside = i * a_rows_at_once < left_over_ &&
                                static_cast<unsigned>(row) < static_cast<unsigned>(g_.in_height) &&
                                static_cast<unsigned>(column) < static_cast<unsigned>(g_.in_width);
            int const position = (at_[i].high * g_.in_height + row) * g_.in_width + column;
            copy_chunk(a + i * a_rows_at_once * Product::a_line, x_ + std::int64_t{position} * g_.in_channels, inside);
            at_[i].add(step_, g_.out_height, g_.out_width);
        }
        b += Product::b_place(b_row(), thread() % b_chunks) * chunk_elements;
        TEMPERA_UNROLL
        for (int i = 0; i < b_rows; ++i)
            copy_chunk(b + i * b_rows_at_once * Product::b_line, dy_ + i * b_rows_at_once * g_.out_channels,
                       i * b_rows_at_once < dy_left_over_);
        dy_ += Product::depth * g_.out_channels;
        left_over_ -= Product::depth;
        dy_left_over_ -= Product::depth;
    }

private:
    static_assert(a_rows_at_once % bank_groups == 0 && b_rows_at_once % bank_groups == 0, "places repeat");

    __device__ static int thread() { return static_cast<int>(threadIdx.x); }
    __device__ static int a_row() { return thread() / a_chunks; }
    __device__ static int b_row() { return thread() / b_chunks; }

    convolution_geometry const& g_;
    T const* x_;   ///< the channels of this thread's chunk
    T const* dy_;  ///< its first chunk of the next tile
    odometer step_;
    int left_over_, dy_left_over_;  ///< positions from this thread's first on
    odometer at_[a_rows];           ///< (sample, row, column) of this thread's positions
    int top_, left_;                ///< of this thread's window position in x, for the first position of y
};

/// partial[split][o][row of dw'], as dw lies; rows and columns past the end are computed from whatever lies there, and not
/// written. Eight lanes of a warp write eight neighbours. Grid: tiles of rows x tiles of columns x splits.
template <class T, class Product>
__global__ void __launch_bounds__(Product::available ? product_threads : 1, Product::available ? 2 : 1)
    weight_gradient_kernel(convolution_geometry g, int positions_per_split, T const* x, T const* dy, float* partial) {
    if constexpr (Product::available) {
        int const rows = g.kernel * g.kernel * g.in_channels;
        int const first_row = static_cast<int>(blockIdx.x) * product_rows;
        int const first_column = static_cast<int>(blockIdx.y) * Product::columns;
        int const positions = g.batch * g.out_height * g.out_width;
        int const first = static_cast<int>(blockIdx.z) * positions_per_split;
        int const last = first + positions_per_split < positions ? first + positions_per_split : positions;
        Product product(Product::shared());
        product.run((last - first + Product::depth - 1) / Product::depth,
                    gradient_loader<T, Product>(g, x, dy, first, last, first_row, first_column));
        product.each_pair([&](int row, int column, float sum, float next) {
            if (first_row + row >= rows || first_column + column >= g.out_channels) return;
            std::int64_t const line = std::int64_t{blockIdx.z} * g.out_channels + first_column + column;
            float* const to = partial + line * rows + first_row + row;
            to[0] = sum;
            to[rows] = next;
        });
    }
}

/// Adds the splits in order, from the blocks of positions in which they lie. Rows: (o, r) of dw.
struct add_splits_work {
    static constexpr int ahead = 8;
    int kernel, in_channels;
    int whole_kernel, whole_channels;  ///< in blocks
    position_blocks blocks;
    std::int64_t size;  ///< of a split
    int splits;
    float const* partial;
    float* dw;
    store mode;

    template <int Width>
    __device__ void operator()(row_place<Width> const& at) const {
        int const row = at.row % kernel + blocks.blank_rows;
        int const column = at.column + blocks.blank_columns;
        int const in_block = (row % blocks.size * blocks.size + column % blocks.size) * in_channels + at.channel;
        std::int64_t const line = std::int64_t{at.row / kernel} * whole_kernel + row / blocks.size;
        float const* const from = partial + (line * whole_kernel + column / blocks.size) * whole_channels + in_block;
        float sum[Width] = {};
        for (int split = 0; split < splits; split += ahead) {
            pack<float, Width> part[ahead] = {};
            for (int i = 0; i < ahead; ++i)
                if (split + i < splits) part[i] = load_pack<Width>(from + (split + i) * size);
            for (int i = 0; i < ahead; ++i)
                for (int k = 0; k < Width; ++k) sum[k] += part[i].at[k];
        }
        store_pack(dw + (std::int64_t{at.row} * kernel + at.column) * in_channels + at.channel, sum, mode);
    }
};

template <class T>
void tensor_backward_weights(cudaStream_t stream, convolution_geometry const& g, T const* x, T const* dy, float* dw,
                             store mode, float* scratch) {
    convolution_geometry const whole = in_blocks(g);
    weight_gradient_splits const splits(whole);
    auto const start = [&]<class Product>() {
        dim3 const grid(static_cast<unsigned>((splits.rows + product_rows - 1) / product_rows),
                        static_cast<unsigned>((g.out_channels + Product::columns - 1) / Product::columns),
                        static_cast<unsigned>(splits.count));
        launch_with(Product::launched_bytes, weight_gradient_kernel<T, Product>, grid, dim3(product_threads), stream,
                    whole, splits.positions, x, dy, scratch);
    };
    auto const with_columns = [&]<int Columns>() {
        using warpgroups = warpgroup_product<T, Columns, major::outer>;
        if (runs_here(weight_gradient_kernel<T, warpgroups>)) start.template operator()<warpgroups>();
        else start.template operator()<block_product<T, Columns, major::outer>>();
    };
    if (g.out_channels % 128 == 0 || g.out_channels % 128 > 64) with_columns.template operator()<128>();
    else with_columns.template operator()<64>();
    add_splits_work const add{g.kernel,
                              g.in_channels,
                              whole.kernel,
                              whole.in_channels,
                              position_blocks(g),
                              whole.weight_size(),
                              splits.count,
                              scratch,
                              dw,
                              mode};
    along_rows<float>(stream, std::int64_t{g.out_channels} * g.kernel, g.kernel, g.in_channels, add, {dw});
}

}  // namespace tempera::cuda_kernels
