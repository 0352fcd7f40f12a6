// SPDX-License-Identifier: Apache-2.0
// The copies around a matrix product of bf16 pairs, and its table. Included for the instruction set with dot products of
// pairs (see each_pairs_target.hpp), after gemm.hpp. An element of a and b holds two steps of k: the even one in its low
// half. Channels of a map come in pairs by themselves, so windows are copied as floats of pairs; weights are rounded to
// bf16 when they are packed.

#if TEMPERA_TARGET == 4
namespace single = cpu_kernels::avx512;
#else
namespace single = cpu_kernels::emulated;
#endif

/// {low, high} in each lane, from bf16 that have been widened.
TEMPERA_INLINE vf paired(vf low, vf high) {
    vi const lower = ((vi)low >> 16) & vset_int(0xffff);
    return (vf)(lower | (vi)high);
}
TEMPERA_INLINE vf rounded(vf v) { return widen(narrow(v)); }

/// to[panel][k][column] = {b[2 k, n], b[2 k + 1, n]}; b[k, n] = from[k * step_k + n * step_n], zero from `depth` on.
static void pack(float const* from, std::ptrdiff_t step_k, std::ptrdiff_t step_n, int depth, int columns, float* to,
                 std::ptrdiff_t panel) {
    int const steps = (depth + 1) / 2;
    for (int j = 0; j < columns; j += tile_columns, to += panel) {
        int const count = columns - j < tile_columns ? columns - j : tile_columns;
        float const* const source = from + j * step_n;
        if (step_n == 1) {
            for (int k = 0; k < steps; ++k) {
                for (int v = 0; v < tile_columns; v += width) {
                    float const* const even = source + 2 * k * step_k + v;
                    int const rest = count - v < width ? count - v : width;
                    vf const low = rest > 0 ? vload_n(even, rest) : vzero();
                    vf const high = rest > 0 && 2 * k + 1 < depth ? vload_n(even + step_k, rest) : vzero();
                    vstore(to + k * tile_columns + v, paired(rounded(low), rounded(high)));
                }
            }
            continue;
        }
        // step_k == 1: sixteen floats of a column are eight pairs in place.
        constexpr int stretch = width / 2;
        float pairs[tile_columns][stretch] = {};
        for (int k = 0; k < steps; k += stretch) {
            int const elements = depth - 2 * k < width ? depth - 2 * k : width;
            for (int c = 0; c < count; ++c) {
                float const* const column = source + c * step_n + 2 * k;
                vf const v = elements == width ? vload(column) : vload_n(column, elements);
                vstore(reinterpret_cast<bf16*>(pairs[c]), v);
            }
            for (int i = 0; i < stretch && k + i < steps; ++i) {
                for (int c = 0; c < tile_columns; ++c) {
                    __builtin_memcpy(to + (k + i) * tile_columns + c, &pairs[c][i], sizeof(float));
                }
            }
        }
    }
}

/// to[group][k][row] = {from[2 k, row], from[2 k + 1, row]}, zero after the last of `depth` lines. See gemm_copies.hpp.
static void interleave(bf16 const* from, std::ptrdiff_t line, int depth, int rows, float* to) {
    static_assert(tile_rows <= width);
    int const steps = (depth + 1) / 2;
    for (int k = 0; k < steps; ++k, from += 2 * line) {
        bool const both = 2 * k + 1 < depth;
        int const whole = both && k + 1 < steps ? rows - width : -1;
        float* out = to + std::ptrdiff_t{k} * tile_rows;
        int i = 0;
        for (; i <= whole; i += tile_rows, out += std::ptrdiff_t{steps} * tile_rows)
            vstore(out, paired(vload(from + i), vload(from + line + i)));
        for (; i < rows; i += tile_rows, out += std::ptrdiff_t{steps} * tile_rows) {
            int const count = rows - i < tile_rows ? rows - i : tile_rows;
            vf const high = both ? vload_n(from + line + i, count) : vzero();
            vstore_n(out, paired(vload_n(from + i, count), high), count);
        }
    }
}

/// Windows as lines of pairs along k, where even channels already are pairs.
static void gather(window_walk const& w, void const* source, std::int64_t position, int rows, int first, int last,
                   float* to, std::ptrdiff_t line) {
    if (w.channels % 2 == 0) {
        window_walk pairs = w;
        pairs.channels /= 2;
        single::gather<float, float>(pairs, source, position, rows, first, last, to, line);
        return;
    }
    int const size = w.window_height * w.window_width * w.channels;
    int const end = 2 * last < size ? 2 * last : size;
    auto* const elements = reinterpret_cast<bf16*>(to);
    single::gather<bf16, bf16>(w, source, position, rows, 2 * first, end, elements, 2 * line);
    if (end == 2 * last) return;
    for (int p = 0; p < rows; ++p) elements[2 * p * line + end - 2 * first] = bf16{};
}

/// Lines of pairs {window 2 k, window 2 k + 1} of elements [first, last), zero after the last of `rows` windows. `first` is
/// even.
static void gather_steps(window_walk const& w, void const* source, std::int64_t position, int rows, int first, int last,
                         float* to, std::ptrdiff_t line) {
    constexpr int most = 1024;
    alignas(64) float two[2][most / 2 + 2 * width];
    for (int begin = first; begin < last; begin += most) {
        int const end = last - begin < most ? last : begin + most;
        float* out = to + (begin - first);
        for (int p = 0; p < rows; p += 2, out += line) {
            bool const both = p + 1 < rows;
            gather(w, source, position + p, both ? 2 : 1, begin / 2, (end + 1) / 2, two[0], two[1] - two[0]);
            auto const* const low = reinterpret_cast<bf16 const*>(two[0]);
            auto const* const high = reinterpret_cast<bf16 const*>(two[1]);
            for (int i = 0; i < end - begin; i += width) {
                vstore(out + i, paired(vload(low + i), both ? vload(high + i) : vzero()));
            }
        }
    }
}

static constexpr gemm_kernels<bf16> gemm_pairs_table{{
#if TEMPERA_TARGET == 4
                                                         "avx512_bf16 14x32",
#else
                                                         "emulated pairs 14x32",
#endif
                                                         2, tile_rows, tile_columns, 1152, width * 48, multiply<float>,
                                                         pack, single::interleave<float>, single::add_parts, spin},
                                                     gather,
                                                     gather_steps,
                                                     interleave,
                                                     single::scatter<bf16>,
                                                     multiply<bf16>,
                                                     single::add_rows<bf16>};
