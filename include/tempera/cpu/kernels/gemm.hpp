// SPDX-License-Identifier: Apache-2.0
// The matrix product of one instruction set. Included once per instruction set (see
// target.hpp), after gemm_lanes.hpp; the structs are declared in gemm.hpp, the copies around it and the table lie in
// gemm_copies.hpp.
//
//   tile<Rows, Vectors>   c[i, j] (+)= sum_k a[i, k] b[k, j], sums in registers, then the epilogue
//                         avx2 6 x 16 (12 of 16 registers), avx512 14 x 32 (28 of 32), portable 4 x 8 by Eigen;
//                         avx512_bf16: an element of a or b is a pair of bf16 for two steps of k
//   multiply              a block: tiles of tile_rows x tile_columns, smaller ones at the edges
//   spin                  multiply-adds in registers only, to measure the peak
//
// One loop serves forward (a row = a pixel, step = one float) and weight gradients (a row = a filter, step = one
// pixel): rows and steps of a are any distances. A base pointer for every five rows and the distance times 1, 2, 3, 4
// address the rows, so that no compiler runs out of integer registers: checked with objdump, no spills.

/// One element of a in all lanes, and what it adds to a sum: its product, or the sum of a pair's two products.
#if TEMPERA_TARGET == 4 || TEMPERA_TARGET == 10
typedef std::int32_t word __attribute__((may_alias));
TEMPERA_INLINE vf repeat(float const* a) {
    vi const all = vset_int(*reinterpret_cast<word const*>(a));
    return (vf)all;
}
TEMPERA_INLINE vf multiply_add(vf a, vf b, vf sum) {
#if TEMPERA_TARGET == 4
    return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
#else
    vi const upper = vset_int(-65536);
    vf const odd = vfma((vf)((vi)a & upper), (vf)((vi)b & upper), sum);
    return vfma((vf)((vi)a << 16), (vf)((vi)b << 16), odd);
#endif
}
#else
TEMPERA_INLINE vf repeat(float const* a) { return vset(*a); }
TEMPERA_INLINE vf multiply_add(vf a, vf b, vf sum) { return vfma(a, b, sum); }
#endif

#if TEMPERA_TARGET == 0

template <int Rows, int Vectors, class T>
static void tile(tile_operands<T> const& t) {
    static_assert(Vectors == tile_vectors && tile_columns == eigen_tile_columns);
    float lanes[Rows * tile_columns];
    eigen_tile<Rows>(t.depth, t.a, t.a_row, t.a_step, t.b, t.b_step, lanes);
    store_lanes(t, lanes, Rows);
}

#else

template <int Rows, int Vectors, class T>
TEMPERA_INLINE void add_rows_of(T const* from, std::ptrdiff_t const* rows, vf (&sum)[Rows][Vectors]) {
    TEMPERA_UNROLL
    for (int i = 0; i < Rows; ++i) {
        TEMPERA_UNROLL
        for (int v = 0; v < Vectors; ++v) sum[i][v] = sum[i][v] + vload(from + rows[i] + v * width);
    }
}

template <int Rows, int Vectors>
TEMPERA_INLINE void add_moments(tile_operands<float> const& t, vf const (&c)[Rows][Vectors]) {
    TEMPERA_UNROLL
    for (int v = 0; v < Vectors; ++v) {
        float* const at_shift = t.epilogue.moments + v * width;
        float* const at_sum = at_shift + t.epilogue.moments_line;
        float* const at_squares = at_sum + t.epilogue.moments_line;
        vf shift = t.first ? c[0][v] : vload(at_shift);
        if (t.first) {
            TEMPERA_UNROLL
            for (int i = 1; i < Rows; ++i) shift = shift + c[i][v];
            shift = shift * vset(1.0F / Rows);
        }
        vf sum = t.first ? vzero() : vload(at_sum), squares = t.first ? vzero() : vload(at_squares);
        TEMPERA_UNROLL
        for (int i = 0; i < Rows; ++i) {
            vf const d = c[i][v] - shift;
            sum = sum + d;
            squares = vfma(d, d, squares);
        }
        vstore(at_shift, shift);
        vstore(at_sum, sum);
        vstore(at_squares, squares);
    }
}

template <int Rows, int Vectors, class T>
static void tile(tile_operands<T> const& t) {
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
    T const* const residual = t.epilogue.residual;
    for (int k = 0; k < t.depth; ++k) {
        if (k < Rows) {  // results, and what is added to them, arrive from memory while the sums are made
            if (!t.epilogue.stream) {
                __builtin_prefetch(t.c + t.c_rows[k], 1);
                if (Vectors * width > 16) __builtin_prefetch(t.c + t.c_rows[k] + 16, 1);
            }
            if (residual != nullptr) {
                __builtin_prefetch(residual + t.c_rows[k]);
                if (Vectors * width > 16) __builtin_prefetch(residual + t.c_rows[k] + 16);
            }
        }
        if (k < t.soon_lines) __builtin_prefetch(t.soon + 64 * std::ptrdiff_t{k}, 0, 2);
        vf y[Vectors];
        TEMPERA_UNROLL
        for (int v = 0; v < Vectors; ++v) y[v] = vload(b + v * width);
        TEMPERA_UNROLL
        for (int i = 0; i < Rows; ++i) {
            float const* const base = i < 5 ? a0 : i < 10 ? a5 : a10;
            int const within = i % 5;
            vf const x = repeat(within == 3 ? base + row3 : base + within * row);
            TEMPERA_UNROLL
            for (int v = 0; v < Vectors; ++v) sum[i][v] = multiply_add(x, y[v], sum[i][v]);
        }
        a0 += t.a_step;
        if (Rows > 5) a5 += t.a_step;
        if (Rows > 10) a10 += t.a_step;
        b += t.b_step;
    }
    if (t.columns == Vectors * width) {
        if (t.epilogue.bias != nullptr) {
            vf bias[Vectors];
            TEMPERA_UNROLL
            for (int v = 0; v < Vectors; ++v) bias[v] = vload(t.epilogue.bias + v * width);
            TEMPERA_UNROLL
            for (int i = 0; i < Rows; ++i) {
                TEMPERA_UNROLL
                for (int v = 0; v < Vectors; ++v) sum[i][v] = sum[i][v] + bias[v];
            }
        }
        if (t.accumulate) add_rows_of(t.c, t.c_rows, sum);
        if (t.epilogue.residual != nullptr) add_rows_of(t.epilogue.residual, t.c_rows, sum);
        if (t.epilogue.relu) {
            TEMPERA_UNROLL
            for (int i = 0; i < Rows; ++i) {
                TEMPERA_UNROLL
                for (int v = 0; v < Vectors; ++v) sum[i][v] = vmax(vzero(), sum[i][v]);
            }
        }
        if constexpr (sizeof(T) == sizeof(float)) {
            if (t.epilogue.moments != nullptr) add_moments(t, sum);
        }
        bool const stream = t.epilogue.stream;
        TEMPERA_UNROLL
        for (int i = 0; i < Rows; ++i) {
            T* const c = t.c + t.c_rows[i];
            TEMPERA_UNROLL
            for (int v = 0; v < Vectors; ++v) {
                if (stream) vstream(c + v * width, sum[i][v]);
                else vstore(c + v * width, sum[i][v]);
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

template <int Vectors, class T>
static int tile_of(tile_operands<T> const& t, int rows) {
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

/// How far the memory that is wanted soon has been called for.
struct soon_cursor {
    memory_range left, then;

    /// At most `lines`, by the tile.
    template <class T>
    void give(tile_operands<T>& t, int lines) {
        if (left.begin >= left.end) {
            left = then;
            then = {};
        }
        std::ptrdiff_t const whole = (left.end - left.begin + 63) / 64;
        t.soon = left.begin;
        t.soon_lines = whole < lines ? static_cast<int>(whole) : lines;
        left.begin += 64 * std::ptrdiff_t{t.soon_lines};
    }
};

template <class T>
static void multiply_tiles(gemm_block_to<T> const& g, int first_row, int last_row, int column, soon_cursor& soon) {
    int const columns = g.columns - column < tile_columns ? g.columns - column : tile_columns;
    gemm_epilogue<T> epilogue = g.epilogue.from(column);
    if (epilogue.residual != nullptr) epilogue.residual += column;
    for (int i = first_row; i < last_row;) {
        std::ptrdiff_t const group = i / tile_rows;
        int const within = static_cast<int>(i % tile_rows);
        tile_operands<T> t{g.a + group * g.a_group + within * g.a_row,
                           g.a_row,
                           g.a_step,
                           g.b + column / tile_columns * g.b_panel,
                           g.b_step,
                           g.depth,
                           g.c + column,
                           g.c_rows + i,
                           columns,
                           g.accumulate,
                           i == 0,
                           nullptr,
                           0,
                           epilogue};
        soon.give(t, g.depth);
        i += columns <= width ? tile_of<narrow_vectors>(t, last_row - i) : tile_of<tile_vectors>(t, last_row - i);
    }
}

/// Panels of b that fit the first-level cache together stay there while rows go by; larger ones one at a time.
template <class T>
static void multiply(gemm_block_to<T> const& g) {
    soon_cursor soon{g.soon[0], g.soon[1]};
    if (std::int64_t{g.depth} * g.columns <= 4096) {
        for (int i = 0; i < g.rows; i += tile_rows) {
            int const last = i + tile_rows < g.rows ? i + tile_rows : g.rows;
            for (int j = 0; j < g.columns; j += tile_columns) multiply_tiles(g, i, last, j, soon);
        }
    } else {
        for (int j = 0; j < g.columns; j += tile_columns) multiply_tiles(g, 0, g.rows, j, soon);
    }
    if (g.epilogue.stream) vsettle();
}

/// Multiply-adds in registers only: 12 independent sums, `steps` times. Measures the peak.
static float spin(std::int64_t steps) {
    vf sum[12];
    TEMPERA_UNROLL
    for (int i = 0; i < 12; ++i) sum[i] = vset(static_cast<float>(i));
    vf x = vset(0.5F);
    for (std::int64_t k = 0; k < steps; ++k) {
#if defined(__x86_64__) && TEMPERA_TARGET < 9
        __asm__("" : "+x"(x));
#endif
        TEMPERA_UNROLL
        for (int i = 0; i < 12; ++i) sum[i] = multiply_add(x, x, sum[i]);
    }
    vf total = vzero();
    TEMPERA_UNROLL
    for (int i = 0; i < 12; ++i) total = total + sum[i];
    return vsum(total);
}
