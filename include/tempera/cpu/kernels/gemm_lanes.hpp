// SPDX-License-Identifier: Apache-2.0
// A register tile of the matrix product: its size, what it is given, and how one without all its columns ends. Included once
// per instruction set (see target.hpp), before gemm.hpp.

#if TEMPERA_TARGET == 0
constexpr int tile_rows = eigen_tile_rows;
#elif TEMPERA_VECTOR_FLOATS == 16
constexpr int tile_rows = 14;
#else
constexpr int tile_rows = 6;
#endif
constexpr int tile_vectors = 2;
constexpr int tile_columns = tile_vectors * width;

template <class T>
struct tile_operands {
    float const* a;
    std::ptrdiff_t a_row;
    std::ptrdiff_t a_step;
    float const* b;
    std::ptrdiff_t b_step;
    int depth;
    T* c;
    std::ptrdiff_t const* c_rows;
    int columns;
    bool accumulate;
    bool first;                 ///< of its block
    char const* soon;           ///< memory to call for
    int soon_lines;             ///< of 64 bytes, at most depth
    gemm_epilogue<T> epilogue;  ///< from the tile's first column on
};

static void lanes_moments(tile_operands<float> const& t, int rows) {
    gemm_epilogue<float> const& e = t.epilogue;
    for (int j = 0; j < t.columns; ++j) {
        float* const m = e.moments + j;
        float shift = m[0];
        if (t.first) {
            shift = 0;
            for (int i = 0; i < rows; ++i) shift += t.c[t.c_rows[i] + j] / static_cast<float>(rows);
        }
        float sum = t.first ? 0 : m[e.moments_line], squares = t.first ? 0 : m[2 * e.moments_line];
        for (int i = 0; i < rows; ++i) {
            float const d = t.c[t.c_rows[i] + j] - shift;
            sum += d;
            squares += d * d;
        }
        m[0] = shift;
        m[e.moments_line] = sum;
        m[2 * e.moments_line] = squares;
    }
}

/// The end of a tile without all its columns.
template <class T>
__attribute__((noinline)) static void store_lanes(tile_operands<T> const& t, float const* lanes, int rows) {
    gemm_epilogue<T> const& e = t.epilogue;
    for (int i = 0; i < rows; ++i, lanes += tile_columns) {
        T* const c = t.c + t.c_rows[i];
        for (int j = 0; j < t.columns; ++j) {
            float r = lanes[j];
            if (e.bias != nullptr) r += e.bias[j];
            if (t.accumulate) r += sload(c + j);
            if (e.residual != nullptr) r += sload(e.residual + t.c_rows[i] + j);
            sstore(c + j, e.relu && r < 0 ? 0.0F : r);
        }
    }
    if constexpr (sizeof(T) == sizeof(float)) {
        if (e.moments != nullptr) lanes_moments(t, rows);
    }
}
