// SPDX-License-Identifier: Apache-2.0
// Pooling of one row of one sample. Backward functions gather: each element of dx adds the windows that hold it, so
// that nothing is cleared first and no two chunks write the same place.

typedef std::uint8_t vb __attribute__((vector_size(TEMPERA_VECTOR_FLOATS)));
typedef std::uint8_t vb_memory __attribute__((vector_size(TEMPERA_VECTOR_FLOATS), aligned(1), may_alias));

TEMPERA_INLINE vi widen_bytes(vb bytes) {
#if TEMPERA_TARGET == 3
    return (vi)_mm512_cvtepu8_epi32((__m128i)bytes);
#elif TEMPERA_TARGET == 2
    return (vi)_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<__m128i const*>(&bytes)));
#else
    return __builtin_convertvector(bytes, vi);
#endif
}
template <bool Tail>
TEMPERA_INLINE vi load_bytes(std::uint8_t const* p, int n) {
    if constexpr (Tail) {
        vb bytes = {};
        for (int i = 0; i < n; ++i) bytes[i] = p[i];
        return widen_bytes(bytes);
    } else {
        return widen_bytes(*reinterpret_cast<vb_memory const*>(p));
    }
}
template <bool Tail>
TEMPERA_INLINE void save_bytes(std::uint8_t* p, vi v, int n) {
    if constexpr (Tail) {
        for (int i = 0; i < n; ++i) p[i] = static_cast<std::uint8_t>(v[i]);
    } else {
#if TEMPERA_TARGET == 3
        _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8((__m512i)v));
#elif TEMPERA_TARGET == 2
        __m256i const shorts = _mm256_packus_epi32((__m256i)v, (__m256i)v);
        __m256i const bytes = _mm256_packus_epi16(shorts, shorts);
        _mm_storel_epi64(reinterpret_cast<__m128i*>(p),
                         _mm_unpacklo_epi32(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1)));
#else
        *reinterpret_cast<vb_memory*>(p) = __builtin_convertvector(v, vb);
#endif
    }
}

/// Positions [begin, end) along one axis.
struct span_of {
    int begin;
    int end;
};
/// Inputs of output position i.
TEMPERA_INLINE span_of inputs_of(int i, int kernel, int stride, int pad, int size) {
    int const first = i * stride - pad;
    int const last = first + kernel;
    return {first < 0 ? 0 : first, last < size ? last : size};
}
/// Outputs whose window holds input position i.
TEMPERA_INLINE span_of outputs_of(int i, int kernel, int stride, int pad, int size) {
    int const reach = i + pad - kernel;
    int const first = reach < 0 ? 0 : reach / stride + 1;
    int const last = (i + pad) / stride + 1;
    return {first, last < size ? last : size};
}

template <class T>
struct largest_pass {
    T const* x;  // of the sample
    T* y;        // of the position
    std::uint8_t* argmax;
    int row_elements, channels, kernel, top, left;
    span_of rows, columns;
};
template <bool Tail, int Vectors, class T>
TEMPERA_INLINE void step_block(largest_pass<T> const& k, std::int64_t i, int n) {
    vf best[Vectors];
    vf place[Vectors];
    T const* const origin = k.x + k.rows.begin * k.row_elements + k.columns.begin * k.channels + i;
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
        best[v] = load<Tail>(origin + v * width, n);
        place[v] = vset(static_cast<float>((k.rows.begin - k.top) * k.kernel + k.columns.begin - k.left));
    }
    for (int r = k.rows.begin; r < k.rows.end; ++r) {
        for (int s = k.columns.begin; s < k.columns.end; ++s) {
            T const* const x = k.x + r * k.row_elements + s * k.channels + i;
            vf const here = vset(static_cast<float>((r - k.top) * k.kernel + s - k.left));
#pragma GCC unroll 4
            for (int v = 0; v < Vectors; ++v) {
                vf const value = load<Tail>(x + v * width, n);
                place[v] = vgreater(value, best[v], here, place[v]);
                best[v] = vmax(value, best[v]);
            }
        }
    }
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) {
        save<Tail>(k.y + i + v * width, best[v], n);
        if (k.argmax != nullptr) save_bytes<Tail>(k.argmax + i + v * width, __builtin_convertvector(place[v], vi), n);
    }
}
/// Row i of y; x is the sample.
template <class T>
void max_pool_row(pool_geometry const& g, int i, T const* x, T* y, std::uint8_t* argmax) {
    span_of const rows = inputs_of(i, g.kernel, g.stride, g.pad_top, g.in_height);
    for (int j = 0; j < g.out_width; ++j) {
        span_of const columns = inputs_of(j, g.kernel, g.stride, g.pad_left, g.in_width);
        std::int64_t const at = std::int64_t{j} * g.channels;
        walk_blocks(largest_pass<T>{x, y + at, argmax == nullptr ? nullptr : argmax + at, g.in_width * g.channels,
                                    g.channels, g.kernel, i * g.stride - g.pad_top, j * g.stride - g.pad_left, rows,
                                    columns},
                    g.channels);
    }
}

template <class T>
struct largest_slope_pass {
    std::uint8_t const* argmax;  // of the sample
    T const* dy;
    T* dx;  // of the position
    int row_elements, channels, kernel, stride, top, left;  // top, left: of the position in window 0
    span_of rows, columns;
    bool accumulate;
};
template <bool Tail, int Vectors, class T>
TEMPERA_INLINE void step_block(largest_slope_pass<T> const& k, std::int64_t i, int n) {
    vf sum[Vectors] = {};
    for (int r = k.rows.begin; r < k.rows.end; ++r) {
        for (int s = k.columns.begin; s < k.columns.end; ++s) {
            std::int64_t const at = r * k.row_elements + s * k.channels + i;
            vi const place = vset_int((k.top - r * k.stride) * k.kernel + k.left - s * k.stride);
#pragma GCC unroll 4
            for (int v = 0; v < Vectors; ++v) {
                vi const here = load_bytes<Tail>(k.argmax + at + v * width, n) == place;
                sum[v] = sum[v] + (vf)((vi)load<Tail>(k.dy + at + v * width, n) & here);
            }
        }
    }
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) put<Tail>(k.dx + i + v * width, sum[v], n, k.accumulate);
}
/// Row i of dx; argmax and dy are the sample's.
template <class T>
void max_pool_slope_row(pool_geometry const& g, int i, std::uint8_t const* argmax, T const* dy, T* dx, bool accumulate) {
    span_of const rows = outputs_of(i, g.kernel, g.stride, g.pad_top, g.out_height);
    for (int j = 0; j < g.in_width; ++j) {
        span_of const columns = outputs_of(j, g.kernel, g.stride, g.pad_left, g.out_width);
        walk_blocks(largest_slope_pass<T>{argmax, dy, dx + std::int64_t{j} * g.channels, g.out_width * g.channels,
                                          g.channels, g.kernel, g.stride, i + g.pad_top, j + g.pad_left, rows, columns,
                                          accumulate},
                    g.channels);
    }
}

template <class T>
struct average_pass {
    T const* x;
    T* y;
    int row_elements, channels;
    span_of rows, columns;
    float count;  // what the sum is divided by
};
template <bool Tail, int Vectors, class T>
TEMPERA_INLINE void step_block(average_pass<T> const& k, std::int64_t i, int n) {
    vf sum[Vectors] = {};
    for (int r = k.rows.begin; r < k.rows.end; ++r) {
        for (int s = k.columns.begin; s < k.columns.end; ++s) {
            T const* const x = k.x + r * k.row_elements + s * k.channels + i;
#pragma GCC unroll 4
            for (int v = 0; v < Vectors; ++v) sum[v] = sum[v] + load<Tail>(x + v * width, n);
        }
    }
    vf const inside = vset(k.count);
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) save<Tail>(k.y + i + v * width, sum[v] / inside, n);
}
template <class T>
void average_pool_row(pool_geometry const& g, int i, T const* x, T* y) {
    span_of const rows = inputs_of(i, g.kernel, g.stride, g.pad_top, g.in_height);
    for (int j = 0; j < g.out_width; ++j) {
        span_of const columns = inputs_of(j, g.kernel, g.stride, g.pad_left, g.in_width);
        int const inside = (rows.end - rows.begin) * (columns.end - columns.begin);
        walk_blocks(average_pass<T>{x, y + std::int64_t{j} * g.channels, g.in_width * g.channels, g.channels, rows,
                                    columns, static_cast<float>(g.count_padding ? g.kernel * g.kernel : inside)},
                    g.channels);
    }
}

/// shares[i] = 1 / (number of positions that output position i counts), along one axis.
static inline void average_pool_shares(pool_geometry const& g, int pad, int in_size, int out_size, float* shares) {
    for (int i = 0; i < out_size; ++i) {
        span_of const inside = inputs_of(i, g.kernel, g.stride, pad, in_size);
        shares[i] = 1.0F / static_cast<float>(g.count_padding ? g.kernel : inside.end - inside.begin);
    }
}

template <class T>
struct average_slope_pass {
    T const* dy;
    T* dx;
    float const* row_shares;
    float const* column_shares;
    int row_elements, channels;
    span_of rows, columns;
    bool accumulate;
};
template <bool Tail, int Vectors, class T>
TEMPERA_INLINE void step_block(average_slope_pass<T> const& k, std::int64_t i, int n) {
    vf sum[Vectors] = {};
    for (int r = k.rows.begin; r < k.rows.end; ++r) {
        for (int s = k.columns.begin; s < k.columns.end; ++s) {
            T const* const dy = k.dy + r * k.row_elements + s * k.channels + i;
            vf const share = vset(k.row_shares[r] * k.column_shares[s]);
#pragma GCC unroll 4
            for (int v = 0; v < Vectors; ++v) sum[v] = vfma(load<Tail>(dy + v * width, n), share, sum[v]);
        }
    }
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) put<Tail>(k.dx + i + v * width, sum[v], n, k.accumulate);
}
/// Row i of dx; shares of both axes from average_pool_shares.
template <class T>
void average_pool_slope_row(pool_geometry const& g, int i, float const* row_shares, float const* column_shares,
                            T const* dy, T* dx, bool accumulate) {
    span_of const rows = outputs_of(i, g.kernel, g.stride, g.pad_top, g.out_height);
    for (int j = 0; j < g.in_width; ++j) {
        span_of const columns = outputs_of(j, g.kernel, g.stride, g.pad_left, g.out_width);
        walk_blocks(average_slope_pass<T>{dy, dx + std::int64_t{j} * g.channels, row_shares, column_shares,
                                          g.out_width * g.channels, g.channels, rows, columns, accumulate},
                    g.channels);
    }
}

template <class T>
struct total_pass {
    T const* x;
    float* sums;
};
template <bool Tail, class T>
TEMPERA_INLINE void step(total_pass<T> const& k, std::int64_t i, std::int64_t j, int n) {
    save<Tail>(k.sums + j, load<Tail>(k.sums + j, n) + load<Tail>(k.x + i, n), n);
}
/// sums += the wide rows of x.
template <class T>
void column_totals(T const* x, std::int64_t count, int wide, float* sums) {
    walk(total_pass<T>{x, sums}, count, wide);
}

template <class T>
struct spread_pass {
    float const* values;
    T* y;
    bool accumulate;
};
template <bool Tail, class T>
TEMPERA_INLINE void step(spread_pass<T> const& k, std::int64_t i, std::int64_t j, int n) {
    put<Tail>(k.y + i, load<Tail>(k.values + j, n), n, k.accumulate);
}
/// y (+)= values in every wide row.
template <class T>
void column_spread(float const* values, T* y, std::int64_t count, int wide, bool accumulate) {
    walk(spread_pass<T>{values, y, accumulate}, count, wide);
}

template <class T>
inline constexpr pooling_kernels<T> pooling_table{max_pool_row<T>,     max_pool_slope_row<T>,     average_pool_row<T>,
                                                  average_pool_shares, average_pool_slope_row<T>, column_totals<T>,
                                                  column_spread<T>};
