// SPDX-License-Identifier: Apache-2.0
// Winograd's F(4x4, 3x3) between maps and planes of transformed tiles, and filters and panels. Included once per instruction
// set (see target.hpp), after winograd_transforms.hpp; where what lies is told in cpu/winograd.hpp. Channels are whole
// vectors. While a tile is transformed, the memory of the one after the next is on its way to the second-level cache: the
// first has room for the planes of transformed tiles only.

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
    static winograd_piece of_input(winograd_map const& w, T const* x, winograd_place at) {
        return of(x + at.image * w.in_height * w.in_width * w.channels, w.in_height, w.in_width, w.channels,
                  4 * at.row - w.pad_top, 4 * at.column - w.pad_left, 6);
    }
    static winograd_piece of_output(winograd_map const& w, T const* y, winograd_place at) {
        return of(y + at.image * w.out_height * w.out_width * w.filters, w.out_height, w.out_width, w.filters,
                  4 * at.row, 4 * at.column, 4);
    }
    bool whole(int side) const { return row_begin == 0 && row_end == side && column_begin == 0 && column_end == side; }
};

/// Calls a channel of positions [Begin, Side) of Side rows to the second-level cache. (Always inline: g++ drops calls of functions
/// that do nothing else.)
template <int Side, int Begin, class T>
TEMPERA_INLINE void winograd_fetch(winograd_piece<T> const& p, int channel) {
    TEMPERA_UNROLL
    for (int r = 0; r < Side; ++r) {
        TEMPERA_UNROLL
        for (int s = Begin; s < Side; ++s) __builtin_prefetch(p.corner + r * p.row + s * p.column + channel, 0, 2);
    }
}

/// One vector of channels of each position of a piece at the map's edge, zeros outside.
template <int Side, class T>
TEMPERA_INLINE void winograd_padded(winograd_piece<T> const& p, int channel, float* to) {
    TEMPERA_UNROLL
    for (int r = 0; r < Side; ++r) {
        bool const inside = r >= p.row_begin && r < p.row_end;
        TEMPERA_UNROLL
        for (int s = 0; s < Side; ++s) {
            bool const there = inside && s >= p.column_begin && s < p.column_end;
            T const* const from = p.corner + r * p.row + s * p.column + channel;
            vstore(to + (r * Side + s) * width, there ? vload(from) : vzero());
        }
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
    winograd_place at = w.place(first), ahead = w.after(w.after(at));
    for (int i = 0; i < count; ++i, at = w.after(at), ahead = w.after(ahead)) {
        winograd_piece<T> const piece = winograd_piece<T>::of_input(w, x, at);
        winograd_piece<T> const coming = winograd_piece<T>::of_input(w, x, ahead);
        bool const whole = piece.whole(6);
        for (int c = 0; c < w.channels; c += width) {
            winograd_fetch<6, 2>(coming, c);
            float padded[36 * width];
            float* const to = v + i * line + c;
            if (whole) {
                winograd_tile<0>(piece.corner + c, piece.row, piece.column, to, plane);
                winograd_tile<1>(piece.corner + c, piece.row, piece.column, to, plane);
            } else {
                winograd_padded<6>(piece, c, padded);
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
    winograd_place at = w.place(first), ahead = w.after(w.after(at));
    for (int i = 0; i < count; ++i, at = w.after(at), ahead = w.after(ahead)) {
        winograd_piece<T> const piece = winograd_piece<T>::of_output(w, y, at);
        winograd_piece<T> const coming = winograd_piece<T>::of_output(w, y, ahead);
        std::ptrdiff_t const corner = piece.corner - y;
        for (int c = 0; c < w.filters; c += width) {
            if (!epilogue.stream) winograd_fetch<4, 0>(coming, c);
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
                vf out[4];
                winograd_output(t[r], out);
                TEMPERA_UNROLL
                for (int s = 0; s < 4; ++s) {
                    if (r >= piece.row_end || s >= piece.column_end) continue;
                    std::ptrdiff_t const at_result = corner + r * piece.row + s * piece.column + c;
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
    winograd_place at = w.place(first), ahead = w.after(w.after(at));
    for (int i = 0; i < count; ++i, at = w.after(at), ahead = w.after(ahead)) {
        winograd_piece<T> const piece = winograd_piece<T>::of_output(w, dy, at);
        winograd_piece<T> const coming = winograd_piece<T>::of_output(w, dy, ahead);
        bool const whole = piece.whole(4);
        for (int c = begin; c < end; c += width) {
            winograd_fetch<4, 0>(coming, c);
            float padded[16 * width];
            float* const to = s + i * line + (c - begin);
            if (whole) {
                winograd_slope_tile(piece.corner + c, piece.row, piece.column, to, plane);
            } else {
                winograd_padded<4>(piece, c, padded);
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
