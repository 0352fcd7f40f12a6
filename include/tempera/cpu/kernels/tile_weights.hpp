// SPDX-License-Identifier: Apache-2.0
// What cpu/tile_weights.hpp is made of. Included for the instruction set with tiles (see each_amx_target.hpp), after
// tiles.hpp.
//
//   turn              lines of a map, one for each position, to lines of positions, one for each channel: a
//   pair              lines of a map in twos to panels of 32 channels, {even position, odd position} in each element: b
//   multiply_panels   sums of 32 filters x 32 channels, made by tiles and kept where they belong

static_assert(tile_panel::columns == tile_columns);

typedef std::uint16_t halves __attribute__((vector_size(64)));
typedef std::uint16_t halves_memory __attribute__((vector_size(64), aligned(2), may_alias));

TEMPERA_INLINE halves load_halves(bf16 const* p) { return *reinterpret_cast<halves_memory const*>(p); }
TEMPERA_INLINE void store_halves(float* p, halves v) { *reinterpret_cast<halves_memory*>(p) = v; }

/// Lane i = lane from[i] of a and b, which count as one vector of twice as many.
#if TEMPERA_TARGET == 5
TEMPERA_INLINE vf pick(vf a, vf b, vi from) { return _mm512_permutex2var_ps(a, (__m512i)from, b); }
TEMPERA_INLINE halves pick(halves a, halves b, halves from) {
    return (halves)_mm512_permutex2var_epi16((__m512i)a, (__m512i)from, (__m512i)b);
}
#else
template <class V, class I>
TEMPERA_INLINE V pick(V a, V b, I from) {
    V picked;
    constexpr int lanes = sizeof(a) / sizeof(a[0]);
    for (int i = 0; i < lanes; ++i) picked[i] = from[i] < lanes ? a[from[i]] : b[from[i] - lanes];
    return picked;
}
#endif

/// For `pick`: what stands in two lines after blocks of `lanes` x `lanes` lanes have changed places between them.
struct alignas(64) exchanged {
    std::int32_t upper[side], lower[side];

    constexpr explicit exchanged(int lanes) : upper{}, lower{} {
        for (int i = 0; i < side; ++i) {
            upper[i] = (i & lanes) == 0 ? i : side + i - lanes;
            lower[i] = (i & lanes) == 0 ? i + lanes : side + i;
        }
    }
};
/// The same for halves: every second of two vectors from `first` on, or one of each in turn from lane `first` on.
struct alignas(64) halves_index {
    std::uint16_t from[2 * side];

    constexpr explicit halves_index(int first, bool in_turn) : from{} {
        for (int i = 0; i < 2 * side; ++i)
            from[i] = static_cast<std::uint16_t>(in_turn ? first + i / 2 + i % 2 * 2 * side : 2 * i + first);
    }
};
static constexpr exchanged exchanges[] = {exchanged(8), exchanged(4), exchanged(2), exchanged(1)};
static constexpr halves_index even_halves(0, false), odd_halves(1, false), early_pairs(0, true), late_pairs(side, true);

TEMPERA_INLINE vi index_of(std::int32_t const (&lanes)[side]) {
    vi v;
    __builtin_memcpy(&v, lanes, sizeof v);
    return v;
}
TEMPERA_INLINE halves index_of(halves_index const& index) {
    halves v;
    __builtin_memcpy(&v, index.from, sizeof v);
    return v;
}

TEMPERA_INLINE void transpose(vf (&lines)[side]) {
    TEMPERA_UNROLL
    for (int step = 0; step < 4; ++step) {
        int const lanes = 8 >> step;
        vi const to_upper = index_of(exchanges[step].upper), to_lower = index_of(exchanges[step].lower);
        TEMPERA_UNROLL
        for (int i = 0; i < side; ++i) {
            if ((i & lanes) != 0) continue;
            vf const upper = lines[i], lower = lines[i + lanes];
            lines[i] = pick(upper, lower, to_upper);
            lines[i + lanes] = pick(upper, lower, to_lower);
        }
    }
}

/// Line c of `to` = element c of 32, 64, ... lines, as memory brings them. Channels come in pairs.
static void turn(bf16 const* const* lines, int positions, int channels, float* to, std::ptrdiff_t line) {
    halves const even = index_of(even_halves), odd = index_of(odd_halves);
    for (int p = 0; p < positions; p += 2 * side) {
        for (int c = 0; c < channels; c += 2 * side) {
            int const words = channels - c < 2 * side ? (channels - c) / 2 : side;
            vf left[side], right[side];
            TEMPERA_UNROLL
            for (int i = 0; i < side; ++i) {
                auto const* const early = reinterpret_cast<float const*>(lines[p + i] + c);
                auto const* const late = reinterpret_cast<float const*>(lines[p + side + i] + c);
                left[i] = words == side ? pairs::vload(early) : pairs::vload_n(early, words);
                right[i] = words == side ? pairs::vload(late) : pairs::vload_n(late, words);
            }
            transpose(left);
            transpose(right);
            for (int i = 0; i < words; ++i) {
                float* const out = to + (c + 2 * i) * line + p / 2;
                store_halves(out, pick((halves)left[i], (halves)right[i], even));
                store_halves(out + line, pick((halves)left[i], (halves)right[i], odd));
            }
        }
    }
}

/// Line m of a panel = 32 channels of lines 2 m and 2 m + 1; panels `panel` floats apart.
static void pair(bf16 const* const* lines, int count, int channels, float* to, std::ptrdiff_t panel) {
    halves const early = index_of(early_pairs), late = index_of(late_pairs);
    for (int m = 0; m < count; ++m, to += tile_panel::columns) {
        float* out = to;
        for (int c = 0; c < channels; c += tile_panel::columns, out += panel) {
            halves const even = load_halves(lines[2 * m] + c), odd = load_halves(lines[2 * m + 1] + c);
            store_halves(out, pick(even, odd, early));
            store_halves(out + side, pick(even, odd, late));
        }
    }
}

/// 32 rows of a stay in the first-level cache for all panels.
static void multiply_panels(tile_products const& g) {
    tile_unit tiles;
    soon_cursor nothing;
    std::ptrdiff_t const line = g.c_row * static_cast<std::ptrdiff_t>(sizeof(float));
    int configured = 0;
    for (int i = 0; i < g.rows; i += tile_rows) {
        int const rows = g.rows - i < tile_rows ? g.rows - i : tile_rows;
        configure(tiles, rows, configured);
        for (int p = 0; p < g.panels; ++p) {
            float* const c = g.c + i * g.c_row + g.panel[p].column;
            if (g.accumulate) {
                TEMPERA_TILE(loadd, 0, c, line);
                TEMPERA_TILE(loadd, 1, c + side, line);
                if (rows > side) {
                    TEMPERA_TILE(loadd, 2, c + side * g.c_row, line);
                    TEMPERA_TILE(loadd, 3, c + side * g.c_row + side, line);
                }
            } else {
                clear(tiles);
            }
            add_products(tiles, {g.a + i * g.a_row, g.a_row, rows, g.panel[p].b, tile_panel::columns}, g.depth,
                         nothing);
            store_sums(tiles, rows, c, g.c_row);
        }
    }
    TEMPERA_TILE(release);
}

static constexpr tile_weight_kernels tile_weights_table{turn, pair, multiply_panels};
