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
#include <tempera/cuda/epilogue.cuh>
#include <tempera/cuda/launch_tensor.hpp>
#include <tempera/cuda/moments.cuh>
#include <tempera/cuda/pointwise.cuh>
#include <tempera/cuda/staged_tile.cuh>
#include <tempera/cuda/warpgroup_product.cuh>
#include <tempera/cuda/window_geometry.cuh>

namespace tempera::cuda_kernels {

/// Fills the tiles of a Product of major::depth. What it does in every step decides how fast the product is: all else is
/// found out before the first.
template <class T, class Product>
class window_loader {
    static constexpr int chunks = Product::depth / chunk_elements;
    static constexpr int rows_at_once = product_threads / chunks;
    static constexpr int a_rows = product_rows / rows_at_once;
    static constexpr int b_rows = Product::columns / rows_at_once;

public:
    __device__ window_loader(window_sum const& sum, window_divisors const& by, T const* in, T const* filters, int first_row,
                             int first_column, int first_depth)
        : sum_(sum),
          filters_(filters),
          step_(Product::depth, sum.across.taps, by.taps, sum.in_channels, by.channels),
          tap_(first_depth + chunk() * chunk_elements, sum.across.taps, by.taps, sum.in_channels, by.channels) {
        TEMPERA_UNROLL
        for (int i = 0; i < a_rows; ++i) {
            int const number = first_row + row() + i * rows_at_once;
            odometer const at(number, sum.down.count, by.down_count, sum.across.count, by.across_count);
            top_[i] = number < sum.rows() ? sum.down.in_first + at.middle * sum.in_step : nowhere;
            left_[i] = sum.across.in_first + at.low * sum.in_step;
            std::int64_t const line =
                std::int64_t{at.high} * sum.down.in_size + sum.down.in_first + at.middle * sum.in_step;
            start_[i] = in + (line * sum.across.in_size + left_[i]) * sum.in_channels;
        }
        TEMPERA_UNROLL
        for (int i = 0; i < b_rows; ++i) {
            int const channel = first_column + row() + i * rows_at_once;
            // columns behind the last are computed of something, and not written
            filter_[i] = (channel < sum.out_channels ? channel : 0) * sum.kernel * sum.kernel * sum.in_channels;
        }
    }

    __device__ void operator()(T* a, T* b) {
        bool const within = tap_.high < sum_.down.taps;
        int const down = tap_.high * sum_.tap_step;
        int const across = tap_.middle * sum_.tap_step;
        int const from_start = (down * sum_.across.in_size + across) * sum_.in_channels + tap_.low;
        a += Product::a_place(row(), chunk()) * chunk_elements;
        TEMPERA_UNROLL
        for (int i = 0; i < a_rows; ++i) {
            // below 0 is above every size
            bool const inside = within && static_cast<unsigned>(top_[i] + down) < static_cast<unsigned>(sum_.down.in_size) &&
                                static_cast<unsigned>(left_[i] + across) < static_cast<unsigned>(sum_.across.in_size);
            copy_chunk(a + i * rows_at_once * Product::depth, start_[i] + from_start, inside);
        }
        int const window = (sum_.down.w_first + tap_.high * sum_.w_step) * sum_.kernel + sum_.across.w_first +
                           tap_.middle * sum_.w_step;
        T const* const from = filters_ + (window * sum_.in_channels + tap_.low);
        b += Product::b_place(row(), chunk()) * chunk_elements;
        TEMPERA_UNROLL
        for (int i = 0; i < b_rows; ++i)
            copy_chunk(b + i * rows_at_once * Product::depth, from + filter_[i], within);
        tap_.add(step_, sum_.across.taps, sum_.in_channels);
    }

private:
    static constexpr int nowhere = -(1 << 30);  ///< a row that no tap brings into the map
    static_assert(rows_at_once % bank_groups == 0, "places repeat");

    __device__ static int chunk() { return static_cast<int>(threadIdx.x) % chunks; }
    __device__ static int row() { return static_cast<int>(threadIdx.x) / chunks; }

    window_sum const& sum_;
    T const* filters_;
    odometer step_;
    odometer tap_;              ///< (row of the window, column, channel) of this thread's chunk
    T const* start_[a_rows];    ///< the first tap's place in `in`, were it there
    int top_[a_rows], left_[a_rows];
    int filter_[b_rows];        ///< where its filter begins
};

/// Position of `out` that row `number` of the sum is.
__device__ inline std::int64_t position_of(window_sum const& sum, window_divisors const& by, int number) {
    if (sum.dense()) return number;
    odometer const at(number, sum.down.count, by.down_count, sum.across.count, by.across_count);
    int const row = sum.down.out_first + at.middle * sum.out_step;
    int const column = sum.across.out_first + at.low * sum.out_step;
    return (std::int64_t{at.high} * sum.down.out_size + row) * sum.across.out_size + column;
}

/// Adds to each channel what the epilogue's bias says, rounds, adds the residual, rounds, keeps what is positive: as the
/// passes would that it saves. moments, unless null: those of every part of `out` (moments.cuh), which must be written in one
/// sum. partial, unless null: takes the sums instead of `out`, those of each split (blockIdx.y) in a map of its own.
template <class T, class Product>
__global__ void __launch_bounds__(Product::available ? product_threads : 1, Product::available ? 2 : 1)
    window_sum_kernel(window_sum sum, window_divisors by, T const* in, T const* filters, convolution_epilogue<T> epilogue,
                      T* out, float* moments, int split_depth, float* partial) {
    if constexpr (Product::available) {
        auto& memory = Product::shared();
        int const column_tiles = (sum.out_channels + Product::columns - 1) / Product::columns;
        int const part = static_cast<int>(blockIdx.x) / column_tiles;
        int const first_row = part * product_rows;
        int const first_column = static_cast<int>(blockIdx.x) % column_tiles * Product::columns;
        int const first_depth = static_cast<int>(blockIdx.y) * split_depth;
        int const depth = sum.depth() - first_depth < split_depth ? sum.depth() - first_depth : split_depth;
        Product product(memory);
        product.run((depth + Product::depth - 1) / Product::depth,
                    window_loader<T, Product>(sum, by, in, filters, first_row, first_column, first_depth));
        if (partial != nullptr) {
            product.each_pair([&](int row, int column, float first, float second) {
                if (first_row + row >= sum.rows() || first_column + column >= sum.out_channels) return;
                std::int64_t const position = position_of(sum, by, first_row + row);
                float* const to = partial + blockIdx.y * sum.out_size() + position * sum.out_channels;
                store_pack(to + first_column + column, pack<float, 2>{first, second});
            });
            return;
        }
        using staged = staged_tile<T, Product::columns>;
        static_assert(staged::bytes <= sizeof(memory));
        staged tile(&memory);
        __syncthreads();  // the tiles are read
        if (epilogue.bias == nullptr)
            product.each_pair([&](int row, int column, float first, float second) {
                tile.put_pair(row, column, first, second);
            });
        else
            product.each_pair([&](int row, int column, float first, float second) {
                int const channel = first_column + column;
                bool const inside = channel < sum.out_channels;  // biases may lie anywhere: not in pairs
                tile.put_pair(row, column, first + (inside ? epilogue.bias[channel] : 0),
                              second + (inside ? epilogue.bias[channel + 1] : 0));
            });
        int const channel = first_column + staged::column();
        auto const each_row = [&](auto use) {
            TEMPERA_UNROLL
            for (int i = 0; i < staged::rows_of_thread; ++i) {
                int const number = first_row + staged::row(i);
                if (number < sum.rows() && channel < sum.out_channels)
                    use(i, position_of(sum, by, number) * sum.out_channels + channel);
            }
        };
        __syncthreads();
        pack<T, chunk_elements> values[staged::rows_of_thread];
        TEMPERA_UNROLL
        for (int i = 0; i < staged::rows_of_thread; ++i) values[i] = tile.chunk(i);
        if (epilogue.residual != nullptr)
            each_row([&](int i, std::int64_t at) {
                auto const added = load_pack<chunk_elements>(epilogue.residual + at);
                for (int k = 0; k < chunk_elements; ++k)
                    put(values[i].at[k], as_float(values[i].at[k]) + as_float(added.at[k]));
            });
        if (epilogue.relu)
            TEMPERA_UNROLL
            for (int i = 0; i < staged::rows_of_thread; ++i)
                TEMPERA_UNROLL
                for (int k = 0; k < chunk_elements; ++k) put(values[i].at[k], rectified(as_float(values[i].at[k])));
        each_row([&](int i, std::int64_t at) { store_pack(out + at, values[i]); });
        if (moments != nullptr)
            write_moments(tile, values, sum.rows() - first_row, part, first_column, sum.out_channels, moments);
    }
}

/// Tiles of 128 columns where they waste no more than those of 64 and are enough to fill a GPU.
inline bool wide_tiles(std::int64_t rows, int columns) {
    constexpr std::int64_t enough = 128;
    int const rest = columns % 128;
    return (rest == 0 || rest > 64) && (rows + product_rows - 1) / product_rows * ((columns + 127) / 128) >= enough;
}

/// With warpgroups where they were compiled for the device.
template <class T>
void add_window_sum(cudaStream_t stream, window_sum const& sum, T const* in, T const* filters,
                    convolution_epilogue<T> const& epilogue, T* out, float* moments, depth_splits const& splits = {},
                    float* partial = nullptr) {
    if (sum.rows() == 0 || sum.depth() == 0) return;
    auto const start = [&]<class Product>() {
        int const blocks = (sum.rows() + product_rows - 1) / product_rows *
                           ((sum.out_channels + Product::columns - 1) / Product::columns);
        launch_with(Product::launched_bytes, window_sum_kernel<T, Product>,
                    dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(splits.count)), dim3(product_threads), stream,
                    sum, window_divisors(sum), in, filters, epilogue, out, moments, splits.depth, partial);
    };
    auto const with_columns = [&]<int Columns>() {
        using warpgroups = warpgroup_product<T, Columns, major::depth>;
        if (runs_here(window_sum_kernel<T, warpgroups>)) start.template operator()<warpgroups>();
        else start.template operator()<block_product<T, Columns, major::depth>>();
    };
    if (wide_tiles(sum.rows(), sum.out_channels)) with_columns.template operator()<128>();
    else with_columns.template operator()<64>();
}

/// Adds the splits of a convolution's sums in order, and finishes them.
template <class T>
struct add_depth_splits_work {
    static constexpr int ahead = 1;
    convolution_epilogue<T> epilogue;
    int splits;
    std::int64_t size;  ///< of y
    float const* partial;
    T* y;

    template <int Width>
    __device__ pack<T, Width> load(std::int64_t i) const {
        return load_residual<Width>(epilogue, i);
    }
    template <int Width>
    __device__ pack<float, Width> channels(int first) const {
        return biases<Width>(epilogue, first);
    }
    template <int Width>
    __device__ void operator()(std::int64_t i, pack<T, Width> const& residual, pack<float, Width> const& bias) const {
        pack<float, Width> sum = {};
        for (int split = 0; split < splits; ++split) {
            auto const more = load_pack<Width>(partial + split * size + i);
            for (int k = 0; k < Width; ++k) sum.at[k] += more.at[k];
        }
        pack<T, Width> result;
        for (int k = 0; k < Width; ++k) result.at[k] = finished(epilogue, sum.at[k], bias.at[k], residual.at[k]);
        store_pack(y + i, result);
    }
};

template <class T>
void tensor_forward(cudaStream_t stream, convolution_geometry const& g, T const* x, T const* w,
                    convolution_epilogue<T> const& epilogue, T* y, float* scratch) {
    depth_splits const splits = splits_of(g);
    float* const partial = splits.count > 1 ? scratch : nullptr;
    add_window_sum(stream, forward_sum(in_blocks(g)), x, w, epilogue, y, nullptr, splits, partial);
    if (splits.count > 1)
        along_channels<T>(stream, g.out_size() / g.out_channels, g.out_channels,
                          add_depth_splits_work<T>{epilogue, splits.count, g.out_size(), scratch, y},
                          {epilogue.residual, y});
}

template <class T>
void tensor_forward_statistics(cudaStream_t stream, convolution_geometry const& g, T const* x, T const* w,
                               float const* bias, T* y, batch_norm_statistics_target const& target, float* scratch) {
    window_sum const sum = forward_sum(in_blocks(g));
    add_window_sum<T>(stream, sum, x, w, {.bias = bias}, y, scratch);
    merge_moments(stream, sum.rows(), g.out_channels, scratch, target);
}

template <class T>
void tensor_backward_data(cudaStream_t stream, convolution_geometry const& g, T const* dy, T const* w_swapped, T* dx,
                          store mode) {
    convolution_geometry const whole = in_whole_chunks(g);
    bool const gaps = g.kernel < g.stride;  // positions of x that no window holds
    if (gaps && mode == store::write) fill(stream, whole.in_size(), 0.0F, dx);
    for (int row_phase = 0; row_phase < g.stride; ++row_phase)
        for (int column_phase = 0; column_phase < g.stride; ++column_phase)
            add_window_sum<T>(stream, gradient_sum(whole, row_phase, column_phase), dy, w_swapped,
                              {.residual = mode == store::accumulate ? dx : nullptr}, dx, nullptr);
}

}  // namespace tempera::cuda_kernels
