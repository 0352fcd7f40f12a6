// SPDX-License-Identifier: Apache-2.0
// The matrix product of one instruction set, and the copies around it. Included once per instruction set (see
// target.hpp); the structs and the table are declared in gemm.hpp.
//
//   tile<Rows, Vectors>   c[i, j] (+)= bias[j] + sum_k a[i, k] b[k, j], sums in registers
//                         avx2 6 x 16 (12 of 16 registers), avx512 14 x 32 (28 of 32), portable 4 x 8 by Eigen
//   multiply              a block: tiles of tile_rows x tile_columns, smaller ones at the edges
//   gather                rows of windows: what a convolution multiplies, a few rows at a time
//   pack                  b into panels of tile_columns columns, zeros after the last
//   interleave            a^T into groups of tile_rows rows, step by step
//
// One loop serves forward (a row = a pixel, step = one float) and weight gradients (a row = a filter, step = one
// pixel): rows and steps of a are any distances. A base pointer for every five rows and the distance times 1, 2, 3, 4
// address the rows, so that no compiler runs out of integer registers: checked with objdump, no spills.

#if TEMPERA_TARGET == 0
constexpr int tile_rows = eigen_tile_rows;
#elif TEMPERA_VECTOR_FLOATS == 16
constexpr int tile_rows = 14;
#else
constexpr int tile_rows = 6;
#endif
constexpr int tile_vectors = 2;
constexpr int tile_columns = tile_vectors * width;

#if defined(__clang__)
#define TEMPERA_UNROLL _Pragma("unroll")
#else
#define TEMPERA_UNROLL _Pragma("GCC unroll 32")
#endif

struct tile_operands {
    float const* a;
    std::ptrdiff_t a_row;
    std::ptrdiff_t a_step;
    float const* b;
    std::ptrdiff_t b_step;
    int depth;
    float* c;
    std::ptrdiff_t const* c_rows;
    float const* bias;
    int columns;
    bool accumulate;
};

/// The end of a tile with a bias or without all its columns.
__attribute__((noinline)) static void store_lanes(tile_operands const& t, float const* lanes, int rows) {
    for (int i = 0; i < rows; ++i, lanes += tile_columns) {
        float* const c = t.c + t.c_rows[i];
        for (int j = 0; j < t.columns; ++j) {
            float const r = t.bias != nullptr ? lanes[j] + t.bias[j] : lanes[j];
            c[j] = t.accumulate ? c[j] + r : r;
        }
    }
}

#if TEMPERA_TARGET == 0

template <int Rows, int Vectors>
static void tile(tile_operands const& t) {
    static_assert(Vectors == tile_vectors && tile_columns == eigen_tile_columns);
    float lanes[Rows * tile_columns];
    eigen_tile<Rows>(t.depth, t.a, t.a_row, t.a_step, t.b, t.b_step, lanes);
    store_lanes(t, lanes, Rows);
}

#else

template <int Rows, int Vectors>
static void tile(tile_operands const& t) {
    vf sum[Rows][Vectors];
    TEMPERA_UNROLL
    for (int i = 0; i < Rows; ++i) {
        TEMPERA_UNROLL
        for (int v = 0; v < Vectors; ++v) sum[i][v] = vzero();
    }
    std::ptrdiff_t const row = t.a_row;
    std::ptrdiff_t const row3 = 3 * row;
    float const* a0 = t.a;
    float const* a5 = Rows > 5 ? t.a + 5 * row : t.a;
    float const* a10 = Rows > 10 ? t.a + 10 * row : t.a;
    float const* b = t.b;
    for (int k = t.depth; k > 0; --k) {
        vf y[Vectors];
        TEMPERA_UNROLL
        for (int v = 0; v < Vectors; ++v) y[v] = vload(b + v * width);
        if (Rows >= 6) {  // long panels come from the second-level cache or from further away
            __builtin_prefetch(b + 16 * t.b_step);
            if (Vectors * width > 16) __builtin_prefetch(b + 16 * t.b_step + 16);
        }
        TEMPERA_UNROLL
        for (int i = 0; i < Rows; ++i) {
            float const* const base = i < 5 ? a0 : i < 10 ? a5 : a10;
            int const within = i % 5;
            vf const x = vset(within == 3 ? base[row3] : base[within * row]);
            TEMPERA_UNROLL
            for (int v = 0; v < Vectors; ++v) sum[i][v] = vfma(x, y[v], sum[i][v]);
        }
        a0 += t.a_step;
        if (Rows > 5) a5 += t.a_step;
        if (Rows > 10) a10 += t.a_step;
        b += t.b_step;
    }
    if (t.columns == Vectors * width && t.bias == nullptr) {
        TEMPERA_UNROLL
        for (int i = 0; i < Rows; ++i) {
            float* const c = t.c + t.c_rows[i];
            TEMPERA_UNROLL
            for (int v = 0; v < Vectors; ++v) {
                vstore(c + v * width, t.accumulate ? vload(c + v * width) + sum[i][v] : sum[i][v]);
            }
        }
        return;
    }
    float lanes[Rows * tile_columns];
    TEMPERA_UNROLL
    for (int i = 0; i < Rows; ++i) {
        TEMPERA_UNROLL
        for (int v = 0; v < Vectors; ++v) vstore(lanes + i * tile_columns + v * width, sum[i][v]);
    }
    store_lanes(t, lanes, Rows);
}

#endif

template <int Vectors>
static int tile_of(tile_operands const& t, int rows) {
    if constexpr (tile_rows >= 14) {
        if (rows >= 14) return tile<14, Vectors>(t), 14;
    }
    if constexpr (tile_rows >= 6) {
        if (rows >= 6) return tile<6, Vectors>(t), 6;
    }
    if (rows >= 4) return tile<4, Vectors>(t), 4;
    if (rows >= 2) return tile<2, Vectors>(t), 2;
    return tile<1, Vectors>(t), 1;
}

/// Where columns end within the first vector, half a tile would do nothing; Eigen's is not divided.
constexpr int narrow_vectors = TEMPERA_TARGET == 0 ? tile_vectors : 1;

static void multiply_tiles(gemm_block const& g, int first_row, int last_row, int column) {
    int const columns = g.columns - column < tile_columns ? g.columns - column : tile_columns;
    float const* const bias = g.bias != nullptr ? g.bias + column : nullptr;
    for (int i = first_row; i < last_row;) {
        std::ptrdiff_t const group = i / tile_rows;
        int const within = static_cast<int>(i % tile_rows);
        tile_operands const t{g.a + group * g.a_group + within * g.a_row,
                              g.a_row,
                              g.a_step,
                              g.b + column / tile_columns * g.b_panel,
                              g.b_step,
                              g.depth,
                              g.c + column,
                              g.c_rows + i,
                              bias,
                              columns,
                              g.accumulate};
        i += columns <= width ? tile_of<narrow_vectors>(t, last_row - i) : tile_of<tile_vectors>(t, last_row - i);
    }
}

/// Panels of b that fit the first-level cache together stay there while rows go by; larger ones one at a time.
static void multiply(gemm_block const& g) {
    if (std::int64_t{g.depth} * g.columns <= 4096) {
        for (int i = 0; i < g.rows; i += tile_rows) {
            int const last = i + tile_rows < g.rows ? i + tile_rows : g.rows;
            for (int j = 0; j < g.columns; j += tile_columns) multiply_tiles(g, i, last, j);
        }
    } else {
        for (int j = 0; j < g.columns; j += tile_columns) multiply_tiles(g, 0, g.rows, j);
    }
}

/// Copies count elements as floats. May write up to `width` floats after the last.
template <class T>
TEMPERA_INLINE void copy_run(T const* from, float* to, int count) {
    if (count < width) {
        if constexpr (sizeof(T) == sizeof(float)) {
            vstore(to, vload_n(from, count));
        } else {
            for (int i = 0; i < count; ++i) to[i] = sload(from + i);
        }
        return;
    }
    int i = 0;
    for (; i + width <= count; i += width) vstore(to + i, vload(from + i));
    if (i < count) vstore(to + count - width, vload(from + count - width));
}
TEMPERA_INLINE void zero_run(float* to, int count) {
    for (int i = 0; i < count; i += width) vstore(to + i, vzero());
}

/// Elements [first, last) of one window, zeros where it leaves the map. `image` is the sample's element (0, left, 0).
template <class T>
static void gather_clipped(window_walk const& w, T const* image, int top, int left, int first, int last, float* to) {
    int const run = w.window_width * w.channels;
    std::int64_t const in_row = std::int64_t{w.in_width} * w.channels;
    int const begin = left < 0 ? -left * w.channels : 0;
    int const end = left + w.window_width > w.in_width ? (w.in_width - left) * w.channels : run;
    for (int r = first / run; r * run < last; ++r) {
        int const y = top + r;
        int const from = first > r * run ? first - r * run : 0;
        int const until = last < (r + 1) * run ? last - r * run : run;
        float* const out = to + r * run - first;
        if (y < 0 || y >= w.in_height) {
            zero_run(out + from, until - from);
            continue;
        }
        int const inside_from = from < begin ? (begin < until ? begin : until) : from;
        int const inside_until = until > end ? (end > inside_from ? end : inside_from) : until;
        zero_run(out + from, inside_from - from);
        copy_run(image + y * in_row + inside_from, out + inside_from, inside_until - inside_from);
        zero_run(out + inside_until, until - inside_until);
    }
}

/// Elements [first, last) of the windows of `rows` positions from `position` on, to lines `line` floats apart.
/// May write up to `width` floats after a line.
template <class T>
static void gather(window_walk const& w, void const* source, std::int64_t position, int rows, int first, int last,
                   float* to, std::ptrdiff_t line) {
    int const run = w.window_width * w.channels;
    std::int64_t const in_row = std::int64_t{w.in_width} * w.channels;
    std::int64_t const per_image = std::int64_t{w.out_height} * w.out_width;
    bool const whole = first == 0 && last == w.window_height * run;
    T const* image = static_cast<T const*>(source) + position / per_image * w.in_height * in_row;
    int i = static_cast<int>(position % per_image / w.out_width);
    int j = static_cast<int>(position % w.out_width);
    for (int p = 0; p < rows; ++p, to += line) {
        int const top = i * w.step + w.top;
        int const left = j * w.step + w.left;
        T const* from = image + std::int64_t{left} * w.channels;
        if (whole && top >= 0 && top + w.window_height <= w.in_height && left >= 0 &&
            left + w.window_width <= w.in_width) {
            from += top * in_row;
            for (int r = 0; r < w.window_height; ++r, from += in_row) copy_run(from, to + r * run, run);
        } else {
            gather_clipped(w, from, top, left, first, last, to);
        }
        if (++j == w.out_width) {
            j = 0;
            if (++i == w.out_height) {
                i = 0;
                image += w.in_height * in_row;
            }
        }
    }
}

/// to[panel][k][column]: b[k, n] = from[k * step_k + n * step_n], panels `panel` floats apart.
static void pack(float const* from, std::ptrdiff_t step_k, std::ptrdiff_t step_n, int depth, int columns, float* to,
                 std::ptrdiff_t panel) {
    for (int j = 0; j < columns; j += tile_columns, to += panel) {
        int const count = columns - j < tile_columns ? columns - j : tile_columns;
        float const* const source = from + j * step_n;
        if (step_n == 1) {
            for (int k = 0; k < depth; ++k) {
                for (int v = 0; v < tile_columns; v += width) {
                    int const rest = count - v;
                    float const* const p = source + k * step_k + v;
                    vstore(to + k * tile_columns + v, rest >= width ? vload(p) : rest > 0 ? vload_n(p, rest) : vzero());
                }
            }
        } else {
            // Rows of the source often lie a multiple of 4 KB apart: read stretches of them, not one float of each.
            constexpr int stretch = 16;
            float rows[tile_columns][stretch] = {};
            for (int k = 0; k < depth; k += stretch) {
                int const steps = depth - k < stretch ? depth - k : stretch;
                for (int c = 0; c < count; ++c) {
                    for (int i = 0; i < steps; ++i) rows[c][i] = source[c * step_n + (k + i) * step_k];
                }
                for (int i = 0; i < steps; ++i) {
                    for (int c = 0; c < tile_columns; ++c) to[(k + i) * tile_columns + c] = rows[c][i];
                }
            }
        }
    }
}

/// to[group][k][row]: rows of from[k, row] (lines `line` elements apart) in groups of tile_rows, groups
/// depth * tile_rows floats apart. May write up to `width` floats after the last group.
template <class T>
static void interleave(T const* from, std::ptrdiff_t line, int depth, int rows, float* to) {
    for (int i = 0; i < rows; i += tile_rows, to += std::ptrdiff_t{depth} * tile_rows) {
        if (tile_rows <= width && i + width <= rows) {  // whole vectors, the overhang overwritten by the next step
            for (int k = 0; k < depth; ++k) vstore(to + k * tile_rows, vload(from + k * line + i));
        } else {
            int const count = rows - i < tile_rows ? rows - i : tile_rows;
            for (int k = 0; k < depth; ++k) copy_run(from + k * line + i, to + k * tile_rows, count);
        }
    }
}

/// y = x, or y = y + x, element by element; to[i] from lines of a float block, each line to its own place.
template <class T>
static void scatter(float const* from, std::ptrdiff_t line, int rows, int columns, void* target,
                    std::ptrdiff_t const* target_rows, bool accumulate) {
    for (int i = 0; i < rows; ++i, from += line) {
        T* const to = static_cast<T*>(target) + target_rows[i];
        int j = 0;
        for (; j + width <= columns; j += width) {
            vf const v = vload(from + j);
            vstore(to + j, accumulate ? vload(to + j) + v : v);
        }
        for (; j < columns; ++j) sstore(to + j, accumulate ? sload(to + j) + from[j] : from[j]);
    }
}

/// y (+)= the sum of `parts` arrays `stride` floats apart, in order.
static void add_parts(float const* from, std::ptrdiff_t stride, int parts, std::int64_t count, float* y,
                      bool accumulate) {
    std::int64_t i = 0;
    for (; i + width <= count; i += width) {
        vf s = vload(from + i);
        for (int p = 1; p < parts; ++p) s = s + vload(from + p * stride + i);
        vstore(y + i, accumulate ? vload(y + i) + s : s);
    }
    for (; i < count; ++i) {
        float s = from[i];
        for (int p = 1; p < parts; ++p) s += from[p * stride + i];
        y[i] = accumulate ? y[i] + s : s;
    }
}

/// sums[c] = sum over rows of x[row, c].
template <class T>
static void add_rows(T const* x, std::int64_t rows, int columns, float* sums) {
    int j = 0;
    for (; j + width <= columns; j += width) {
        vf s = vzero();
        for (std::int64_t i = 0; i < rows; ++i) s = s + vload(x + i * columns + j);
        vstore(sums + j, s);
    }
    for (; j < columns; ++j) {
        float s = 0;
        for (std::int64_t i = 0; i < rows; ++i) s += sload(x + i * columns + j);
        sums[j] = s;
    }
}

/// Multiply-adds in registers only: 12 independent sums, `steps` times. Measures the peak.
static float spin(std::int64_t steps) {
    vf sum[12];
    TEMPERA_UNROLL
    for (int i = 0; i < 12; ++i) sum[i] = vset(static_cast<float>(i));
    vf x = vset(0.5F);
    for (std::int64_t k = 0; k < steps; ++k) {
#if defined(__x86_64__) && TEMPERA_TARGET != 9
        __asm__("" : "+x"(x));
#endif
        TEMPERA_UNROLL
        for (int i = 0; i < 12; ++i) sum[i] = vfma(sum[i], x, x);
    }
    vf total = vzero();
    TEMPERA_UNROLL
    for (int i = 0; i < 12; ++i) total = total + sum[i];
    return vsum(total);
}

#undef TEMPERA_UNROLL

template <class T>
inline constexpr gemm_kernels<T> gemm_table{{
#if TEMPERA_TARGET == 3
                                                "avx512 14x32",
#elif TEMPERA_TARGET == 2
                                                "avx2 6x16",
#elif TEMPERA_TARGET == 0
                                                "portable Eigen",
#else
                                                "emulated 14x32",
#endif
                                                tile_rows, tile_columns, TEMPERA_TARGET == 0 ? 256 : 1152, width * 24,
                                                multiply, pack, interleave<float>, add_parts, spin},
                                            gather<T>,
                                            interleave<T>,
                                            scatter<T>,
                                            add_rows<T>};
