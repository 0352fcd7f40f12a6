// SPDX-License-Identifier: Apache-2.0
// The tiles of AMX-BF16, and one step with them. Included for the instruction set that has them (see each_amx_target.hpp),
// after gemm_pairs.hpp. A tile holds 16 rows of 64 bytes:
//
//   tiles 0 to 3   32 x 32 sums of c        4, 5   32 rows of a, 16 pairs of each        6, 7   16 pairs of b, 32 columns
//
// TDPBF16PS adds to c[i, j] both products of all 16 pairs a[i, k], b[k, j]: an element of a or b is what it is for dot
// products in vectors, but rows of a must be read along k. Where fewer than 16 pairs are left, they go through copies filled
// up with zeros; fewer rows are a matter of the tiles' configuration.

#if TEMPERA_TARGET == 5
namespace pairs = cpu_kernels::avx512_bf16;
namespace single = cpu_kernels::avx512;
#else
namespace pairs = cpu_kernels::emulated_pairs;
namespace single = cpu_kernels::emulated;
#endif

using vf = pairs::vf;
using vi = pairs::vi;
constexpr int side = 16;  ///< rows of a tile, and its columns of 4 bytes
constexpr int tile_rows = 2 * side;
constexpr int tile_columns = pairs::tile_columns;
static_assert(tile_columns == 2 * side);

/// The 64 bytes that LDTILECFG reads.
struct alignas(64) tile_configuration {
    std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
    std::uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    std::uint8_t rows[16];

    explicit tile_configuration(int upper, int lower)
        : rows{static_cast<std::uint8_t>(upper),
               static_cast<std::uint8_t>(upper),
               static_cast<std::uint8_t>(lower),
               static_cast<std::uint8_t>(lower),
               static_cast<std::uint8_t>(upper),
               static_cast<std::uint8_t>(lower),
               side,
               side} {}
};

static_assert(sizeof(tile_configuration) == 64);

#if TEMPERA_TARGET == 5
struct tile_unit {};  ///< the processor's own
#else
/// What the processor does with tiles, for tests.
struct tile_unit {
    int rows[8];
    float data[8][side][side];

    void loadconfig(tile_configuration const* c) {
        for (int t = 0; t < 8; ++t) rows[t] = c->rows[t];
    }
    void zero(int t) { __builtin_memset(data[t], 0, sizeof data[t]); }
    void loadd(int t, float const* from, std::ptrdiff_t stride) {
        zero(t);
        for (int i = 0; i < rows[t]; ++i)
            __builtin_memcpy(data[t][i], reinterpret_cast<char const*>(from) + i * stride, sizeof data[t][i]);
    }
    void stored(int t, float* to, std::ptrdiff_t stride) const {
        for (int i = 0; i < rows[t]; ++i)
            __builtin_memcpy(reinterpret_cast<char*>(to) + i * stride, data[t][i], sizeof data[t][i]);
    }
    static float half(float pair, int which) {
        std::uint32_t bits;
        __builtin_memcpy(&bits, &pair, sizeof bits);
        bits = which == 0 ? bits << 16 : bits & 0xffff0000U;
        __builtin_memcpy(&pair, &bits, sizeof bits);
        return pair;
    }
    void dpbf16ps(int c, int a, int b) {
        for (int i = 0; i < rows[c]; ++i) {
            for (int k = 0; k < side; ++k) {
                for (int j = 0; j < side; ++j) {
                    for (int p = 0; p < 2; ++p) data[c][i][j] += half(data[a][i][k], p) * half(data[b][k][j], p);
                }
            }
        }
    }
    void release() {}
};
#endif

/// The compiler takes no note of what tile instructions read: what was written there is in memory from here on.
TEMPERA_INLINE void settle(void const* written) { __asm__ volatile("" ::"r"(written) : "memory"); }

/// 16 rows of 32 elements: the first `rows` rows of `count` elements, zero after them.
static float const* filled(float const* from, std::ptrdiff_t line, int rows, int count, float* to) {
    __builtin_memset(to, 0, sizeof(float) * side * tile_columns);
    for (int i = 0; i < rows; ++i)
        __builtin_memcpy(to + i * tile_columns, from + i * line, sizeof(float) * static_cast<std::size_t>(count));
    settle(to);
    return to;
}

/// Memory that is called to the second-level cache, some lines with each step of k.
struct soon_stream {
    memory_range left, then;
    int lines;

    /// All of it in so many steps.
    soon_stream(memory_range first, memory_range second, int steps)
        : left(first),
          then(second),
          lines(static_cast<int>(((first.end - first.begin) + (second.end - second.begin)) / 64 / steps) + 1) {}
};
TEMPERA_INLINE void call(soon_stream& soon) {
    if (soon.left.begin >= soon.left.end) {
        soon.left = soon.then;
        soon.then = {};
    }
    for (int i = 0; i < soon.lines && soon.left.begin < soon.left.end; ++i, soon.left.begin += 64)
        __builtin_prefetch(soon.left.begin, 0, 2);
}

/// The operands of later products and what is added to them, side by side, each in the order in which it lies in
/// memory: that is what the processor itself then goes on to fetch.
struct soon_cursor {
    soon_stream operands, addends;

    soon_cursor() : operands({}, {}, 1), addends({}, {}, 1) {}
    soon_cursor(gemm_operands const& g, int steps)
        : operands(g.soon[0], g.soon[1], steps > 0 ? steps : 1), addends(g.soon_addends, {}, steps > 0 ? steps : 1) {}
};
TEMPERA_INLINE void call(soon_cursor& soon) {
    call(soon.operands);
    call(soon.addends);
}

/// Up to 32 rows of a, and 32 columns of b.
struct tile_operand {
    float const* a;
    std::ptrdiff_t a_row;  ///< in floats, as b_step
    int rows;
    float const* b;
    std::ptrdiff_t b_step;

    int upper() const { return rows < side ? rows : side; }
    int lower() const { return rows - upper(); }
};

/// For so many rows, unless the tiles are so already.
TEMPERA_INLINE void configure(tile_unit& tiles, int rows, int& configured) {
    static_cast<void>(tiles);
    if (rows == configured) return;
    tile_configuration const c(rows < side ? rows : side, rows > side ? rows - side : 1);
    settle(&c);
    TEMPERA_TILE(loadconfig, &c);
    configured = rows;
}
TEMPERA_INLINE void clear(tile_unit& tiles) {
    static_cast<void>(tiles);
    TEMPERA_TILE(zero, 0);
    TEMPERA_TILE(zero, 1);
    TEMPERA_TILE(zero, 2);
    TEMPERA_TILE(zero, 3);
}

/// Tiles 0 to 3 to lines of c, `line` floats apart.
TEMPERA_INLINE void store_sums(tile_unit& tiles, int rows, float* c, std::ptrdiff_t line) {
    static_cast<void>(tiles);
    std::ptrdiff_t const bytes = line * static_cast<std::ptrdiff_t>(sizeof(float));
    TEMPERA_TILE(stored, 0, c, bytes);
    TEMPERA_TILE(stored, 1, c + side, bytes);
    if (rows > side) {
        TEMPERA_TILE(stored, 2, c + side * line, bytes);
        TEMPERA_TILE(stored, 3, c + side * line + side, bytes);
    }
    settle(c);
}

/// Adds to tiles 0 to 3 what `depth` pairs give.
static void add_products(tile_unit& tiles, tile_operand t, int depth, soon_cursor& soon) {
    alignas(64) float rest[3][side * tile_columns];
    constexpr std::ptrdiff_t word = sizeof(float);
    static_cast<void>(tiles);
    float const* below = t.rows > side ? t.a + side * t.a_row : t.a;
    std::ptrdiff_t a_line = t.a_row * word, b_line = t.b_step * word;
    for (int left = depth; left > 0; left -= side) {
        if (left < side) {
            t.a = filled(t.a, t.a_row, t.upper(), left, rest[0]);
            below = filled(below, t.a_row, t.lower(), left, rest[1]);
            t.b = filled(t.b, t.b_step, left, tile_columns, rest[2]);
            a_line = b_line = tile_columns * word;
        }
        TEMPERA_TILE(loadd, 4, t.a, a_line);
        TEMPERA_TILE(loadd, 5, below, a_line);
        TEMPERA_TILE(loadd, 6, t.b, b_line);
        TEMPERA_TILE(loadd, 7, t.b + side, b_line);
        call(soon);
        TEMPERA_TILE(dpbf16ps, 0, 4, 6);
        TEMPERA_TILE(dpbf16ps, 1, 4, 7);
        TEMPERA_TILE(dpbf16ps, 2, 5, 6);
        TEMPERA_TILE(dpbf16ps, 3, 5, 7);
        t.a += side;
        below += side;
        t.b += side * t.b_step;
    }
}
