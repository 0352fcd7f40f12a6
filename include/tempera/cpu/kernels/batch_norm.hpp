// SPDX-License-Identifier: Apache-2.0
// Batch normalisation over wide rows (see row_blocks.hpp): each function reads its arrays once, in order.
//
//   shift        mean of the first rows of a block: what its sums are taken relative to
//   moments      sum (x - shift), sum (x - shift)^2 for every column
//   normalise    y = act((x - mean) factor + offset + residual)
//   reduce       sum g, sum g (x - mean); writes g where asked
//   propagate    dx = g factor + (x - mean) slope + constant; dresidual = g

template <class T>
struct moments_pass {
    T const* x;
    float const* shift;
    float* first;
    float* second;
};
template <bool Tail, class T>
TEMPERA_INLINE void step(moments_pass<T> const& k, std::int64_t i, std::int64_t j, int n) {
    vf const d = load<Tail>(k.x + i, n) - load<Tail>(k.shift + j, n);
    save<Tail>(k.first + j, load<Tail>(k.first + j, n) + d, n);
    save<Tail>(k.second + j, vfma(d, d, load<Tail>(k.second + j, n)), n);
}

template <class T>
struct normalise_pass {
    T const* x;
    T const* residual;
    T* y;
    float const* mean;
    float const* factor;
    float const* offset;
    bool relu;
};
template <bool Tail, class T>
TEMPERA_INLINE void step(normalise_pass<T> const& k, std::int64_t i, std::int64_t j, int n) {
    vf v = vfma(load<Tail>(k.x + i, n) - load<Tail>(k.mean + j, n), load<Tail>(k.factor + j, n),
                load<Tail>(k.offset + j, n));
    if (k.residual != nullptr) v = v + load<Tail>(k.residual + i, n);
    if (k.relu) v = vmax(vzero(), v);
    save<Tail>(k.y + i, v, n);
}

/// dy where the fused ReLU let the value through.
template <bool Tail, class T>
TEMPERA_INLINE vf masked(T const* y, T const* dy, std::int64_t i, int n) {
    vf const g = load<Tail>(dy + i, n);
    return y == nullptr ? g : vpositive(load<Tail>(y + i, n), g, vzero());
}

template <class T>
struct reduce_pass {
    T const* x;
    T const* y;
    T const* dy;
    T* dresidual;
    float const* mean;
    float* first;
    float* second;
};
template <bool Tail, class T>
TEMPERA_INLINE void step(reduce_pass<T> const& k, std::int64_t i, std::int64_t j, int n) {
    vf const g = masked<Tail>(k.y, k.dy, i, n);
    vf const d = load<Tail>(k.x + i, n) - load<Tail>(k.mean + j, n);
    if (k.dresidual != nullptr) save<Tail>(k.dresidual + i, g, n);
    save<Tail>(k.first + j, load<Tail>(k.first + j, n) + g, n);
    save<Tail>(k.second + j, vfma(g, d, load<Tail>(k.second + j, n)), n);
}

template <class T>
struct propagate_pass {
    batch_norm_passage<T> p;
    float const* mean;
    float const* factor;
    float const* slope;
    float const* constant;
};
template <bool Tail, class T>
TEMPERA_INLINE void step(propagate_pass<T> const& k, std::int64_t i, std::int64_t j, int n) {
    vf const g = masked<Tail>(k.p.y, k.p.dy, i, n);
    if (k.p.dx != nullptr) {
        vf v = g * load<Tail>(k.factor + j, n);
        if (k.p.x != nullptr) {
            vf const d = load<Tail>(k.p.x + i, n) - load<Tail>(k.mean + j, n);
            v = v + vfma(d, load<Tail>(k.slope + j, n), load<Tail>(k.constant + j, n));
        }
        put<Tail>(k.p.dx + i, v, n, k.p.accumulate_dx);
    }
    if (k.p.dresidual != nullptr) put<Tail>(k.p.dresidual + i, g, n, k.p.accumulate_dresidual);
}

// factor = scale / sqrt(variance + epsilon), and copies of mean and offset
static inline void batch_norm_coefficients(float const* mean, float const* variance, float const* scale,
                                           float const* offset, float epsilon, int channels, int wide, float* out) {
    for (int j = 0; j < channels; j += width) {
        int const n = channels - j < width ? channels - j : width;
        vf const factor = vrsqrt(vload_n(variance + j, n) + vset(epsilon));
        vstore_n(out + j, vload_n(mean + j, n), n);
        vstore_n(out + wide + j, scale == nullptr ? factor : factor * vload_n(scale + j, n), n);
        vstore_n(out + 2 * wide + j, offset == nullptr ? vzero() : vload_n(offset + j, n), n);
    }
}

template <class T>
void batch_norm_shift(T const* x, std::int64_t rows, int channels, float* shift) {
    vf const share = vset(1.0F / static_cast<float>(rows));
    for (int j = 0; j < channels; j += width) {
        int const n = channels - j < width ? channels - j : width;
        vf sum = vzero();
        if (n == width) {
            for (std::int64_t r = 0; r < rows; ++r) sum = sum + vload(x + r * channels + j);
            vstore(shift + j, sum * share);
        } else {
            for (std::int64_t r = 0; r < rows; ++r) sum = sum + vload_n(x + r * channels + j, n);
            vstore_n(shift + j, sum * share, n);
        }
    }
}
template <class T>
void batch_norm_moments(T const* x, std::int64_t count, int wide, float const* shift, float* first, float* second) {
    walk(moments_pass<T>{x, shift, first, second}, count, wide);
}
template <class T>
void batch_norm_normalise(T const* x, T const* residual, T* y, std::int64_t count, int wide, float const* coefficients,
                          bool relu) {
    walk(normalise_pass<T>{x, residual, y, coefficients, coefficients + wide, coefficients + 2 * wide, relu}, count, wide);
}
template <class T>
void batch_norm_reduce(T const* x, T const* y, T const* dy, T* dresidual, std::int64_t count, int wide,
                       float const* mean, float* first, float* second) {
    walk(reduce_pass<T>{x, y, dy, dresidual, mean, first, second}, count, wide);
}
template <class T>
void batch_norm_propagate(batch_norm_passage<T> const& p, std::int64_t count, int wide, float const* coefficients) {
    walk(propagate_pass<T>{p, coefficients, coefficients + wide, coefficients + 2 * wide, coefficients + 3 * wide}, count,
         wide);
}

template <class T>
inline constexpr batch_norm_kernels<T> batch_norm_table{batch_norm_coefficients, batch_norm_shift<T>, batch_norm_moments<T>,
                                                        batch_norm_normalise<T>, batch_norm_reduce<T>,
                                                        batch_norm_propagate<T>};
