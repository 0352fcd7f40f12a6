// SPDX-License-Identifier: Apache-2.0
// Walks over arrays. A kernel is a struct of pointers k and a function
//
//   step<Tail>(k, i, j, n)    handles `width` elements, or n of them where Tail, at element i of the arrays and
//                             element j of the coefficients
//
//   walk(k, count)            i = j, all elements
//   walk(k, count, wide)      coefficients begin again every `wide` elements: a row, or several rows laid end to end
//
// A kernel with sums per column has step_rows<Tail, Rows>(k, i, j, n) instead: the same for Rows rows k.wide elements
// apart. walk_rows(k, count) takes two rows at once where they are so wide that columns and sums would fall out of
// the first cache between two rows; short rows go one by one, since the hardware prefetches one stream best.
//
// A kernel that works through a window has step_block<Tail, Vectors>(k, i, n): `Vectors` vectors from element i on, so
// that the loops over the window turn once for four of them. walk_blocks(k, count) walks it.
//
// load<Tail>, save<Tail>: vload / vstore, or vload_n / vstore_n where Tail (n = width is allowed).
// put<Tail>(p, v, n, accumulate): p = v or p += v.
// write<Tail>(p, v, n, stream): save, or past the caches (see past_caches.hpp).
// fetch_ahead(p, count): asks for what lies count elements after p, which need not exist. For arrays read as several
// short streams, which the hardware does not follow.
// call(p, ahead): asks the second-level cache for what lies so many elements after p, which need not exist. For maps that come
// from memory, which the hardware alone fetches later (see past_caches.hpp).

// Where a part of a vector takes a loop it is a function of its own: tails are rare, and inlining them would double
// the code of every kernel.
template <class T>
__attribute__((noinline)) vf load_part(T const* p, int n) {
    return n == width ? vload(p) : vload_n(p, n);
}
template <class T>
__attribute__((noinline)) void save_part(T* p, vf v, int n) {
    if (n == width) vstore(p, v);
    else vstore_n(p, v, n);
}
template <class T>
constexpr bool masks_in_hardware = TEMPERA_TARGET == 3 || (TEMPERA_TARGET == 2 && sizeof(T) == 4);

template <bool Tail, class T>
TEMPERA_INLINE vf load(T const* p, int n) {
    if constexpr (!Tail) return vload(p);
    else if constexpr (masks_in_hardware<T>) return vload_n(p, n);
    else return load_part(p, n);
}
template <bool Tail, class T>
TEMPERA_INLINE void save(T* p, vf v, int n) {
    if constexpr (!Tail) vstore(p, v);
    else if constexpr (masks_in_hardware<T>) vstore_n(p, v, n);
    else save_part(p, v, n);
}
template <bool Tail, class T>
TEMPERA_INLINE void put(T* p, vf v, int n, bool accumulate) {
    if (accumulate) v = v + load<Tail>(p, n);
    save<Tail>(p, v, n);
}

template <bool Tail, class T>
TEMPERA_INLINE void write(T* p, vf v, int n, bool stream) {
    if (!Tail && stream) vstream(p, v);
    else save<Tail>(p, v, n);
}

template <class T>
TEMPERA_INLINE void fetch_ahead(T const* p, std::int64_t count) {
    __builtin_prefetch(reinterpret_cast<char const*>(p) + count * static_cast<int>(sizeof(T)));
}

template <class T>
TEMPERA_INLINE void call(T const* p, std::ptrdiff_t ahead) {
    __builtin_prefetch(reinterpret_cast<char const*>(p) + ahead * static_cast<int>(sizeof(T)), 0, 2);
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

template <class Kernel>
TEMPERA_INLINE void walk_rows(Kernel const& k, std::int64_t count) {
    std::int64_t const wide = k.wide;
    for (std::int64_t row = 0; row < count;) {
        std::int64_t const left = count - row;
        int const rows = wide >= 1024 && left >= 2 * wide ? 2 : 1;
        std::int64_t const length = left < wide ? left : wide;
        std::int64_t j = 0;
        if (rows == 2) {
            for (; j + width <= length; j += width) step_rows<false, 2>(k, row + j, j, width);
        } else {
            for (; j + width <= length; j += width) step_rows<false, 1>(k, row + j, j, width);
        }
        int const rest = static_cast<int>(length - j);
        for (int r = 0; r < rows && rest > 0; ++r) step_rows<true, 1>(k, row + r * wide + j, j, rest);
        row += rows * wide;
    }
}

template <class Kernel>
TEMPERA_INLINE void walk_blocks(Kernel const& k, std::int64_t count) {
    std::int64_t i = 0;
    for (; i + 4 * width <= count; i += 4 * width) step_block<false, 4>(k, i, width);
    for (; i < count; i += width) step_block<true, 1>(k, i, static_cast<int>(count - i < width ? count - i : width));
}
