// SPDX-License-Identifier: Apache-2.0
// The transforms of Winograd's F(4x4, 3x3). Included once per instruction set (see target.hpp); what they compute and
// where it lies is told in cpu/winograd.hpp. Channels are whole vectors.

/// t = B' d along one axis.
TEMPERA_INLINE void winograd_input(vf const* d, int step, vf* t) {
    vf const d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step], d5 = d[5 * step];
    vf const four = vset(4), five = vset(5), two = vset(2);
    vf const even = d4 - four * d2, odd = d3 - four * d1;
    vf const outer = d4 - d2, inner = two * (d3 - d1);
    t[0] = four * d0 - five * d2 + d4;
    t[1] = even + odd;
    t[2] = even - odd;
    t[3] = outer + inner;
    t[4] = outer - inner;
    t[5] = four * d1 - five * d3 + d5;
}

/// y = A' m along one axis.
TEMPERA_INLINE void winograd_output(vf const* m, int step, vf* y) {
    vf const sum1 = m[step] + m[2 * step], difference1 = m[step] - m[2 * step];
    vf const sum2 = m[3 * step] + m[4 * step], difference2 = m[3 * step] - m[4 * step];
    y[0] = m[0] + sum1 + sum2;
    y[1] = vfma(vset(2), difference2, difference1);
    y[2] = vfma(vset(4), sum2, sum1);
    y[3] = vfma(vset(8), difference2, difference1) + m[5 * step];
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
TEMPERA_INLINE void winograd_slope(vf const* y, int step, vf* m) {
    vf const even = y[0] + y[2 * step], odd = y[step] + y[3 * step];
    vf const outer = vfma(vset(4), y[2 * step], y[0]), inner = vset(2) * vfma(vset(4), y[3 * step], y[step]);
    m[0] = y[0];
    m[1] = even + odd;
    m[2] = even - odd;
    m[3] = outer + inner;
    m[4] = outer - inner;
    m[5] = y[3 * step];
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

/// Tiles [first, first + count): v[xi][tile][channel] from the map, zeros around it.
static void winograd_gather(winograd_map const& w, float const* x, std::int64_t first, int count, float* v,
                            std::ptrdiff_t plane, std::ptrdiff_t line) {
    for (int i = 0; i < count; ++i) {
        winograd_place const at = w.place(first + i);
        float const* const image = x + at.image * w.in_height * w.in_width * w.channels;
        int const top = 4 * at.row - w.pad_top;
        int const left = 4 * at.column - w.pad_left;
        for (int c = 0; c < w.channels; c += width) {
            vf d[6][6], t[6][6];
            for (int r = 0; r < 6; ++r) {
                int const y = top + r;
                bool const inside = y >= 0 && y < w.in_height;
                float const* const row = image + (std::int64_t{y} * w.in_width + left) * w.channels + c;
                for (int s = 0; s < 6; ++s) {
                    bool const there = inside && left + s >= 0 && left + s < w.in_width;
                    d[r][s] = there ? vload(row + s * w.channels) : vzero();
                }
            }
            for (int s = 0; s < 6; ++s) {
                vf column[6];
                winograd_input(&d[0][s], 6, column);
                for (int r = 0; r < 6; ++r) t[r][s] = column[r];
            }
            float* const to = v + i * line + c;
            for (int r = 0; r < 6; ++r) {
                vf out[6];
                winograd_input(t[r], 1, out);
                for (int s = 0; s < 6; ++s) vstore(to + (6 * r + s) * plane, out[s]);
            }
        }
    }
}

/// The 4 x 4 results of each tile, less at the map's edges: y (+)= A' m A, then the epilogue.
static void winograd_scatter(winograd_map const& w, float const* m, std::ptrdiff_t plane, std::ptrdiff_t line,
                             std::int64_t first, int count, gemm_epilogue<float> const& epilogue, bool accumulate,
                             float* y) {
    for (int i = 0; i < count; ++i) {
        winograd_place const at = w.place(first + i);
        int const rows = w.out_height - 4 * at.row < 4 ? w.out_height - 4 * at.row : 4;
        int const columns = w.out_width - 4 * at.column < 4 ? w.out_width - 4 * at.column : 4;
        std::int64_t const corner =
            ((at.image * w.out_height + 4 * at.row) * w.out_width + 4 * at.column) * std::int64_t{w.filters};
        for (int c = 0; c < w.filters; c += width) {
            vf t[4][6];
            for (int s = 0; s < 6; ++s) {
                vf column[6], out[4];
                for (int r = 0; r < 6; ++r) column[r] = vload(m + (6 * r + s) * plane + i * line + c);
                winograd_output(column, 1, out);
                for (int r = 0; r < 4; ++r) t[r][s] = out[r];
            }
            vf const offset = epilogue.bias != nullptr ? vload(epilogue.bias + c) : vzero();
            for (int r = 0; r < rows; ++r) {
                vf out[4];
                winograd_output(t[r], 1, out);
                for (int s = 0; s < columns; ++s) {
                    std::int64_t const at_result = corner + (std::int64_t{r} * w.out_width + s) * w.filters + c;
                    vf value = out[s] + offset;
                    if (accumulate) value = value + vload(y + at_result);
                    if (epilogue.residual != nullptr) value = value + vload(epilogue.residual + at_result);
                    if (epilogue.relu) value = vmax(vzero(), value);
                    if (epilogue.stream) vstream(y + at_result, value);
                    else vstore(y + at_result, value);
                }
            }
        }
    }
    if (epilogue.stream) vsettle();
}

/// Filters of `channels` channels {3, 3, channels}, 9 `channels` floats apart: u[xi][filter][channel], lines `line` and
/// planes `plane` floats apart. turned: by half a turn, as the gradient of the map needs them.
static void winograd_filters(float const* w, int filters, int channels, int first, int last, bool turned, float* u,
                             std::ptrdiff_t plane, std::ptrdiff_t line) {
    for (int f = 0; f < filters; ++f) {
        for (int c = first; c < last; c += width) {
            float const* const from = w + std::int64_t{f} * 9 * channels + c;
            vf g[3][3], t[6][3];
            for (int k = 0; k < 9; ++k) {
                int const tap = turned ? 8 - k : k;
                g[k / 3][k % 3] = vload(from + std::int64_t{tap} * channels);
            }
            for (int s = 0; s < 3; ++s) {
                vf column[6];
                winograd_filter(&g[0][s], 3, column);
                for (int r = 0; r < 6; ++r) t[r][s] = column[r];
            }
            float* const to = u + f * line + (c - first);
            for (int r = 0; r < 6; ++r) {
                vf out[6];
                winograd_filter(t[r], 1, out);
                for (int s = 0; s < 6; ++s) vstore(to + (6 * r + s) * plane, out[s]);
            }
        }
    }
}

/// Tiles [first, first + count) of filters [begin, end): s[xi][tile][filter] = A dy A', zeros around the map.
static void winograd_slopes(winograd_map const& w, float const* dy, std::int64_t first, int count, int begin, int end,
                            float* s, std::ptrdiff_t plane, std::ptrdiff_t line) {
    for (int i = 0; i < count; ++i) {
        winograd_place const at = w.place(first + i);
        int const rows = w.out_height - 4 * at.row < 4 ? w.out_height - 4 * at.row : 4;
        int const columns = w.out_width - 4 * at.column < 4 ? w.out_width - 4 * at.column : 4;
        float const* const from =
            dy + ((at.image * w.out_height + 4 * at.row) * w.out_width + 4 * at.column) * std::int64_t{w.filters};
        for (int c = begin; c < end; c += width) {
            vf d[4][4], t[6][4];
            for (int r = 0; r < 4; ++r) {
                for (int q = 0; q < 4; ++q) {
                    bool const there = r < rows && q < columns;
                    d[r][q] = there ? vload(from + (std::int64_t{r} * w.out_width + q) * w.filters + c) : vzero();
                }
            }
            for (int q = 0; q < 4; ++q) {
                vf column[6];
                winograd_slope(&d[0][q], 4, column);
                for (int r = 0; r < 6; ++r) t[r][q] = column[r];
            }
            float* const to = s + i * line + (c - begin);
            for (int r = 0; r < 6; ++r) {
                vf out[6];
                winograd_slope(t[r], 1, out);
                for (int q = 0; q < 6; ++q) vstore(to + (6 * r + q) * plane, out[q]);
            }
        }
    }
}

/// dw[filter] (+)= G' u G, u[xi][channel] being the sum of `parts` parts `part` floats apart, in order.
static void winograd_collect(float const* u, int channels, std::ptrdiff_t plane, int parts, std::ptrdiff_t part,
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

static constexpr winograd_kernels winograd_table{width,           winograd_gather,  winograd_scatter, winograd_filters,
                                                 winograd_slopes, winograd_collect};
