// SPDX-License-Identifier: Apache-2.0
// The copies around a matrix product, and the table of both. Included once per instruction set (see target.hpp), after
// gemm.hpp.
//
//   gather        rows of windows: what a convolution multiplies, a few rows at a time
//   pack          b into panels of tile_columns columns, zeros after the last
//   interleave    a^T into groups of tile_rows rows, step by step
//   scatter       lines of sums to a map
//   add_parts     the sum of partial results, in order;  add_rows    sums over the rows of a map

/// Copies count elements, as floats or as they are. May write up to `width` elements after the last.
template <class T, class E>
TEMPERA_INLINE void copy_run(T const* from, E* to, int count) {
    if (count < width) {
        if constexpr (sizeof(T) == sizeof(E)) {
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
template <class E>
TEMPERA_INLINE void zero_run(E* to, int count) {
    for (int i = 0; i < count; i += width) vstore(to + i, vzero());
}

/// Elements [first, last) of one window, zeros where it leaves the map. `image` is the sample's element (0, left, 0).
template <class T, class E>
static void gather_clipped(window_walk const& w, T const* image, int top, int left, int first, int last, E* to) {
    int const run = w.window_width * w.channels;
    std::int64_t const in_row = std::int64_t{w.in_width} * w.channels;
    int const begin = left < 0 ? -left * w.channels : 0;
    int const end = left + w.window_width > w.in_width ? (w.in_width - left) * w.channels : run;
    for (int r = first / run; r * run < last; ++r) {
        int const y = top + r;
        int const from = first > r * run ? first - r * run : 0;
        int const until = last < (r + 1) * run ? last - r * run : run;
        E* const out = to + r * run - first;
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

/// Elements [first, last) of the windows of `rows` positions from `position` on, to lines `line` elements apart.
/// May write up to `width` elements after a line.
template <class T, class E>
static void gather(window_walk const& w, void const* source, std::int64_t position, int rows, int first, int last,
                   E* to, std::ptrdiff_t line) {
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
/// depth * tile_rows floats apart. Line by line, as memory brings them.
template <class T>
static void interleave(T const* from, std::ptrdiff_t line, int depth, int rows, float* to) {
    static_assert(tile_rows <= width);
    for (int k = 0; k < depth; ++k, from += line) {
        int const whole = k + 1 < depth ? rows - width : -1;
        float* out = to + std::ptrdiff_t{k} * tile_rows;
        int i = 0;
        for (; i <= whole; i += tile_rows, out += std::ptrdiff_t{depth} * tile_rows)
            vstore(out, vload(from + i));  // the overhang is overwritten by the next step
        for (; i < rows; i += tile_rows, out += std::ptrdiff_t{depth} * tile_rows) {
            int const count = rows - i < tile_rows ? rows - i : tile_rows;
            vstore_n(out, vload_n(from + i, count), count);
        }
    }
}

/// Lines of sums, each to its own place, those without one (-1) to none: y (+)= x, then the epilogue. What is streamed is
/// not settled.
template <class T>
static void scatter_lines(float const* from, std::ptrdiff_t line, int rows, int columns, T* target,
                          std::ptrdiff_t const* target_rows, bool accumulate, gemm_epilogue<T> const& epilogue) {
    gemm_epilogue<T> const e = epilogue;  // a copy of its own stays in registers
    for (int i = 0; i < rows; ++i, from += line) {
        if (target_rows[i] < 0) continue;
        T* const to = target + target_rows[i];
        T const* const residual = e.residual != nullptr ? e.residual + target_rows[i] : nullptr;
        for (int j = 0; j < columns; j += width) {
            int const n = columns - j < width ? columns - j : width;
            bool const whole = n == width;
            vf v = whole ? vload(from + j) : vload_n(from + j, n);
            if (e.bias != nullptr) v = v + (whole ? vload(e.bias + j) : vload_n(e.bias + j, n));
            if (accumulate) v = v + (whole ? vload(to + j) : vload_n(to + j, n));
            if (residual != nullptr) v = v + (whole ? vload(residual + j) : vload_n(residual + j, n));
            if (e.relu) v = vmax(vzero(), v);
            if (e.stream) vstream(to + j, v);
            else if (whole) vstore(to + j, v);
            else vstore_n(to + j, v, n);
        }
    }
}

template <class T>
static void scatter(float const* from, std::ptrdiff_t line, int rows, int columns, T* target,
                    std::ptrdiff_t const* target_rows, bool accumulate, gemm_epilogue<T> const& epilogue) {
    scatter_lines(from, line, rows, columns, target, target_rows, accumulate, epilogue);
    if (epilogue.stream) vsettle();
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
                                                1, tile_rows, tile_columns, TEMPERA_TARGET == 0 ? 256 : 1152,
                                                width * 24, multiply<float>, pack, interleave<float>, add_parts, spin},
                                            gather<T, float>,
                                            gather<T, float>,
                                            interleave<T>,
                                            scatter<T>,
                                            multiply<T>,
                                            add_rows<T>};
