// SPDX-License-Identifier: Apache-2.0
// Selective kernels that normalize their branches as they read them (formulas: device/normalized_branches.hpp), over rows
// of one sample: element j of a row of x belongs to the first branch, j + filters to the second.
//
//   deviations   sums += m, m (x - mean)                    for every channel
//   average      gain deviation + offset count of both branches, divided by the positions
//   merge        y = a0 z0 + a1 z1
//   products     sums += m dy, m dy (x - mean)              for every channel
//   difference   what the softmax multiplies to the gradient of the logits
//   mix          a slope + ds count, a product + ds deviation
//   gradient     dx = gain (m (a dy + ds)) + (x - mean) slope + constant
//
// A kernel is a struct k and a function step<Tail>(k, row, rows, j, n): columns j .. of some rows, of both branches.
// Rows go in groups of 8, so that what belongs to a column is loaded once for them and their lines stay in the first cache.

template <class Kernel>
TEMPERA_INLINE void walk_groups(Kernel const& k, std::int64_t rows, int filters) {
    for (std::int64_t row = 0; row < rows; row += 8) {
        int const group = rows - row < 8 ? static_cast<int>(rows - row) : 8;
        int j = 0;
        for (; j + width <= filters; j += width) step<false>(k, row, group, j, width);
        if (j < filters) step<true>(k, row, group, j, filters - j);
    }
}

/// What is known of one channel.
struct branch_norm {
    vf mean, gain, offset;
};
TEMPERA_INLINE vf normalized(branch_norm const& norm, vf centered) { return vfma(centered, norm.gain, norm.offset); }
template <bool Tail, class T>
TEMPERA_INLINE branch_norm norm_at(branch_rows<T> const& b, int c, int n) {
    return {load<Tail>(b.mean + c, n), load<Tail>(b.gain + c, n), load<Tail>(b.offset + c, n)};
}

/// sums += m d and m d (x - mean) for every channel, with d = dy, or 1.
template <bool Of_dy, class T>
struct branch_sums_pass {
    branch_rows<T> b;
    T const* dy;
    float* first;
    float* second;
};
template <bool Tail, bool Of_dy, class T>
TEMPERA_INLINE void step(branch_sums_pass<Of_dy, T> const& k, std::int64_t row, int rows, int j, int n) {
    for (int c = j; c < 2 * k.b.filters; c += k.b.filters) {
        branch_norm const norm = norm_at<Tail>(k.b, c, n);
        vf first = load<Tail>(k.first + c, n);
        vf second = load<Tail>(k.second + c, n);
        vf d = vset(1.0F);
        for (int r = 0; r < rows; ++r) {
            T const* const x = k.b.x + (row + r) * 2 * k.b.filters + c;
            call(x, k.b.ahead);
            if constexpr (Of_dy) {
                T const* const dy = k.dy + (row + r) * k.b.filters + j;
                if (c == j) call(dy, k.b.ahead / 2);
                d = load<Tail>(dy, n);
            }
            vf const centered = load<Tail>(x, n) - norm.mean;
            vf const g = vpositive(normalized(norm, centered), d, vzero());
            first = first + g;
            second = vfma(g, centered, second);
        }
        save<Tail>(k.first + c, first, n);
        save<Tail>(k.second + c, second, n);
    }
}
template <class T>
void branch_deviations(branch_rows<T> const& b, float* sums) {
    walk_groups(branch_sums_pass<false, T>{b, nullptr, sums, sums + 2 * b.filters}, b.rows, b.filters);
}
template <class T>
void branch_products(branch_rows<T> const& b, T const* dy, float* sums) {
    walk_groups(branch_sums_pass<true, T>{b, dy, sums, sums + 2 * b.filters}, b.rows, b.filters);
}

template <class T>
void branch_average(branch_rows<T> const& b, float const* count, float const* deviation, std::int64_t positions,
                    float* average) {
    int const f = b.filters;
    vf const share = vset(1.0F / static_cast<float>(positions));
    for (int j = 0; j < f; j += width) {
        int const n = f - j < width ? f - j : width;
        vf sum = vzero();
        for (int c = j; c < 2 * f; c += f)
            sum = vfma(load<true>(b.gain + c, n), load<true>(deviation + c, n),
                       vfma(load<true>(b.offset + c, n), load<true>(count + c, n), sum));
        save<true>(average + j, sum * share, n);
    }
}

template <class T>
struct normalized_merge_pass {
    branch_rows<T> b;
    float const* weights;
    T* y;
};
template <bool Tail, class T>
TEMPERA_INLINE void step(normalized_merge_pass<T> const& k, std::int64_t row, int rows, int j, int n) {
    int const f = k.b.filters;
    branch_norm const first = norm_at<Tail>(k.b, j, n);
    branch_norm const second = norm_at<Tail>(k.b, j + f, n);
    vf const a0 = load<Tail>(k.weights + j, n);
    vf const a1 = load<Tail>(k.weights + j + f, n);
    for (int r = 0; r < rows; ++r) {
        T const* const x = k.b.x + (row + r) * 2 * f + j;
        call(x, k.b.ahead);
        call(x + f, k.b.ahead);
        vf const z0 = vmax(vzero(), normalized(first, load<Tail>(x, n) - first.mean));
        vf const z1 = vmax(vzero(), normalized(second, load<Tail>(x + f, n) - second.mean));
        save<Tail>(k.y + (row + r) * f + j, vfma(a0, z0, a1 * z1), n);
    }
}
template <class T>
void branch_merge(branch_rows<T> const& b, float const* weights, T* y) {
    walk_groups(normalized_merge_pass<T>{b, weights, y}, b.rows, b.filters);
}

template <class T>
void branch_difference(branch_rows<T> const& b, float const* slope, float const* product, float* difference) {
    int const f = b.filters;
    for (int j = 0; j < f; j += width) {
        int const n = f - j < width ? f - j : width;
        vf const first = vfma(load<true>(b.gain + j, n), load<true>(product + j, n),
                              load<true>(b.offset + j, n) * load<true>(slope + j, n));
        vf const second = vfma(load<true>(b.gain + f + j, n), load<true>(product + f + j, n),
                               load<true>(b.offset + f + j, n) * load<true>(slope + f + j, n));
        save<true>(difference + j, first - second, n);
    }
}

/// sums, mixed: {count, deviation, slope, product} and {sum g, sum g (x - mean)} of one sample, 2 filters each.
static inline void branch_mix(float const* weights, float const* share, float const* const* sums, int filters,
                              float* mixed) {
    int const all = 2 * filters;
    for (int begin = 0; begin < all; begin += filters)
        for (int j = 0; j < filters; j += width) {
            int const c = begin + j, n = filters - j < width ? filters - j : width;
            vf const a = load<true>(weights + c, n), ds = load<true>(share + j, n);
            for (int k = 0; k < 2; ++k)
                save<true>(mixed + k * all + c,
                           vfma(a, load<true>(sums[2 + k] + c, n), ds * load<true>(sums[k] + c, n)), n);
        }
}

template <class T>
struct branch_gradient_pass {
    branch_rows<T> b;
    branch_slopes s;
    T const* dy;
    T* dx;
    bool accumulate;
    bool stream;
};
template <bool Tail, class T>
TEMPERA_INLINE void step(branch_gradient_pass<T> const& k, std::int64_t row, int rows, int j, int n) {
    vf const share = load<Tail>(k.s.share + j, n);
    for (int c = j; c < 2 * k.b.filters; c += k.b.filters) {
        branch_norm const norm = norm_at<Tail>(k.b, c, n);
        vf const a = load<Tail>(k.s.weights + c, n);
        vf const slope = load<Tail>(k.s.slope + c, n);
        vf const constant = load<Tail>(k.s.constant + c, n);
        for (int r = 0; r < rows; ++r) {
            std::int64_t const at = (row + r) * 2 * k.b.filters + c;
            T const* const dy = k.dy + (row + r) * k.b.filters + j;
            call(k.b.x + at, k.b.ahead);
            if (c == j) call(dy, k.b.ahead / 2);
            vf const centered = load<Tail>(k.b.x + at, n) - norm.mean;
            vf const g =
                vpositive(normalized(norm, centered), vfma(a, load<Tail>(dy, n), share), vzero());
            vf v = vfma(g, norm.gain, vfma(centered, slope, constant));
            if (k.accumulate) v = v + load<Tail>(k.dx + at, n);
            write<Tail>(k.dx + at, v, n, k.stream);
        }
    }
}
template <class T>
void branch_gradient(branch_rows<T> const& b, branch_slopes const& s, T const* dy, T* dx, bool accumulate, bool stream) {
    walk_groups(branch_gradient_pass<T>{b, s, dy, dx, accumulate, stream}, b.rows, b.filters);
    if (stream) vsettle();
}

template <class T>
inline constexpr normalized_branches_kernels<T> normalized_branches_table{
    branch_deviations<T>, branch_average<T>,    branch_merge<T>, branch_products<T>,
    branch_difference<T>, branch_mix,           branch_gradient<T>};
