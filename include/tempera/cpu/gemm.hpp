// SPDX-License-Identifier: Apache-2.0
#pragma once
// The packed matrix product behind convolution, matmul and NT-Xent: what each instruction set provides for one block of it.
//
//   c[m, n] (+)= sum_k a[m, k] b[k, n], then the epilogue
//
// b is packed beforehand into panels. gemm_job.hpp cuts a whole product into blocks.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <tempera/cpu/cpu.hpp>
#include <tempera/cpu/vector.hpp>

namespace tempera::cpu_kernels {

/// What becomes of sums: c = relu(sum + bias + residual), each part where there is one. Rows of `residual` begin where those
/// of c do. stream: c is written past the caches. moments: where {shift, sum d, sum d^2} of each column of c go, d = c - shift,
/// three lines `moments_line` apart; shift is the mean of a block's first tile. For floats alone.
template <class T>
struct gemm_epilogue {
    float const* bias = nullptr;
    T const* residual = nullptr;
    bool relu = false;
    bool stream = false;
    float* moments = nullptr;
    std::ptrdiff_t moments_line = 0;

    /// From column `begin` on.
    gemm_epilogue from(std::ptrdiff_t begin) const {
        gemm_epilogue e = *this;
        if (bias != nullptr) e.bias += begin;
        if (moments != nullptr) e.moments += begin;
        return e;
    }
};

/// Memory that is wanted soon.
struct memory_range {
    char const* begin = nullptr;
    char const* end = nullptr;
};

/// What one block of a product multiplies. a[i, k] = a[i / tile_rows * a_group + i % tile_rows * a_row + k * a_step];
/// b[k, j] = b[j / tile_columns * b_panel + k * b_step + j % tile_columns].
struct gemm_operands {
    int rows, columns, depth;
    float const* a;
    std::ptrdiff_t a_group, a_row, a_step;
    float const* b;
    std::ptrdiff_t b_panel, b_step;
    memory_range soon[2];  ///< called to the second-level cache beside the multiply-adds, a line with each step of k
    // For tiles alone:
    memory_range soon_addends;            ///< what is added to later rows: likewise, beside the others
    int taps = 1;                         ///< rows of a lie in so many stretches of equal depth,
    std::ptrdiff_t const* tap = nullptr;  ///< which begin so many floats further; null: in one
};

/// And where its results go: row i of c begins at c + c_rows[i]; for tiles -1 is nowhere.
template <class T>
struct gemm_block_to : gemm_operands {
    T* c;
    std::ptrdiff_t const* c_rows;
    bool accumulate;
    gemm_epilogue<T> epilogue;
};
using gemm_block = gemm_block_to<float>;

/// Windows of a {batch, in_height, in_width, channels} map, one for each of out_height x out_width positions per
/// sample. The window of position (i, j) covers rows i * step + top + [0, window_height) and columns j * step + left +
/// [0, window_width); outside the map it is zero. Its elements are (row, column, channel), channel fastest.
struct window_walk {
    int in_height, in_width, channels;
    int out_height, out_width;
    int step, top, left;
    int window_height, window_width;
};

/// How positions of results are counted: those of a line, and lines of a sample, some of which may have no result.
struct position_count {
    std::int64_t of_line, of_sample;
};

/// Where the windows of positions [begin, end) lie in a map of elements of `bytes` bytes: whole rows, from the first to the
/// last. Nothing where windows leave gaps, which are not worth being called for.
inline memory_range memory_of(window_walk const& w, position_count lines, void const* x, std::int64_t bytes,
                              std::int64_t begin, std::int64_t end) {
    if (begin >= end || w.step > w.window_height) return {};
    auto const row = [&](std::int64_t position, int within) {
        std::int64_t const line = position / lines.of_line;
        std::int64_t const y = line % lines.of_sample * w.step + w.top + within;
        return line / lines.of_sample * w.in_height + std::clamp<std::int64_t>(y, 0, w.in_height);
    };
    std::int64_t const line = bytes * w.in_width * w.channels;
    auto const* const map = static_cast<char const*>(x);
    return {map + row(begin, 0) * line, map + row(end - 1, w.window_height) * line};
}
inline memory_range memory_of(window_walk const& w, void const* x, std::int64_t bytes, std::int64_t begin,
                              std::int64_t end) {
    return memory_of(w, {w.out_width, w.out_height}, x, bytes, begin, end);
}

/// Copies windows of a map of some element type to lines of floats.
using gather_function = void (*)(window_walk const&, void const* x, std::int64_t position, int rows, int first,
                                 int last, float* to, std::ptrdiff_t line);

/// What one instruction set provides for products of floats.
struct gemm_tiles {
    char const* name;
    int pair;  ///< elements of k in one float of a and b: 1, or 2 for pairs of bf16
    int tile_rows, tile_columns;
    int depth_block;     ///< longest stretch of k at a time
    int flops_per_spin;  ///< of one step of `spin`
    void (*multiply)(gemm_block const&);
    void (*pack)(float const* from, std::ptrdiff_t step_k, std::ptrdiff_t step_n, int depth, int columns, float* to,
                 std::ptrdiff_t panel);
    void (*interleave_floats)(float const* from, std::ptrdiff_t line, int depth, int rows, float* to);
    void (*add_parts)(float const* from, std::ptrdiff_t stride, int parts, std::int64_t count, float* y,
                      bool accumulate);
    float (*spin)(std::int64_t steps);
    bool row_major = false;  ///< `interleave` leaves the steps of a row side by side, not those of a group of rows
};

/// 32 columns of b, line after line, and the column of c that they give.
struct tile_panel {
    static constexpr int columns = 32;
    float const* b;
    std::ptrdiff_t column;
};

/// Products of `rows` rows of a with panels that lie anywhere, `depth` pairs of each, a multiple of 16:
/// c[i * c_row + panel.column + j] (+)= sum_k a[i * a_row + k] panel.b[k * 32 + j].
struct tile_products {
    float const* a;
    std::ptrdiff_t a_row;
    int rows, depth;
    tile_panel const* panel;
    int panels;
    float* c;
    std::ptrdiff_t c_row;
    bool accumulate;
};

/// What filters' gradients are made of where there are tiles (tile_weights.hpp). `lines` are those of a map, one for each
/// position; channels, which come in pairs, become lines of positions, or panels of pairs of positions.
struct tile_weight_kernels {
    void (*turn)(bf16 const* const* lines, int positions, int channels, float* to, std::ptrdiff_t line);
    void (*pair)(bf16 const* const* lines, int pairs, int channels, float* to, std::ptrdiff_t panel);
    void (*multiply)(tile_products const&);
};

/// The same with the copies from and to maps of T. Lines of a and b are counted in floats, pairs or not, as `first` and `last`
/// of `gather` are; those of `gather_steps`, and the depth of `pack`, in elements. A last pair is filled up with zero.
template <class T>
struct gemm_kernels : gemm_tiles {
    using scatter_function = void (*)(float const* from, std::ptrdiff_t line, int rows, int columns, T* to,
                                      std::ptrdiff_t const* to_rows, bool accumulate, gemm_epilogue<T> const&);

    gather_function gather;        ///< windows as rows of a
    gather_function gather_steps;  ///< windows as steps of b
    void (*interleave)(T const* from, std::ptrdiff_t line, int depth, int rows, float* to);
    scatter_function scatter;                      ///< lines of sums to a map
    void (*multiply_to)(gemm_block_to<T> const&);  ///< a whole product to a map; null: by way of lines of sums
    void (*add_rows)(T const* x, std::int64_t rows, int columns, float* sums);
    tile_weight_kernels const* weights = nullptr;  ///< where there are tiles
};

}  // namespace tempera::cpu_kernels

#if defined(TEMPERA_KERNELS_HERE)
#include <tempera/cpu/eigen_tile.hpp>
#endif
#define TEMPERA_KERNEL_FILE <tempera/cpu/kernels/gemm_lanes.hpp>
#include <tempera/cpu/each_target.hpp>
#define TEMPERA_KERNEL_FILE <tempera/cpu/kernels/gemm.hpp>
#include <tempera/cpu/each_target.hpp>
#define TEMPERA_KERNEL_FILE <tempera/cpu/kernels/gemm_copies.hpp>
#include <tempera/cpu/each_target.hpp>
#define TEMPERA_KERNEL_FILE <tempera/cpu/kernels/vector.hpp>
#include <tempera/cpu/each_pairs_target.hpp>
#define TEMPERA_KERNEL_FILE <tempera/cpu/kernels/gemm_lanes.hpp>
#include <tempera/cpu/each_pairs_target.hpp>
#define TEMPERA_KERNEL_FILE <tempera/cpu/kernels/gemm.hpp>
#include <tempera/cpu/each_pairs_target.hpp>
#define TEMPERA_KERNEL_FILE <tempera/cpu/kernels/gemm_pairs.hpp>
#include <tempera/cpu/each_pairs_target.hpp>
#define TEMPERA_KERNEL_FILE <tempera/cpu/kernels/tiles.hpp>
#include <tempera/cpu/each_amx_target.hpp>
#define TEMPERA_KERNEL_FILE <tempera/cpu/kernels/tile_weights.hpp>
#include <tempera/cpu/each_amx_target.hpp>
#define TEMPERA_KERNEL_FILE <tempera/cpu/kernels/gemm_amx.hpp>
#include <tempera/cpu/each_amx_target.hpp>

namespace tempera::cpu_kernels {

template <class T>
gemm_kernels<T> const& gemm_kernels_of(isa level) TEMPERA_TABLE(gemm_table<T>);

/// Kernels for dot products of bf16 pairs, and for float those that float has.
template <class T>
gemm_kernels<T> const& gemm_pairs_of(isa level);

#if defined(TEMPERA_KERNELS_HERE)
template <class T>
gemm_kernels<T> const& gemm_pairs_of(isa level) {
#if defined(__x86_64__)
    if constexpr (std::is_same_v<T, bf16>) {
        if (level == isa::amx) return amx::gemm_amx_table;
        if (level == isa::avx512_bf16) return avx512_bf16::gemm_pairs_table;
    }
#endif
    return gemm_kernels_of<T>(level);
}
#endif

/// The kernels of a product along `channels` of one tap after the other, which must come in pairs where kernels take pairs.
template <class T>
gemm_kernels<T> const& gemm_kernels_along(isa level, int channels) {
    return channels % 2 == 0 ? gemm_pairs_of<T>(level) : gemm_kernels_of<T>(level);
}

/// Memory for panels of b.
inline float* panels_of(cpu& device, std::int64_t floats) {
    return static_cast<float*>(
        device.scratch(device.caller(), scratch_slot::panels, static_cast<std::size_t>(floats) * sizeof(float)));
}

inline std::int64_t round_up(std::int64_t n, std::int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }
inline std::int64_t ceil_divide(std::int64_t n, std::int64_t d) { return (n + d - 1) / d; }

/// Memory for partial results, and their sum in order: y (+)= that of `parts` arrays of `count` floats.
inline float* parts_of(cpu& device, std::int64_t floats) {
    return static_cast<float*>(
        device.scratch(device.caller(), scratch_slot::parts, static_cast<std::size_t>(floats) * sizeof(float)));
}
inline void add_parts_of(cpu& device, gemm_tiles const& kernels, float const* from, int parts, std::int64_t count,
                         float* y, bool accumulate) {
    constexpr std::int64_t stretch = 4096;
    device.for_chunks(ceil_divide(count, stretch), [&](std::int64_t i, int) {
        kernels.add_parts(from + i * stretch, count, parts, std::min(stretch, count - i * stretch), y + i * stretch,
                          accumulate);
    });
}

/// Floats from one copied row to the next: no multiple of 2 KB, where rows would compete for the same cache lines.
inline std::int64_t line_of(std::int64_t depth) {
    std::int64_t const line = round_up(depth, 16);
    return line % 512 == 0 ? line + 16 : line;
}

}  // namespace tempera::cpu_kernels
