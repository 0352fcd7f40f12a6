// SPDX-License-Identifier: Apache-2.0
// The selective merge of one sample, row by row: element i of y lies at 2 i - j and 2 i - j + filters of x, j being
// its channel.
//
//   weights    a0 = 1 / (1 + exp(l1 - l0)), a1 = 1 / (1 + exp(l0 - l1))
//   merge      y = a0 x0 + a1 x1
//   split      dx0 (+)= a0 dy, dx1 (+)= a1 dy, sums += dy (x0 - x1)
//   slopes     dl0 (+)= sums a0 a1, dl1 (+)= -sums a0 a1

static inline void selective_weights(float const* logits, int filters, float* a0, float* a1) {
    vf const one = vset(1.0F);
    for (int j = 0; j < filters; j += width) {
        int const n = filters - j < width ? filters - j : width;
        vf const d = load<true>(logits + filters + j, n) - load<true>(logits + j, n);
        save<true>(a0 + j, one / (one + vexp(d)), n);
        save<true>(a1 + j, one / (one + vexp(-d)), n);
    }
}

static inline void selective_slopes(float const* logits, int filters, float const* sums, float* dlogits,
                                    bool accumulate) {
    vf const one = vset(1.0F);
    for (int j = 0; j < filters; j += width) {
        int const n = filters - j < width ? filters - j : width;
        vf const d = load<true>(logits + filters + j, n) - load<true>(logits + j, n);
        vf const slope = load<true>(sums + j, n) / ((one + vexp(d)) * (one + vexp(-d)));
        put<true>(dlogits + j, slope, n, accumulate);
        put<true>(dlogits + filters + j, -slope, n, accumulate);
    }
}

template <class T>
struct merge_pass {
    T const* x;
    T* y;
    float const* a0;
    float const* a1;
    int filters;
};
template <bool Tail, class T>
TEMPERA_INLINE void step(merge_pass<T> const& k, std::int64_t i, std::int64_t j, int n) {
    T const* const x = k.x + 2 * i - j;
    fetch_ahead(x, 4 * k.filters);
    fetch_ahead(x + k.filters, 4 * k.filters);
    save<Tail>(k.y + i,
               vfma(load<Tail>(k.a0 + j, n), load<Tail>(x, n), load<Tail>(k.a1 + j, n) * load<Tail>(x + k.filters, n)), n);
}
template <class T>
void selective_merge(T const* x, T* y, std::int64_t count, int filters, float const* a0, float const* a1) {
    walk(merge_pass<T>{x, y, a0, a1, filters}, count, filters);
}

template <class T>
struct split_pass {
    int filters;
    T const* x;
    T const* dy;
    T* dx;
    float const* a0;
    float const* a1;
    float* sums;
    bool accumulate;
};
template <bool Tail, class T>
TEMPERA_INLINE void step(split_pass<T> const& k, std::int64_t i, std::int64_t j, int n) {
    std::int64_t const at = 2 * i - j;
    vf const g = load<Tail>(k.dy + i, n);
    if (k.sums != nullptr) {
        vf const d = load<Tail>(k.x + at, n) - load<Tail>(k.x + at + k.filters, n);
        save<Tail>(k.sums + j, vfma(g, d, load<Tail>(k.sums + j, n)), n);
    }
    if (k.dx != nullptr) {
        put<Tail>(k.dx + at, g * load<Tail>(k.a0 + j, n), n, k.accumulate);
        put<Tail>(k.dx + at + k.filters, g * load<Tail>(k.a1 + j, n), n, k.accumulate);
    }
}
template <class T>
void selective_split(T const* x, T const* dy, T* dx, std::int64_t count, int filters, float const* a0, float const* a1,
                     float* sums, bool accumulate) {
    walk(split_pass<T>{filters, x, dy, dx, a0, a1, sums, accumulate}, count, filters);
}

template <class T>
inline constexpr selective_kernels<T> selective_table{selective_weights, selective_slopes, selective_merge<T>,
                                                      selective_split<T>};
