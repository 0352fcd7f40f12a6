// SPDX-License-Identifier: Apache-2.0
// Random masks. Philox4x32-10 (core/philox.hpp) runs in the lanes, one counter block a lane. The blocks are dealt to
// lanes so that interleaving within each 128 bits leaves the words of consecutive blocks side by side.

typedef std::uint32_t vu __attribute__((vector_size(4 * TEMPERA_VECTOR_FLOATS)));
typedef std::uint64_t vw __attribute__((vector_size(4 * TEMPERA_VECTOR_FLOATS)));

/// The products of the even lanes of a with k, 64 bits each.
TEMPERA_INLINE vw multiply_even(vw a, vw k) {
#if TEMPERA_TARGET == 3
    return (vw)_mm512_mul_epu32((__m512i)a, (__m512i)k);
#elif TEMPERA_TARGET == 2
    return (vw)_mm256_mul_epu32((__m256i)a, (__m256i)k);
#elif TEMPERA_TARGET == 0 && defined(__SSE2__)
    return (vw)_mm_mul_epu32((__m128i)a, (__m128i)k);
#else
    return (a & 0xffffffffU) * k;
#endif
}

/// The lower and the upper halves of 64-bit products of even and odd lanes, each at its lane.
TEMPERA_INLINE vu lower_halves(vw even, vw odd) {
#if TEMPERA_TARGET == 3
    return (vu)_mm512_mask_blend_epi32(0xaaaa, (__m512i)even, (__m512i)(odd << 32));
#elif TEMPERA_TARGET == 2
    return (vu)_mm256_blend_epi32((__m256i)even, (__m256i)(odd << 32), 0xaa);
#else
    return (vu)((even & 0xffffffffU) | (odd << 32));
#endif
}
TEMPERA_INLINE vu upper_halves(vw even, vw odd) {
#if TEMPERA_TARGET == 3
    return (vu)_mm512_mask_blend_epi32(0xaaaa, (__m512i)(even >> 32), (__m512i)odd);
#elif TEMPERA_TARGET == 2
    return (vu)_mm256_blend_epi32((__m256i)(even >> 32), (__m256i)odd, 0xaa);
#else
    return (vu)((even >> 32) | (odd & (vw{} + 0xffffffff00000000U)));
#endif
}

/// {a0, b0, a1, b1} and {a2, b2, a3, b3} of each 128 bits.
TEMPERA_INLINE vu interleave_low(vu a, vu b) {
#if TEMPERA_TARGET == 3
    return (vu)_mm512_unpacklo_epi32((__m512i)a, (__m512i)b);
#elif TEMPERA_TARGET == 2
    return (vu)_mm256_unpacklo_epi32((__m256i)a, (__m256i)b);
#else
    vu out;
    for (int l = 0; l < width; ++l) out[l] = (l % 2 == 0 ? a : b)[l / 4 * 4 + l % 4 / 2];
    return out;
#endif
}
TEMPERA_INLINE vu interleave_high(vu a, vu b) {
#if TEMPERA_TARGET == 3
    return (vu)_mm512_unpackhi_epi32((__m512i)a, (__m512i)b);
#elif TEMPERA_TARGET == 2
    return (vu)_mm256_unpackhi_epi32((__m256i)a, (__m256i)b);
#else
    vu out;
    for (int l = 0; l < width; ++l) out[l] = (l % 2 == 0 ? a : b)[l / 4 * 4 + 2 + l % 4 / 2];
    return out;
#endif
}

/// Words of `count` counter blocks from `first` on, four words a block, in order. count is a multiple of width.
static inline void philox_words(philox_key key, std::uint64_t first, int count, std::uint32_t* words) {
    vw const k0 = vw{} + 0xD2511F53U;
    vw const k1 = vw{} + 0xCD9E8D57U;
    vu lane{};
    for (int l = 0; l < width; ++l) lane[l] = static_cast<std::uint32_t>(l % 4 * (width / 4) + l / 4);
    for (int done = 0; done < count; done += width) {
        std::uint64_t const block = first + static_cast<std::uint64_t>(done);
        vu c0 = lane + static_cast<std::uint32_t>(block);
        vu c1 = (vu{} + static_cast<std::uint32_t>(block >> 32)) - (vu)(c0 < lane);  // true is -1: the carry
        vu c2{};
        vu c3{};
        vu key_lo = vu{} + key.lo;
        vu key_hi = vu{} + key.hi;
        for (int round = 0; round < 10; ++round) {
            vw const even0 = multiply_even((vw)c0, k0);
            vw const odd0 = multiply_even((vw)c0 >> 32, k0);
            vw const even1 = multiply_even((vw)c2, k1);
            vw const odd1 = multiply_even((vw)c2 >> 32, k1);
            c0 = upper_halves(even1, odd1) ^ c1 ^ key_lo;
            c1 = lower_halves(even1, odd1);
            c2 = upper_halves(even0, odd0) ^ c3 ^ key_hi;
            c3 = lower_halves(even0, odd0);
            key_lo += 0x9E3779B9U;
            key_hi += 0xBB67AE85U;
        }
        vu const low02 = interleave_low(c0, c2);
        vu const low13 = interleave_low(c1, c3);
        vu const high02 = interleave_high(c0, c2);
        vu const high13 = interleave_high(c1, c3);
        std::uint32_t* const out = words + 4 * done;
        vstore(reinterpret_cast<float*>(out), (vf)interleave_low(low02, low13));
        vstore(reinterpret_cast<float*>(out + width), (vf)interleave_high(low02, low13));
        vstore(reinterpret_cast<float*>(out + 2 * width), (vf)interleave_low(high02, high13));
        vstore(reinterpret_cast<float*>(out + 3 * width), (vf)interleave_high(high02, high13));
    }
}

template <class T>
struct dropout_pass {
    T const* x;
    T* y;
    std::uint32_t const* words;
    std::int32_t threshold;
    vf factor;
    bool accumulate;
};
template <bool Tail, class T>
TEMPERA_INLINE void step(dropout_pass<T> const& k, std::int64_t i, std::int64_t, int n) {
    vi const word = (vi)vload(reinterpret_cast<float const*>(k.words + i));  // there are words beyond a tail
    vi const kept = ((vi)((vu)word >> 8)) >= vset_int(k.threshold);
    put<Tail>(k.y + i, (vf)((vi)(k.factor * load<Tail>(k.x + i, n)) & kept), n, k.accumulate);
}
/// Keeps x / (1 - rate) where the upper 24 bits of its word reach the threshold.
template <class T>
void dropout_walk(philox_key key, std::uint64_t block, std::int32_t threshold, float factor, T const* x, T* y,
                  std::int64_t count, bool accumulate) {
    constexpr int blocks = 8 * width;
    alignas(64) std::uint32_t words[4 * blocks];
    for (std::int64_t i = 0; i < count; i += 4 * blocks) {
        philox_words(key, block + static_cast<std::uint64_t>(i / 4), blocks, words);
        std::int64_t const left = count - i;
        walk(dropout_pass<T>{x + i, y + i, words, threshold, vset(factor), accumulate},
             left < 4 * blocks ? left : 4 * blocks);
    }
}

template <class T>
struct mask_pass {
    float const* mask;
    T const* x;
    T* y;
    bool accumulate;
};
template <bool Tail, class T>
TEMPERA_INLINE void step(mask_pass<T> const& k, std::int64_t i, std::int64_t, int n) {
    put<Tail>(k.y + i, load<Tail>(k.mask + i, n) * load<Tail>(k.x + i, n), n, k.accumulate);
}
template <class T>
void mask_walk(float const* mask, T const* x, T* y, std::int64_t count, bool accumulate) {
    walk(mask_pass<T>{mask, x, y, accumulate}, count);
}

template <class T>
inline constexpr dropout_kernels<T> dropout_table{philox_words, dropout_walk<T>, mask_walk<T>};
