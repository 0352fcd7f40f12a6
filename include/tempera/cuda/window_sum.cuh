// SPDX-License-Identifier: Apache-2.0
#pragma once
// Sums over windows (window_geometry.cuh) as an implicit product on tensor cores: rows are output positions, columns output
// channels, the depth runs over (row of the window, column of the window, input channel). No column matrix is stored:
// each thread copies the 8 channels that a row and a step ask for, zeros outside the map.
//
//   | direction | rows                      | columns      | depth             | filters               |
//   | forward   | positions of y            | out_channels | taps, in_channels | OHWI                  |
//   | gradient  | positions of dx, a phase  | in_channels  | taps, out_channels| IHWO (swap_channels)  |

#include <algorithm>

#include <tempera/cuda/block_product.cuh>
#include <tempera/cuda/each.cuh>
#include <tempera/cuda/launch.hpp>
#include <tempera/cuda/moments.cuh>
#include <tempera/cuda/pointwise.cuh>
#include <tempera/cuda/window_geometry.cuh>

namespace tempera::cuda_kernels {

template <class T, int Columns>
class window_loader {
    static constexpr int chunks = product_depth / chunk_elements;
    static constexpr int rows_at_once = product_threads / chunks;
    static constexpr int a_rows = product_rows / rows_at_once;
    static constexpr int b_rows = Columns / rows_at_once;

public:
    __device__ window_loader(window_sum const& sum, T const* in, T const* filters, int first_row, int first_column)
        : sum_(sum),
          in_(in),
          filters_(filters),
          step_(product_depth, sum.across.taps, sum.in_channels),
          tap_(static_cast<int>(threadIdx.x) % chunks * chunk_elements, sum.across.taps, sum.in_channels),
          row_(static_cast<int>(threadIdx.x) / chunks),
          channel_(first_column + row_) {
        for (int i = 0; i < a_rows; ++i) {
            int const number = first_row + row_ + i * rows_at_once;
            odometer const at(number, sum.down.count, sum.across.count);
            image_[i] = in + std::int64_t{at.high} * sum.down.in_size * sum.across.in_size * sum.in_channels;
            top_[i] = number < sum.rows() ? sum.down.in_first + at.middle * sum.in_step : nowhere;
            left_[i] = sum.across.in_first + at.low * sum.in_step;
        }
    }

    __device__ void operator()(T* a, T* b) {
        bool const within = tap_.high < sum_.down.taps;
        for (int i = 0; i < a_rows; ++i) {
            int const row = top_[i] + tap_.high * sum_.tap_step;
            int const column = left_[i] + tap_.middle * sum_.tap_step;
            bool const inside =
                within && row >= 0 && row < sum_.down.in_size && column >= 0 && column < sum_.across.in_size;
            int const offset = inside ? (row * sum_.across.in_size + column) * sum_.in_channels + tap_.low : 0;
            copy(a, i, inside ? image_[i] + offset : in_, inside);
        }
        int const window_row = sum_.down.w_first + tap_.high * sum_.w_step;
        int const window_column = sum_.across.w_first + tap_.middle * sum_.w_step;
        for (int i = 0; i < b_rows; ++i) {
            int const channel = channel_ + i * rows_at_once;
            bool const inside = within && channel < sum_.out_channels;
            int const window = (channel * sum_.kernel + window_row) * sum_.kernel + window_column;
            copy(b, i, inside ? filters_ + std::int64_t{window} * sum_.in_channels + tap_.low : filters_, inside);
        }
        tap_.add(step_, sum_.across.taps, sum_.in_channels);
    }

private:
    static constexpr int nowhere = -(1 << 30);  ///< a row that no tap brings into the map

    __device__ void copy(T* tile, int i, T const* from, bool inside) const {
        int const place = chunk_place<chunks>(row_ + i * rows_at_once, static_cast<int>(threadIdx.x) % chunks);
        copy_chunk(tile + place * chunk_elements, from, inside);
    }

    window_sum const& sum_;
    T const* in_;
    T const* filters_;
    odometer step_;
    odometer tap_;  ///< (row of the window, column, channel) of this thread's chunk
    int row_;
    int channel_;
    T const* image_[a_rows];
    int top_[a_rows];
    int left_[a_rows];
};

/// moments, unless null: those of every part of `out` (moments.cuh), which must be written in one sum.
template <class T, int Columns>
__global__ void __launch_bounds__(product_threads, 2)
    window_sum_kernel(window_sum sum, T const* in, T const* filters, float const* bias, T* out, store mode,
                      float* moments) {
    using product = block_product<T, Columns, major::depth>;
    __shared__ typename product::memory memory;
    int const column_tiles = (sum.out_channels + Columns - 1) / Columns;
    int const first_row = static_cast<int>(blockIdx.x) / column_tiles * product_rows;
    int const first_column = static_cast<int>(blockIdx.x) % column_tiles * Columns;
    product p(memory);
    p.run((sum.depth() + product_depth - 1) / product_depth,
          window_loader<T, Columns>(sum, in, filters, first_row, first_column));
    p.each_stage([&](auto const& part) {
        part.each_chunk([&](int row, int column, float* values) {
            int const number = first_row + row;
            int const channel = first_column + column;
            if (number >= sum.rows() || channel >= sum.out_channels) return;
            odometer const at(number, sum.down.count, sum.across.count);
            int const out_row = sum.down.out_first + at.middle * sum.out_step;
            int const out_column = sum.across.out_first + at.low * sum.out_step;
            std::int64_t const position =
                (std::int64_t{at.high} * sum.down.out_size + out_row) * sum.across.out_size + out_column;
            T* const to = out + position * sum.out_channels + channel;
            pack<T, chunk_elements> result = {};
            if (mode == store::accumulate) result = load_pack<chunk_elements>(to);
            for (int i = 0; i < chunk_elements; ++i) {
                put(result.at[i], values[i] + (bias == nullptr ? 0 : bias[channel + i]), mode);
                values[i] = as_float(result.at[i]);  // as a reader finds it
            }
            store_pack(to, result);
        });
        int const first = first_row + part.first_row;
        if (moments != nullptr && first < sum.rows())
            write_moments(part, sum.rows() - first, first / part.rows, first_column, sum.out_channels, moments);
    });
}

/// Tiles of 128 columns where they waste no more than those of 64 and are enough to fill a GPU.
inline bool wide_tiles(std::int64_t rows, int columns) {
    constexpr std::int64_t enough = 128;
    int const rest = columns % 128;
    return (rest == 0 || rest > 64) && (rows + product_rows - 1) / product_rows * ((columns + 127) / 128) >= enough;
}

template <class T>
void add_window_sum(cudaStream_t stream, window_sum const& sum, T const* in, T const* filters, float const* bias,
                    T* out, store mode, float* moments) {
    if (sum.rows() == 0 || sum.depth() == 0) return;
    auto const start = [&](auto kernel, int columns) {
        int const blocks =
            (sum.rows() + product_rows - 1) / product_rows * ((sum.out_channels + columns - 1) / columns);
        launch(kernel, dim3(static_cast<unsigned>(blocks)), dim3(product_threads), stream, sum, in, filters, bias, out,
               mode, moments);
    };
    if (wide_tiles(sum.rows(), sum.out_channels)) start(window_sum_kernel<T, 128>, 128);
    else start(window_sum_kernel<T, 64>, 64);
}

template <class T>
void tensor_forward(cudaStream_t stream, convolution_geometry const& g, T const* x, T const* w, float const* bias,
                    T* y) {
    add_window_sum<T>(stream, forward_sum(in_whole_chunks(g)), x, w, bias, y, store::write, nullptr);
}

template <class T>
void tensor_forward_statistics(cudaStream_t stream, convolution_geometry const& g, T const* x, T const* w,
                               float const* bias, T* y, float* mean, float* variance, float* scratch) {
    window_sum const sum = forward_sum(in_whole_chunks(g));
    add_window_sum(stream, sum, x, w, bias, y, store::write, scratch);
    int const part_rows = wide_tiles(sum.rows(), g.out_channels) ? staged_product<128>::rows : staged_product<64>::rows;
    merge_moments(stream, sum.rows(), part_rows, g.out_channels, scratch, mean, variance);
}

template <class T>
void tensor_backward_data(cudaStream_t stream, convolution_geometry const& g, T const* dy, T const* w_swapped, T* dx,
                          store mode) {
    convolution_geometry const whole = in_whole_chunks(g);
    bool const gaps = g.kernel < g.stride;  // positions of x that no window holds
    if (gaps && mode == store::write) fill(stream, whole.in_size(), 0.0F, dx);
    for (int row_phase = 0; row_phase < g.stride; ++row_phase)
        for (int column_phase = 0; column_phase < g.stride; ++column_phase)
            add_window_sum<T>(stream, gradient_sum(whole, row_phase, column_phase), dy, w_swapped, nullptr, dx, mode,
                              nullptr);
}

constexpr int swap_tile = 32;
constexpr int swap_rows = each_threads / swap_tile;

/// swapped[c][tap][o] = w[o][tap][c] through tiles, so that both sides are touched in the order of memory; zeros where c is none of w's. Blocks: tiles of
/// whole_channels x tiles of out_channels x taps.
template <class T>
__global__ void swap_channels_kernel(int in_channels, int whole_channels, int out_channels, float const* w,
                                     T* swapped) {
    __shared__ float tile[swap_tile][swap_tile + 1];
    auto const taps = static_cast<int>(gridDim.z);
    auto const tap = static_cast<int>(blockIdx.z);
    int const first_c = static_cast<int>(blockIdx.x) * swap_tile;
    int const first_o = static_cast<int>(blockIdx.y) * swap_tile;
    int const lane = static_cast<int>(threadIdx.x) % swap_tile;
    int const first = static_cast<int>(threadIdx.x) / swap_tile;
    for (int i = 0; i < swap_tile; i += swap_rows) {
        int const row = first + i;
        int const c = first_c + lane;
        int const o = first_o + row;
        bool const inside = c < in_channels && o < out_channels;
        tile[row][lane] = inside ? w[(std::int64_t{o} * taps + tap) * in_channels + c] : 0;
    }
    __syncthreads();
    for (int i = 0; i < swap_tile; i += swap_rows) {
        int const row = first + i;
        int const c = first_c + row;
        int const o = first_o + lane;
        if (c < whole_channels && o < out_channels)
            put(swapped[(std::int64_t{c} * taps + tap) * out_channels + o], tile[lane][row]);
    }
}
template <class T>
void swap_channels(cudaStream_t stream, convolution_geometry const& g, float const* w, T* swapped) {
    auto const tiles = [](int channels) { return static_cast<unsigned>((channels + swap_tile - 1) / swap_tile); };
    int const whole = whole_chunks(g.in_channels);
    dim3 const grid(tiles(whole), tiles(g.out_channels), static_cast<unsigned>(g.kernel * g.kernel));
    launch(swap_channels_kernel<T>, grid, dim3(each_threads), stream, g.in_channels, whole, g.out_channels, w, swapped);
}

}  // namespace tempera::cuda_kernels
