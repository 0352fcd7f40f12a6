// SPDX-License-Identifier: Apache-2.0
// Rows divided by their Euclidean norm, row by row: a row is summed, then read again from the cache.

constexpr float smallest_square = 1e-12F;

/// sum a b of one row: two running sums per lane, then the rest, then the lanes.
template <class A, class B>
TEMPERA_INLINE float row_product(A const* a, B const* b, int channels) {
    vf even = vzero();
    vf odd = vzero();
    int j = 0;
    for (; j + 2 * width <= channels; j += 2 * width) {
        even = vfma(vload(a + j), vload(b + j), even);
        odd = vfma(vload(a + j + width), vload(b + j + width), odd);
    }
    for (; j < channels; j += width) {
        int const n = channels - j < width ? channels - j : width;
        even = n == width ? vfma(vload(a + j), vload(b + j), even) : vfma(load<true>(a + j, n), load<true>(b + j, n), even);
    }
    return vsum(even + odd);
}

template <class T>
struct row_scale_pass {
    T const* x;
    T* y;
    vf factor;
};
template <bool Tail, class T>
TEMPERA_INLINE void step(row_scale_pass<T> const& k, std::int64_t i, std::int64_t, int n) {
    save<Tail>(k.y + i, k.factor * load<Tail>(k.x + i, n), n);
}
template <class T>
void l2_forward(T const* x, T* y, float* inverse_norm, std::int64_t rows, int channels) {
    for (std::int64_t r = 0; r < rows; ++r) {
        T const* const row = x + r * channels;
        float const square = row_product(row, row, channels);
        inverse_norm[r] = 1.0F / __builtin_sqrtf(square > smallest_square ? square : smallest_square);
        walk(row_scale_pass<T>{row, y + r * channels, vset(inverse_norm[r])}, channels);
    }
}

template <class T>
struct row_slope_pass {
    T const* y;
    T const* dy;
    T* dx;
    vf factor;
    vf along;
    bool accumulate;
};
template <bool Tail, class T>
TEMPERA_INLINE void step(row_slope_pass<T> const& k, std::int64_t i, std::int64_t, int n) {
    vf const across = load<Tail>(k.dy + i, n) - k.along * load<Tail>(k.y + i, n);
    put<Tail>(k.dx + i, k.factor * across, n, k.accumulate);
}
/// dx (+)= inverse_norm (dy - y (y . dy)); where the norm was too small to divide by, dx (+)= inverse_norm dy.
template <class T>
void l2_backward(T const* y, float const* inverse_norm, T const* dy, T* dx, std::int64_t rows, int channels,
                 bool accumulate) {
    float const largest = 1.0F / __builtin_sqrtf(smallest_square);
    for (std::int64_t r = 0; r < rows; ++r) {
        std::int64_t const at = r * channels;
        float const along = inverse_norm[r] < largest ? row_product(y + at, dy + at, channels) : 0.0F;
        walk(row_slope_pass<T>{y + at, dy + at, dx + at, vset(inverse_norm[r]), vset(along), accumulate}, channels);
    }
}

template <class T>
inline constexpr l2_normalize_kernels<T> l2_normalize_table{l2_forward<T>, l2_backward<T>};
