// SPDX-License-Identifier: Apache-2.0
// The product of bf16 pairs by tiles, and its table. Included for the instruction set with tiles (see
// each_amx_target.hpp), after gemm_pairs.hpp, whose copies it shares, tiles.hpp and tile_weights.hpp. `interleave` leaves the
// steps of a row side by side, as tiles read them.

/// Where 32 rows of a fit the first-level cache, they stay there for all columns; of deeper products, columns of b stay in
/// the second for all rows, and what is wanted soon is not called there beside them.
template <class T>
static void multiply(gemm_block_to<T> const& g) {
    alignas(64) float lanes[tile_rows * tile_columns];
    tile_unit tiles;
    bool const shallow = g.depth <= 256;
    soon_cursor soon;
    if (shallow)
        soon =
            soon_cursor::over(g, (g.rows + side) / tile_rows * ((g.columns + side) / tile_columns) * (g.depth / side));
    int const part = shallow ? tile_rows : g.rows;
    int configured = 0;
    for (int first = 0; first < g.rows; first += part) {
        int const last = g.rows - first < part ? g.rows : first + part;
        for (int j = 0; j < g.columns; j += tile_columns) {
            int const columns = g.columns - j < tile_columns ? g.columns - j : tile_columns;
            gemm_epilogue<T> epilogue = g.epilogue.from(j);
            if (epilogue.residual != nullptr) epilogue.residual += j;
            for (int i = first; i < last; i += tile_rows) {
                int const rows = last - i < tile_rows ? last - i : tile_rows;
                configure(tiles, rows, configured);
                float const* const a = g.a + i / tile_rows * g.a_group;
                float const* const b = g.b + j / tile_columns * g.b_panel;
                if (epilogue.residual != nullptr) {  // the next rows of it arrive while the sums are made
                    for (int r = i + tile_rows; r < i + 2 * tile_rows && r < g.rows; ++r)
                        __builtin_prefetch(epilogue.residual + g.c_rows[r]);
                }
                clear(tiles);
                add_products(tiles, {a, g.a_row, rows, b, g.b_step}, g.depth, soon);
                store_sums(tiles, rows, lanes, tile_columns);
                single::scatter_lines(static_cast<float const*>(lanes), tile_columns, rows, columns, g.c + j,
                                      g.c_rows + i, g.accumulate, epilogue);
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
