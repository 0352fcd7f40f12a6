// SPDX-License-Identifier: Apache-2.0
// The transforms of Winograd's F(4x4, 3x3). Included once per instruction set (see target.hpp); what they compute and
// where it lies is told in cpu/winograd.hpp. Channels are whole vectors.

/// Half of t = B' d along one axis: elements 3 half to 3 half + 2.
template <int Half>
TEMPERA_INLINE void winograd_input(vf const* d, vf* t) {
    if (Half == 0) {
        vf const even = vfma(vset(-4), d[2], d[4]), odd = vfma(vset(-4), d[1], d[3]);
        t[0] = vfma(vset(4), d[0], vfma(vset(-5), d[2], d[4]));
        t[1] = even + odd;
        t[2] = even - odd;
    } else {
        vf const outer = d[4] - d[2], inner = d[3] - d[1];
        t[0] = vfma(vset(2), inner, outer);
        t[1] = vfma(vset(-2), inner, outer);
        t[2] = vfma(vset(4), d[1], vfma(vset(-5), d[3], d[5]));
    }
}

/// y = A' m along one axis.
TEMPERA_INLINE void winograd_output(vf const* m, vf* y) {
    vf const sum1 = m[1] + m[2], difference1 = m[1] - m[2];
    vf const sum2 = m[3] + m[4], difference2 = m[3] - m[4];
    y[0] = m[0] + sum1 + sum2;
    y[1] = vfma(vset(2), difference2, difference1);
    y[2] = vfma(vset(4), sum2, sum1);
    y[3] = vfma(vset(8), difference2, difference1) + m[5];
}

/// u = G g along one axis.
TEMPERA_INLINE void winograd_filter(vf const* g, int step, vf* u) {
    vf const g0 = g[0], g1 = g[step], g2 = g[2 * step];
    vf const sixth = vset(1.0F / 6), quarter = vset(0.25F), third = vset(1.0F / 3);
    vf const a = (g0 + g2) * sixth, b = g1 * sixth;
    vf const c = quarter * g0 + g2, d = vset(0.5F) * g1;
    u[0] = quarter * g0;
    u[1] = -(a + b);
    u[2] = b - a;
    u[3] = (c + d) * vset(0.5F) * third;
    u[4] = (c - d) * vset(0.5F) * third;
    u[5] = g2;
}

/// m = A y along one axis: the transpose of winograd_output.
TEMPERA_INLINE void winograd_slope(vf const* y, vf* m) {
    vf const even = y[0] + y[2], odd = y[1] + y[3];
    vf const outer = vfma(vset(4), y[2], y[0]), inner = vset(2) * vfma(vset(4), y[3], y[1]);
    m[0] = y[0];
    m[1] = even + odd;
    m[2] = even - odd;
    m[3] = outer + inner;
    m[4] = outer - inner;
    m[5] = y[3];
}

/// g = G' u along one axis: the transpose of winograd_filter.
TEMPERA_INLINE void winograd_filter_slope(vf const* u, int step, vf* g) {
    vf const sixth = vset(1.0F / 6), quarter = vset(0.25F), half = vset(0.5F);
    vf const a = (u[step] + u[2 * step]) * sixth, b = (u[2 * step] - u[step]) * sixth;
    vf const c = (u[3 * step] + u[4 * step]) * sixth, d = (u[3 * step] - u[4 * step]) * sixth;
    g[0] = quarter * (u[0] + c) - a;
    g[1] = vfma(half, d, b);
    g[2] = c - a + u[5 * step];
}

/// A piece of a map, `height` x `width` positions from (top, left) on, of which those in [row_begin, row_end) x
/// [column_begin, column_end) lie in the map.
template <class T>
struct winograd_piece {
    T const* corner;  ///< where (top, left) lies, or would
    std::ptrdiff_t row, column;
    int row_begin, row_end, column_begin, column_end;

    static winograd_piece of(T const* image, int in_height, int in_width, int channels, int top, int left, int side) {
        std::ptrdiff_t const column = channels, row = in_width * column;
        return {image + top * row + left * column,
                row,
                column,
                top < 0 ? -top : 0,
                in_height - top < side ? in_height - top : side,
                left < 0 ? -left : 0,
                in_width - left < side ? in_width - left : side};
    }
    bool whole(int side) const { return row_begin == 0 && row_end == side && column_begin == 0 && column_end == side; }
};

/// One vector of channels of each position of a piece at the map's edge, zeros outside.
template <class T>
TEMPERA_INLINE void winograd_padded(winograd_piece<T> const& p, int channel, int side, float* to) {
    for (int i = 0; i < side * side; ++i) vstore(to + i * width, vzero());
    for (int r = p.row_begin; r < p.row_end; ++r) {
        for (int s = p.column_begin; s < p.column_end; ++s)
            vstore(to + (r * side + s) * width, vload(p.corner + r * p.row + s * p.column + channel));
    }
}

/// Rows 3 half to 3 half + 2 of B' d B, in two halves since six rows of six do not fit the registers.
template <int Half, class T>
TEMPERA_INLINE void winograd_tile(T const* from, std::ptrdiff_t row, std::ptrdiff_t column, float* to,
                                  std::ptrdiff_t plane) {
    vf t[3][6];
    TEMPERA_UNROLL
    for (int s = 0; s < 6; ++s) {
        vf d[6], half[3];
        TEMPERA_UNROLL
        for (int r = Half; r < 5 + Half; ++r) d[r] = vload(from + r * row + s * column);
        winograd_input<Half>(d, half);
        TEMPERA_UNROLL
        for (int r = 0; r < 3; ++r) t[r][s] = half[r];
    }
    to += 18 * Half * plane;
    TEMPERA_UNROLL
    for (int r = 0; r < 3; ++r) {
        vf out[6];
        winograd_input<0>(t[r], out);
        winograd_input<1>(t[r], out + 3);
        TEMPERA_UNROLL
        for (int s = 0; s < 6; ++s, to += plane) vstore(to, out[s]);
    }
}

/// Tiles [first, first + count): v[xi][tile][channel] from the map, zeros around it.
template <class T>
void winograd_gather(winograd_map const& w, T const* x, std::int64_t first, int count, float* v, std::ptrdiff_t plane,
                     std::ptrdiff_t line) {
    for (int i = 0; i < count; ++i) {
        winograd_place const at = w.place(first + i);
        T const* const image = x + at.image * w.in_height * w.in_width * w.channels;
        winograd_piece<T> const piece = winograd_piece<T>::of(image, w.in_height, w.in_width, w.channels,
                                                              4 * at.row - w.pad_top, 4 * at.column - w.pad_left, 6);
        bool const whole = piece.whole(6);
        for (int c = 0; c < w.channels; c += width) {
            float padded[36 * width];
            float* const to = v + i * line + c;
            if (whole) {
                winograd_tile<0>(piece.corner + c, piece.row, piece.column, to, plane);
                winograd_tile<1>(piece.corner + c, piece.row, piece.column, to, plane);
            } else {
                winograd_padded(piece, c, 6, padded);
                winograd_tile<0>(padded, 6 * width, width, to, plane);
                winograd_tile<1>(padded, 6 * width, width, to, plane);
            }
        }
    }
}

/// The 4 x 4 results of each tile, less at the map's edges: y (+)= A' m A, then the epilogue.
template <class T>
void winograd_scatter(winograd_map const& w, float const* m, std::ptrdiff_t plane, std::ptrdiff_t line,
                      std::int64_t first, int count, gemm_epilogue<T> const& epilogue, bool accumulate, T* y) {
    vf const least = epilogue.relu ? vzero() : vset(-__builtin_inff());
    for (int i = 0; i < count; ++i) {
        winograd_place const at = w.place(first + i);
        int const rows = w.out_height - 4 * at.row < 4 ? w.out_height - 4 * at.row : 4;
        int const columns = w.out_width - 4 * at.column < 4 ? w.out_width - 4 * at.column : 4;
        std::int64_t const corner =
            ((at.image * w.out_height + 4 * at.row) * w.out_width + 4 * at.column) * std::int64_t{w.filters};
        for (int c = 0; c < w.filters; c += width) {
            vf t[4][6];
            float const* from = m + i * line + c;
            TEMPERA_UNROLL
            for (int s = 0; s < 6; ++s, from += plane) {
                vf column[6], out[4];
                TEMPERA_UNROLL
                for (int r = 0; r < 6; ++r) column[r] = vload(from + 6 * r * plane);
                winograd_output(column, out);
                TEMPERA_UNROLL
                for (int r = 0; r < 4; ++r) t[r][s] = out[r];
            }
            vf const offset = epilogue.bias != nullptr ? vload(epilogue.bias + c) : vzero();
            TEMPERA_UNROLL
            for (int r = 0; r < 4; ++r) {
                if (r >= rows) break;
                vf out[4];
                winograd_output(t[r], out);
                TEMPERA_UNROLL
                for (int s = 0; s < 4; ++s) {
                    if (s >= columns) break;
                    std::int64_t const at_result = corner + (std::int64_t{r} * w.out_width + s) * w.filters + c;
                    vf value = out[s] + offset;
                    if (accumulate) value = value + vload(y + at_result);
                    if (epilogue.residual != nullptr) value = value + vload(epilogue.residual + at_result);
                    value = vmax(least, value);
                    if (epilogue.stream) vstream(y + at_result, value);
                    else vstore(y + at_result, value);
                }
            }
        }
    }
    if (epilogue.stream) vsettle();
}

/// A panel of b for each point: u[xi][row][column] = G g G' of the filter whose taps g lie `tap` floats apart, from
/// w[row][column] on; zeros after the last of `columns`. turned: by half a turn, as the gradient of the map needs them.
static inline void winograd_filters(float const* w, std::ptrdiff_t row, std::ptrdiff_t tap, bool turned, int rows,
                                    int columns, float* u, std::ptrdiff_t plane, bool stream) {
    for (int i = 0; i < rows; ++i, w += row, u += tile_columns) {
        for (int j = 0; j < tile_columns; j += width) {
            vf g[3][3], t[6][3];
            for (int k = 0; k < 9; ++k)
                g[k / 3][k % 3] = j < columns ? vload(w + (turned ? 8 - k : k) * tap + j) : vzero();
            for (int s = 0; s < 3; ++s) {
                vf column[6];
                winograd_filter(&g[0][s], 3, column);
                for (int r = 0; r < 6; ++r) t[r][s] = column[r];
            }
            for (int r = 0; r < 6; ++r) {
                vf out[6];
                winograd_filter(t[r], 1, out);
                for (int s = 0; s < 6; ++s) {
                    if (stream) vstream(u + (6 * r + s) * plane + j, out[s]);
                    else vstore(u + (6 * r + s) * plane + j, out[s]);
                }
            }
        }
    }
    if (stream) vsettle();
}

/// Rows of A dy A' from 4 x 4 vectors.
template <class T>
TEMPERA_INLINE void winograd_slope_tile(T const* from, std::ptrdiff_t row, std::ptrdiff_t column, float* to,
                                        std::ptrdiff_t plane) {
    vf t[6][4];
    TEMPERA_UNROLL
    for (int q = 0; q < 4; ++q) {
        vf d[4], out[6];
        TEMPERA_UNROLL
        for (int r = 0; r < 4; ++r) d[r] = vload(from + r * row + q * column);
        winograd_slope(d, out);
        TEMPERA_UNROLL
        for (int r = 0; r < 6; ++r) t[r][q] = out[r];
    }
    TEMPERA_UNROLL
    for (int r = 0; r < 6; ++r) {
        vf out[6];
        winograd_slope(t[r], out);
        TEMPERA_UNROLL
        for (int q = 0; q < 6; ++q, to += plane) vstore(to, out[q]);
    }
}

/// Tiles [first, first + count) of filters [begin, end): s[xi][tile][filter] = A dy A', zeros around the map.
template <class T>
void winograd_slopes(winograd_map const& w, T const* dy, std::int64_t first, int count, int begin, int end, float* s,
                     std::ptrdiff_t plane, std::ptrdiff_t line) {
    for (int i = 0; i < count; ++i) {
        winograd_place const at = w.place(first + i);
        T const* const image = dy + at.image * w.out_height * w.out_width * w.filters;
        winograd_piece<T> const piece =
            winograd_piece<T>::of(image, w.out_height, w.out_width, w.filters, 4 * at.row, 4 * at.column, 4);
        bool const whole = piece.whole(4);
        for (int c = begin; c < end; c += width) {
            float padded[16 * width];
            float* const to = s + i * line + (c - begin);
            if (whole) {
                winograd_slope_tile(piece.corner + c, piece.row, piece.column, to, plane);
            } else {
                winograd_padded(piece, c, 4, padded);
                winograd_slope_tile(padded, 4 * width, width, to, plane);
            }
        }
    }
}

/// dw[filter] (+)= G' u G, u[xi][channel] being the sum of `parts` parts `part` floats apart, in order.
static inline void winograd_collect(float const* u, int channels, std::ptrdiff_t plane, int parts, std::ptrdiff_t part,
                                    bool accumulate, float* dw) {
    for (int c = 0; c < channels; c += width) {
        vf t[3][6], g[3][3];
        for (int s = 0; s < 6; ++s) {
            vf column[6], out[3];
            for (int r = 0; r < 6; ++r) {
                float const* const from = u + (6 * r + s) * plane + c;
                column[r] = vload(from);
                for (int p = 1; p < parts; ++p) column[r] += vload(from + p * part);
            }
            winograd_filter_slope(column, 1, out);
            for (int r = 0; r < 3; ++r) t[r][s] = out[r];
        }
        for (int r = 0; r < 3; ++r) {
            winograd_filter_slope(t[r], 1, g[r]);
            for (int s = 0; s < 3; ++s) {
                float* const p = dw + (3 * r + s) * channels + c;
                vstore(p, accumulate ? vload(p) + g[r][s] : g[r][s]);
            }
        }
    }
}

template <class T>
inline constexpr winograd_kernels<T> winograd_table{
    width, winograd_gather<T>, winograd_scatter<T>, winograd_filters, winograd_slopes<T>, winograd_collect};
