// SPDX-License-Identifier: Apache-2.0
// Vectors of `width` floats: 4 portable, 8 avx2, 16 avx512. Included once per instruction set (see target.hpp).
//
//   vf  vi                      floats, int32; + - * / are the language's own, vector with vector
//   vload(p)  vload_n(p, n)     unaligned, p to float or bf16; n <= width elements, the rest zero
//   vstore(p, v)  vstore_n(p, v, n)      bf16 rounds to nearest even
//   vstream(p, v)  vsettle()    vstore past the caches, p aligned to the vector; before others read what was streamed
//   vzero()  vset(x)            all lanes
//   vfma(a, b, c)               a b + c, rounded once on avx2 and avx512
//   vmax(a, b)  vmin(a, b)      a > b ? a : b    a < b ? a : b    (b where either is NaN)
//   vgreater(x, y, a, b)        x > y ? a : b    (b where either is NaN)
//   vpositive(x, a, b)          x > 0 ? a : b
//   vsum(v)  vlargest(v)        over the lanes, always in the same order
//   vsqrt(x)  vrsqrt(x)         correctly rounded, 1 / sqrt(x) in two roundings
//   vexp(x)  vlog(x)            2 ulp; vexp(-inf) = 0, vlog(0) = -inf, vlog(x < 0) = NaN, NaN stays
//   sload(p)  sstore(p, x)      one element, p to float or bf16
//   sexp(x)  slog(x)            one float, the same bits as a lane
//
// Widths differ, so sums differ by rounding from one instruction set to another.

constexpr int width = TEMPERA_VECTOR_FLOATS;

typedef float vf __attribute__((vector_size(4 * TEMPERA_VECTOR_FLOATS)));
typedef std::int32_t vi __attribute__((vector_size(4 * TEMPERA_VECTOR_FLOATS)));
typedef float vf_memory __attribute__((vector_size(4 * TEMPERA_VECTOR_FLOATS), aligned(4), may_alias));
typedef std::uint16_t vh __attribute__((vector_size(2 * TEMPERA_VECTOR_FLOATS)));
typedef std::uint16_t vh_memory __attribute__((vector_size(2 * TEMPERA_VECTOR_FLOATS), aligned(2), may_alias));

TEMPERA_INLINE vf vzero() { return vf{}; }
TEMPERA_INLINE vf vset(float x) { return x - vf{}; }
TEMPERA_INLINE vi vset_int(std::int32_t x) { return x - vi{}; }

TEMPERA_INLINE float sload(float const* p) { return *p; }
TEMPERA_INLINE void sstore(float* p, float x) { *p = x; }
TEMPERA_INLINE float sload(bf16 const* p) {
    return __builtin_bit_cast(float, static_cast<std::uint32_t>(p->bits) << 16);
}
TEMPERA_INLINE void sstore(bf16* p, float x) {
    std::uint32_t const u = __builtin_bit_cast(std::uint32_t, x);
    std::uint32_t const rounded = (u & 0x7fffffffU) > 0x7f800000U ? u | 0x400000U : u + 0x7fffU + (u >> 16 & 1U);
    p->bits = static_cast<std::uint16_t>(rounded >> 16);
}

TEMPERA_INLINE vf vload(float const* p) { return *reinterpret_cast<vf_memory const*>(p); }
TEMPERA_INLINE void vstore(float* p, vf v) { *reinterpret_cast<vf_memory*>(p) = v; }

TEMPERA_INLINE vf widen(vh bits) {
#if TEMPERA_TARGET == 3 || TEMPERA_TARGET == 4
    return (vf)_mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i)bits), 16);
#elif TEMPERA_TARGET == 2
    return (vf)_mm256_slli_epi32(_mm256_cvtepu16_epi32((__m128i)bits), 16);
#else
    return (vf)(__builtin_convertvector(bits, vi) << 16);
#endif
}
TEMPERA_INLINE vh narrow(vf v) {
    vi const u = (vi)v;
    vi const odd = (u >> 16) & 1;
#if TEMPERA_TARGET == 3 || TEMPERA_TARGET == 4
    __m512i const rounded = _mm512_mask_or_epi32((__m512i)(u + (0x7fff + odd)), _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q),
                                                 (__m512i)u, _mm512_set1_epi32(0x400000));
    return (vh)_mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16));
#else
    vi const nan = (u & 0x7fffffff) > 0x7f800000;
    vi const rounded = ((u | 0x400000) & nan) | ((u + 0x7fff + odd) & ~nan);
#endif
#if TEMPERA_TARGET == 2
    __m256i const upper = _mm256_srli_epi32((__m256i)rounded, 16);
    __m256i const packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(upper, upper), 0x08);
    return (vh)_mm256_castsi256_si128(packed);
#elif TEMPERA_TARGET != 3 && TEMPERA_TARGET != 4
    return __builtin_convertvector(rounded >> 16, vh);
#endif
}
TEMPERA_INLINE vf vload(bf16 const* p) { return widen(*reinterpret_cast<vh_memory const*>(p)); }
TEMPERA_INLINE void vstore(bf16* p, vf v) { *reinterpret_cast<vh_memory*>(p) = narrow(v); }

TEMPERA_INLINE void vstream(float* p, vf v) {
#if TEMPERA_TARGET == 3 || TEMPERA_TARGET == 4
    _mm512_stream_ps(p, v);
#elif TEMPERA_TARGET == 2
    _mm256_stream_ps(p, v);
#else
    vstore(p, v);
#endif
}
TEMPERA_INLINE void vstream(bf16* p, vf v) {
#if TEMPERA_TARGET == 3 || TEMPERA_TARGET == 4
    _mm256_stream_si256(reinterpret_cast<__m256i*>(p), (__m256i)narrow(v));
#elif TEMPERA_TARGET == 2
    _mm_stream_si128(reinterpret_cast<__m128i*>(p), (__m128i)narrow(v));
#else
    vstore(p, v);
#endif
}
TEMPERA_INLINE void vsettle() {
#if TEMPERA_TARGET == 2 || TEMPERA_TARGET == 3 || TEMPERA_TARGET == 4
    _mm_sfence();
#endif
}

#if TEMPERA_TARGET == 2
TEMPERA_INLINE __m256i first_lanes(int n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
#endif
TEMPERA_INLINE vf vload_n(float const* p, int n) {
#if TEMPERA_TARGET == 3 || TEMPERA_TARGET == 4
    return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1U << n) - 1U), p);
#elif TEMPERA_TARGET == 2
    return _mm256_maskload_ps(p, first_lanes(n));
#else
    float lanes[width] = {};
    for (int i = 0; i < n; ++i) lanes[i] = p[i];
    return vload(lanes);
#endif
}
TEMPERA_INLINE void vstore_n(float* p, vf v, int n) {
#if TEMPERA_TARGET == 3 || TEMPERA_TARGET == 4
    _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1U << n) - 1U), v);
#elif TEMPERA_TARGET == 2
    _mm256_maskstore_ps(p, first_lanes(n), v);
#else
    float lanes[width];
    vstore(lanes, v);
    for (int i = 0; i < n; ++i) p[i] = lanes[i];
#endif
}
TEMPERA_INLINE vf vload_n(bf16 const* p, int n) {
#if TEMPERA_TARGET == 3 || TEMPERA_TARGET == 4
    return widen((vh)_mm256_maskz_loadu_epi16(static_cast<__mmask16>((1U << n) - 1U), p));
#else
    bf16 lanes[width];
    for (int i = 0; i < width; ++i) lanes[i].bits = i < n ? p[i].bits : std::uint16_t{0};
    return vload(lanes);
#endif
}
TEMPERA_INLINE void vstore_n(bf16* p, vf v, int n) {
#if TEMPERA_TARGET == 3 || TEMPERA_TARGET == 4
    _mm256_mask_storeu_epi16(p, static_cast<__mmask16>((1U << n) - 1U), (__m256i)narrow(v));
#else
    bf16 lanes[width];
    vstore(lanes, v);
    for (int i = 0; i < n; ++i) p[i].bits = lanes[i].bits;
#endif
}

TEMPERA_INLINE vf vfma(vf a, vf b, vf c) {
#if TEMPERA_TARGET == 3 || TEMPERA_TARGET == 4
    return _mm512_fmadd_ps(a, b, c);
#elif TEMPERA_TARGET == 2
    return _mm256_fmadd_ps(a, b, c);
#else
    return a * b + c;
#endif
}
TEMPERA_INLINE vf vgreater(vf x, vf y, vf a, vf b) {
#if TEMPERA_TARGET == 3 || TEMPERA_TARGET == 4
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, y, _CMP_GT_OQ), b, a);
#elif TEMPERA_TARGET == 2
    return _mm256_blendv_ps(b, a, _mm256_cmp_ps(x, y, _CMP_GT_OQ));
#else
    vi const mask = x > y;
    return (vf)(((vi)a & mask) | ((vi)b & ~mask));
#endif
}
TEMPERA_INLINE vf vpositive(vf x, vf a, vf b) { return vgreater(x, vzero(), a, b); }
TEMPERA_INLINE vf vmax(vf a, vf b) {
#if TEMPERA_TARGET == 3 || TEMPERA_TARGET == 4
    return _mm512_max_ps(a, b);
#elif TEMPERA_TARGET == 2
    return _mm256_max_ps(a, b);
#else
    return vgreater(a, b, a, b);
#endif
}
TEMPERA_INLINE vf vmin(vf a, vf b) {
#if TEMPERA_TARGET == 3 || TEMPERA_TARGET == 4
    return _mm512_min_ps(a, b);
#elif TEMPERA_TARGET == 2
    return _mm256_min_ps(a, b);
#else
    return vgreater(b, a, a, b);
#endif
}

TEMPERA_INLINE float vsum(vf v) {
    float lanes[width];
    vstore(lanes, v);
    for (int half = width / 2; half > 0; half /= 2) {
        for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
    }
    return lanes[0];
}
TEMPERA_INLINE float vlargest(vf v) {
    float lanes[width];
    vstore(lanes, v);
    for (int i = 1; i < width; ++i) lanes[0] = lanes[i] > lanes[0] ? lanes[i] : lanes[0];
    return lanes[0];
}

TEMPERA_INLINE vf vsqrt(vf x) {
#if TEMPERA_TARGET == 3 || TEMPERA_TARGET == 4
    return _mm512_sqrt_ps(x);
#elif TEMPERA_TARGET == 2
    return _mm256_sqrt_ps(x);
#else
    for (int i = 0; i < width; ++i) x[i] = __builtin_sqrtf(x[i]);
    return x;
#endif
}
TEMPERA_INLINE vf vrsqrt(vf x) { return vset(1.0F) / vsqrt(x); }

// exp(x) = 2^n exp(r), n = round(x / ln 2), |r| <= ln 2 / 2. exp(r) is its Taylor polynomial of degree 7 (error
// 5e-9); 2^n is multiplied in two steps, so that results near the ends of the range stay exact to rounding.
TEMPERA_INLINE vf vexp(vf x) {
    x = vmin(vset(89.0F), vmax(vset(-104.0F), x));
    vf const shift = vset(12582912.0F);  // 1.5 * 2^23: adding it rounds to an integer
    vf const n = vfma(x, vset(1.44269504F), shift) - shift;
    vf r = vfma(n, vset(-0.693359375F), x);
    r = vfma(n, vset(2.12194440e-4F), r);
    vf p = vset(1.0F / 5040.0F);
    p = vfma(p, r, vset(1.0F / 720.0F));
    p = vfma(p, r, vset(1.0F / 120.0F));
    p = vfma(p, r, vset(1.0F / 24.0F));
    p = vfma(p, r, vset(1.0F / 6.0F));
    p = vfma(p, r, vset(0.5F));
    p = vfma(p * r, r, r) + vset(1.0F);
    vi const exponent = __builtin_convertvector(n, vi);
    vi const lower = exponent >> 1;
    vi const upper = exponent - lower;
    return p * (vf)((lower + 127) << 23) * (vf)((upper + 127) << 23);
}

// log(x) = e ln 2 + log(m), m in [sqrt(1/2), sqrt(2)); with s = (m - 1) / (m + 1), log(m) = 2 atanh(s), an odd series
// in s with |s| < 0.172 (error of the six terms 1e-11), written as f - s (f - t) with f = m - 1 to lose no digits.
TEMPERA_INLINE vf vlog(vf x) {
    vf const smallest = vset(1.17549435e-38F);
    vf const scaled = vgreater(smallest, x, x * vset(8388608.0F), x);  // subnormal numbers
    vf const offset = vgreater(smallest, x, vset(-23.0F), vzero());
    vi const bits = ((vi)scaled & 0x7fffffff) - 0x3f3504f3;  // without the sign: negative numbers are NaN below
    vf const m = (vf)((bits & 0x7fffff) + 0x3f3504f3);
    vf const e = __builtin_convertvector(bits >> 23, vf) + offset;
    vf const f = m - vset(1.0F);
    vf const s = f / (f + vset(2.0F));
    vf const z = s * s;
    vf t = vset(2.0F / 11.0F);
    t = vfma(t, z, vset(2.0F / 9.0F));
    t = vfma(t, z, vset(2.0F / 7.0F));
    t = vfma(t, z, vset(2.0F / 5.0F));
    t = vfma(t, z, vset(2.0F / 3.0F));
    t = t * z;
    vf const half_square = vset(0.5F) * f * f;
    vf y = vfma(s, half_square + t, e * vset(-2.12194440e-4F)) - half_square + f;
    y = vfma(e, vset(0.693359375F), y);
    vf const infinity = vset(__builtin_inff());
    y = vgreater(infinity, x, y, x);                                                 // infinite or NaN
    y = vgreater(x, vzero(), y, vgreater(vzero(), x, vset(__builtin_nanf("")), y));  // negative
    vi const zero = x == vzero();
    return (vf)(((vi)(-infinity) & zero) | ((vi)y & ~zero));
}

TEMPERA_INLINE float sexp(float x) { return vexp(vset(x))[0]; }
TEMPERA_INLINE float slog(float x) { return vlog(vset(x))[0]; }
