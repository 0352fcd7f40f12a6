// SPDX-License-Identifier: Apache-2.0
// Batch normalization over wide rows (see row_blocks.hpp): each function reads its arrays once, in order.
//
//   shift        mean of the first rows of a block: what its sums are taken relative to
//   moments      sum (x - shift), sum (x - shift)^2 for every column
//   normalize    y = act((x - mean) factor + offset + residual)
//   reduce       sum g, sum g (x - mean); writes g where asked
//   propagate    dx = g factor + (x - mean) slope + constant; dresidual = g

template <class T>
struct moments_pass {
    int wide;
    T const* x;
    float const* shift;
    float* first;
    float* second;
    std::ptrdiff_t ahead;
};
template <bool Tail, int Rows, class T>
TEMPERA_INLINE void step_rows(moments_pass<T> const& k, std::int64_t i, std::int64_t j, int n) {
    vf const shift = load<Tail>(k.shift + j, n);
    vf first = load<Tail>(k.first + j, n);
    vf second = load<Tail>(k.second + j, n);
#pragma GCC unroll 2
    for (int r = 0; r < Rows; ++r) {
        call(k.x + i + r * k.wide, k.ahead);
        vf const d = load<Tail>(k.x + i + r * k.wide, n) - shift;
        first = first + d;
        second = vfma(d, d, second);
    }
    save<Tail>(k.first + j, first, n);
    save<Tail>(k.second + j, second, n);
}

template <class T>
struct normalize_pass {
    int wide;
    T const* x;
    T const* residual;
    T* y;
    float const* mean;
    float const* factor;
    float const* offset;
    bool relu;
    bool stream;
    std::ptrdiff_t ahead;
};
template <bool Tail, int Rows, class T>
TEMPERA_INLINE void step_rows(normalize_pass<T> const& k, std::int64_t i, std::int64_t j, int n) {
    vf const mean = load<Tail>(k.mean + j, n);
    vf const factor = load<Tail>(k.factor + j, n);
    vf const offset = load<Tail>(k.offset + j, n);
#pragma GCC unroll 2
    for (int r = 0; r < Rows; ++r) {
        std::int64_t const at = i + r * k.wide;
        call(k.x + at, k.ahead);
        vf v = vfma(load<Tail>(k.x + at, n) - mean, factor, offset);
        if (k.residual != nullptr) {
            call(k.residual + at, k.ahead);
            v = v + load<Tail>(k.residual + at, n);
        }
        if (k.relu) v = vmax(vzero(), v);
        write<Tail>(k.y + at, v, n, k.stream);
    }
}

/// dy where the fused ReLU let the value through. y tells, or what normalize_pass applied the ReLU to.
template <bool Tail, class T>
TEMPERA_INLINE vf masked(batch_norm_passage<T> const& p, std::int64_t i, vf centered, vf factor, float const* offset,
                         int n) {
    call(p.dy + i, p.ahead);
    vf const g = load<Tail>(p.dy + i, n);
    if (p.by_x) return vpositive(vfma(centered, factor, load<Tail>(offset, n)), g, vzero());
    if (p.y == nullptr) return g;
    call(p.y + i, p.ahead);
    return vpositive(load<Tail>(p.y + i, n), g, vzero());
}

template <class T>
struct reduce_pass {
    int wide;
    batch_norm_passage<T> p;
    float const* mean;
    float const* factor;
    float const* offset;
    float* first;
    float* second;
};
template <bool Tail, int Rows, class T>
TEMPERA_INLINE void step_rows(reduce_pass<T> const& k, std::int64_t i, std::int64_t j, int n) {
    vf const mean = load<Tail>(k.mean + j, n);
    vf const factor = load<Tail>(k.factor + j, n);
    vf first = load<Tail>(k.first + j, n);
    vf second = load<Tail>(k.second + j, n);
#pragma GCC unroll 2
    for (int r = 0; r < Rows; ++r) {
        std::int64_t const at = i + r * k.wide;
        call(k.p.x + at, k.p.ahead);
        vf const centered = load<Tail>(k.p.x + at, n) - mean;
        vf const g = masked<Tail>(k.p, at, centered, factor, k.offset + j, n);
        if (k.p.dresidual != nullptr) write<Tail>(k.p.dresidual + at, g, n, k.p.stream);
        first = first + g;
        second = vfma(g, centered, second);
    }
    save<Tail>(k.first + j, first, n);
    save<Tail>(k.second + j, second, n);
}

template <class T>
struct propagate_pass {
    int wide;
    batch_norm_passage<T> p;
    float const* mean;
    float const* factor;
    float const* slope;
    float const* constant;
    float const* offset;
};
template <bool Tail, int Rows, class T>
TEMPERA_INLINE void step_rows(propagate_pass<T> const& k, std::int64_t i, std::int64_t j, int n) {
    vf const factor = load<Tail>(k.factor + j, n);
    vf const mean = load<Tail>(k.mean + j, n);
    vf const slope = load<Tail>(k.slope + j, n);
    vf const constant = load<Tail>(k.constant + j, n);
#pragma GCC unroll 2
    for (int r = 0; r < Rows; ++r) {
        std::int64_t const at = i + r * k.wide;
        if (k.p.x != nullptr) call(k.p.x + at, k.p.ahead);
        vf const centered = k.p.x != nullptr ? load<Tail>(k.p.x + at, n) - mean : vzero();
        vf const g = masked<Tail>(k.p, at, centered, factor, k.offset + j, n);
        if (k.p.dx != nullptr) {
            vf v = g * factor;
            if (k.p.batch_statistics) v = v + vfma(centered, slope, constant);
            if (k.p.accumulate_dx) v = v + load<Tail>(k.p.dx + at, n);
            write<Tail>(k.p.dx + at, v, n, k.p.stream);
        }
        if (k.p.dresidual != nullptr) put<Tail>(k.p.dresidual + at, g, n, k.p.accumulate_dresidual);
    }
}

// Merges of block sums, in double, in the order of the blocks.
typedef double vd __attribute__((vector_size(8 * TEMPERA_VECTOR_FLOATS)));

/// mean and variance of channels [begin, end) from {shift, sum d, sum d^2} of every block, d = x - shift.
/// All blocks have `rows` rows, the last one `last_rows`.
static inline void batch_norm_merge(float const* partial, std::int64_t blocks, std::int64_t channels, double rows,
                                    double last_rows, int begin, int end, float* mean, float* variance) {
    double const total = rows * static_cast<double>(blocks - 1) + last_rows;
    for (int j = begin; j < end; j += width) {
        int const n = end - j < width ? end - j : width;
        vd sum{};
        for (std::int64_t b = 0; b < blocks; ++b) {
            float const* const p = partial + 3 * b * channels + j;
            sum += __builtin_convertvector(load<true>(p, n), vd) * (b + 1 < blocks ? rows : last_rows) +
                   __builtin_convertvector(load<true>(p + channels, n), vd);
        }
        vd const m = sum / total;
        vd squares{};  // sum (x - m)^2 from sums relative to the shift
        for (std::int64_t b = 0; b < blocks; ++b) {
            float const* const p = partial + 3 * b * channels + j;
            vd const d = m - __builtin_convertvector(load<true>(p, n), vd);
            squares += __builtin_convertvector(load<true>(p + 2 * channels, n), vd) -
                       2.0 * d * __builtin_convertvector(load<true>(p + channels, n), vd) +
                       d * d * (b + 1 < blocks ? rows : last_rows);
        }
        save<true>(mean + j, __builtin_convertvector(m, vf), n);
        save<true>(variance + j, vmax(__builtin_convertvector(squares / total, vf), vzero()), n);
    }
}

/// Column sums of `rows` rows, `pitch` elements apart.
static inline void add_columns(float const* partial, std::int64_t rows, std::int64_t pitch, int begin, int end,
                               float* sums) {
    for (int j = begin; j < end; j += width) {
        int const n = end - j < width ? end - j : width;
        vd sum{};
        for (std::int64_t r = 0; r < rows; ++r)
            sum += __builtin_convertvector(load<true>(partial + r * pitch + j, n), vd);
        save<true>(sums + j, __builtin_convertvector(sum, vf), n);
    }
}

/// Parameter gradients of channels [begin, end), and slope and constant of the second pass, from the sums of blocks.
static inline void batch_norm_finish(float const* partial, std::int64_t blocks, int channels, int wide, double rows,
                                     float const* variance, float epsilon, int begin, int end, float* coefficients,
                                     float* dscale, float* doffset, bool accumulate) {
    float* const slope = coefficients + 2 * wide;
    float* const constant = coefficients + 3 * wide;
    add_columns(partial, blocks, 2 * channels, begin, end, constant);
    add_columns(partial + channels, blocks, 2 * channels, begin, end, slope);
    vf const share = vset(static_cast<float>(-1.0 / rows));
    for (int j = begin; j < end; j += width) {
        int const n = end - j < width ? end - j : width;
        vf const inverse = vrsqrt(load<true>(variance + j, n) + vset(epsilon));
        vf const sum = load<true>(constant + j, n);
        vf const product = inverse * load<true>(slope + j, n);
        vf const factor = load<true>(coefficients + wide + j, n) * share;
        save<true>(slope + j, factor * (product * inverse), n);
        save<true>(constant + j, factor * sum, n);
        if (dscale != nullptr) put<true>(dscale + j, product, n, accumulate);
        if (doffset != nullptr) put<true>(doffset + j, sum, n, accumulate);
    }
}

// factor = scale / sqrt(variance + epsilon), and copies of mean and offset
static inline void batch_norm_coefficients(float const* mean, float const* variance, float const* scale,
                                           float const* offset, float epsilon, int channels, int wide, float* out) {
    for (int j = 0; j < channels; j += width) {
        int const n = channels - j < width ? channels - j : width;
        vf const factor = vrsqrt(load<true>(variance + j, n) + vset(epsilon));
        save<true>(out + j, load<true>(mean + j, n), n);
        save<true>(out + wide + j, scale == nullptr ? factor : factor * load<true>(scale + j, n), n);
        save<true>(out + 2 * wide + j, offset == nullptr ? vzero() : load<true>(offset + j, n), n);
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
            for (std::int64_t r = 0; r < rows; ++r) sum = sum + load<true>(x + r * channels + j, n);
            save<true>(shift + j, sum * share, n);
        }
    }
}
template <class T>
void batch_norm_moments(T const* x, std::int64_t count, int wide, float const* shift, float* first, float* second,
                        std::ptrdiff_t ahead) {
    walk_rows(moments_pass<T>{wide, x, shift, first, second, ahead}, count);
}
template <class T>
void batch_norm_normalize(T const* x, T const* residual, T* y, std::int64_t count, int wide, float const* coefficients,
                          bool relu, bool stream, std::ptrdiff_t ahead) {
    walk_rows(normalize_pass<T>{wide, x, residual, y, coefficients, coefficients + wide, coefficients + 2 * wide, relu,
                                stream, ahead},
              count);
    if (stream) vsettle();
}
template <class T>
void batch_norm_reduce(batch_norm_passage<T> const& p, std::int64_t count, int wide, float const* coefficients,
                       float* first, float* second) {
    walk_rows(reduce_pass<T>{wide, p, coefficients, coefficients + wide, coefficients + 4 * wide, first, second},
              count);
    if (p.stream) vsettle();
}
template <class T>
void batch_norm_propagate(batch_norm_passage<T> const& p, std::int64_t count, int wide, float const* coefficients) {
    walk_rows(propagate_pass<T>{wide, p, coefficients, coefficients + wide, coefficients + 2 * wide,
                                coefficients + 3 * wide, coefficients + 4 * wide},
              count);
    if (p.stream) vsettle();
}

template <class T>
inline constexpr batch_norm_kernels<T> batch_norm_table{
    batch_norm_coefficients, batch_norm_shift<T>,  batch_norm_moments<T>, batch_norm_merge,
    batch_norm_normalize<T>, add_columns,          batch_norm_reduce<T>,  batch_norm_finish,
    batch_norm_propagate<T>};
