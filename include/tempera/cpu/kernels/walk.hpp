// SPDX-License-Identifier: Apache-2.0
// Walks over arrays. A kernel is a struct of pointers k and a function
//
//   step<Tail>(k, i, j, n)    handles `width` elements, or n of them where Tail, at element i of the arrays and
//                             element j of the coefficients
//
//   walk(k, count)            i = j, all elements
//   walk(k, count, wide)      coefficients begin again every `wide` elements: a row, or several rows laid end to end
//
// load<Tail>, save<Tail>: vload / vstore, or vload_n / vstore_n where Tail.
// put<Tail>(p, v, n, accumulate): p = v or p += v.

template <bool Tail, class T>
TEMPERA_INLINE vf load(T const* p, int n) {
    if constexpr (Tail) return vload_n(p, n);
    else return vload(p);
}
template <bool Tail, class T>
TEMPERA_INLINE void save(T* p, vf v, int n) {
    if constexpr (Tail) vstore_n(p, v, n);
    else vstore(p, v);
}
template <bool Tail, class T>
TEMPERA_INLINE void put(T* p, vf v, int n, bool accumulate) {
    if (accumulate) v = v + load<Tail>(p, n);
    save<Tail>(p, v, n);
}

template <class Kernel>
TEMPERA_INLINE void walk(Kernel const& k, std::int64_t count) {
    std::int64_t i = 0;
    for (; i + width <= count; i += width) step<false>(k, i, i, width);
    if (i < count) step<true>(k, i, i, static_cast<int>(count - i));
}

template <class Kernel>
TEMPERA_INLINE void walk(Kernel const& k, std::int64_t count, int wide) {
    for (std::int64_t row = 0; row < count; row += wide) {
        std::int64_t const length = count - row < wide ? count - row : wide;
        std::int64_t j = 0;
        for (; j + width <= length; j += width) step<false>(k, row + j, j, width);
        if (j < length) step<true>(k, row + j, j, static_cast<int>(length - j));
    }
}
