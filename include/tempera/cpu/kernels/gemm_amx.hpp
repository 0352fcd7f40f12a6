// SPDX-License-Identifier: Apache-2.0
// The product of bf16 pairs by tiles, and its table. Included for the instruction set with tiles (see
// each_amx_target.hpp), after gemm_pairs.hpp, whose copies it shares, tiles.hpp and tile_weights.hpp. `interleave` leaves the
// steps of a row side by side, as tiles read them.

/// 32 results to a line of a map, rounded as the processor rounds: subnormal numbers become zero, as those are that tiles read.
TEMPERA_INLINE void store_row(bf16* to, vf left, vf right, bool stream) {
#if TEMPERA_TARGET == 5
    auto const both = (__m512i)_mm512_cvtne2ps_pbh(right, left);
    if (stream) _mm512_stream_si512(reinterpret_cast<__m512i*>(to), both);
    else _mm512_storeu_si512(to, both);
#else
    static_cast<void>(stream);
    pairs::vstore(to, left);
    pairs::vstore(to + side, right);
#endif
}

template <class T>
TEMPERA_INLINE void add_row(T const* from, vf& left, vf& right) {
    left = left + pairs::vload(from);
    right = right + pairs::vload(from + side);
}

/// Sums to their places in a map, as single::scatter_lines brings them.
template <class T>
static void finish(float const* sums, std::ptrdiff_t line, int rows, int columns, T* c, std::ptrdiff_t const* c_rows,
                   bool accumulate, gemm_epilogue<T> const& epilogue) {
    single::scatter_lines(sums, line, rows, columns, c, c_rows, accumulate, epilogue);
}
static void finish(float const* sums, std::ptrdiff_t line, int rows, int columns, bf16* c, std::ptrdiff_t const* c_rows,
                   bool accumulate, gemm_epilogue<bf16> const& epilogue) {
    if (columns % tile_columns != 0)
        return single::scatter_lines(sums, line, rows, columns, c, c_rows, accumulate, epilogue);
    gemm_epilogue<bf16> const e = epilogue;  // a copy of its own stays in registers
    for (int i = 0; i < rows; ++i, sums += line) {
        if (c_rows[i] < 0) continue;
        bf16* const to = c + c_rows[i];
        bf16 const* const residual = e.residual != nullptr ? e.residual + c_rows[i] : nullptr;
        for (int j = 0; j < columns; j += tile_columns) {
            vf left = pairs::vload(sums + j), right = pairs::vload(sums + j + side);
            if (e.bias != nullptr) add_row(e.bias + j, left, right);
            if (accumulate) add_row(to + j, left, right);
            if (residual != nullptr) add_row(residual + j, left, right);
            if (e.relu) {
                left = pairs::vmax(pairs::vzero(), left);
                right = pairs::vmax(pairs::vzero(), right);
            }
            store_row(to + j, left, right, e.stream);
        }
    }
}

/// Where 32 rows of a fit the first-level cache, they stay there for all columns; of deeper products, columns of b stay in
/// the second for all rows, and only where a has several taps is anything called there beside them. Columns are finished
/// in twos of 32, so that lines of c are written, and those of the residual read, in twos.
template <class T>
static void multiply(gemm_block_to<T> const& g) {
    constexpr int most = 2 * tile_columns;
    alignas(64) float sums[tile_rows * most];
    tile_unit tiles;
    int const stretch = g.depth / g.taps;
    bool const shallow = g.depth <= 256;
    int const part = shallow ? tile_rows : g.rows;
    int const group = shallow ? most : tile_columns;
    soon_cursor soon;
    if (shallow || g.taps > 1)
        soon = soon_cursor(g, (g.rows + side) / tile_rows * ((g.columns + side) / tile_columns) * (g.depth / side));
    int configured = 0;
    for (int first = 0; first < g.rows; first += part) {
        int const last = g.rows - first < part ? g.rows : first + part;
        for (int j = 0; j < g.columns; j += group) {
            int const columns = g.columns - j < group ? g.columns - j : group;
            gemm_epilogue<T> epilogue = g.epilogue.from(j);
            if (epilogue.residual != nullptr) epilogue.residual += j;
            for (int i = first; i < last; i += tile_rows) {
                int const rows = last - i < tile_rows ? last - i : tile_rows;
                configure(tiles, rows, configured);
                float const* const a = g.a + i / tile_rows * g.a_group;
                for (int n = 0; n < columns; n += tile_columns) {
                    float const* const b = g.b + (j + n) / tile_columns * g.b_panel;
                    clear(tiles);
                    for (int t = 0; t < g.taps; ++t) {
                        std::ptrdiff_t const tap = g.tap != nullptr ? g.tap[t] : 0;
                        add_products(tiles, {a + tap, g.a_row, rows, b + t * stretch * g.b_step, g.b_step}, stretch,
                                     soon);
                    }
                    store_sums(tiles, rows, sums + n, most);
                }
                finish(sums, most, rows, columns, g.c + j, g.c_rows + i, g.accumulate, epilogue);
            }
        }
    }
    TEMPERA_TILE(release);
    if (g.epilogue.stream) pairs::vsettle();
}

/// to[row][k] = {from[2 k, row], from[2 k + 1, row]}, zero after the last of `depth` lines.
static void interleave(bf16 const* from, std::ptrdiff_t line, int depth, int rows, float* to) {
    int const steps = (depth + 1) / 2;
    for (int i = 0; i < rows; i += side, to += std::ptrdiff_t{steps} * side) {
        int const count = rows - i < side ? rows - i : side;
        for (int k = 0; k < steps; ++k) {
            bf16 const* const even = from + 2 * k * line + i;
            bool const both = 2 * k + 1 < depth;
            float column[side];
            pairs::vstore(column, pairs::paired(pairs::vload_n(even, count),
                                                both ? pairs::vload_n(even + line, count) : pairs::vzero()));
            for (int r = 0; r < count; ++r) __builtin_memcpy(to + r * steps + k, column + r, sizeof(float));
        }
    }
}

/// Products of tiles only, four independent ones a step. Measures the peak.
static float spin(std::int64_t steps) {
    alignas(64) float lanes[side * side] = {};
    tile_unit tiles;
    int configured = 0;
    configure(tiles, tile_rows, configured);
    clear(tiles);
    TEMPERA_TILE(zero, 4);
    TEMPERA_TILE(zero, 6);
    for (std::int64_t k = 0; k < steps; ++k) {
        TEMPERA_TILE(dpbf16ps, 0, 4, 6);
        TEMPERA_TILE(dpbf16ps, 1, 4, 6);
        TEMPERA_TILE(dpbf16ps, 2, 4, 6);
        TEMPERA_TILE(dpbf16ps, 3, 4, 6);
    }
    TEMPERA_TILE(stored, 0, lanes, side * 4);
    TEMPERA_TILE(release);
    return lanes[0];
}

static constexpr gemm_kernels<bf16> gemm_amx_table{
    {
#if TEMPERA_TARGET == 5
        "amx 32x32",
#else
        "emulated amx 32x32",
#endif
        2, tile_rows, tile_columns, 1152, 16 * side* side* side, multiply<float>, pairs::pack,
        single::interleave<float>, single::add_parts, spin, true},
    pairs::gather,
    pairs::gather_steps,
    interleave,
    single::scatter<bf16>,
    multiply<bf16>,
    single::add_rows<bf16>,
    &tile_weights_table};
