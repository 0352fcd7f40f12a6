// SPDX-License-Identifier: Apache-2.0
// Element by element functions, each one walk over its arrays. See device/pointwise.hpp for the formulas.

template <class T>
struct unary_pass {
    T const* x;
    T* y;
};
template <class T>
struct relu_pass : unary_pass<T> {};
template <bool Tail, class T>
TEMPERA_INLINE void step(relu_pass<T> const& k, std::int64_t i, std::int64_t, int n) {
    save<Tail>(k.y + i, vmax(vzero(), load<Tail>(k.x + i, n)), n);
}
template <class T>
void relu_forward(T const* x, T* y, std::int64_t count) {
    walk(relu_pass<T>{{x, y}}, count);
}

template <class T>
struct sigmoid_pass : unary_pass<T> {};
template <bool Tail, class T>
TEMPERA_INLINE void step(sigmoid_pass<T> const& k, std::int64_t i, std::int64_t, int n) {
    vf const one = vset(1.0F);
    save<Tail>(k.y + i, one / (one + vexp(-load<Tail>(k.x + i, n))), n);
}
template <class T>
void sigmoid_forward(T const* x, T* y, std::int64_t count) {
    walk(sigmoid_pass<T>{{x, y}}, count);
}

template <class T>
struct binary_pass {
    T const* a;
    T const* b;
    T* y;
    bool accumulate;
};
template <class T>
struct add_pass : binary_pass<T> {};
template <bool Tail, class T>
TEMPERA_INLINE void step(add_pass<T> const& k, std::int64_t i, std::int64_t, int n) {
    save<Tail>(k.y + i, load<Tail>(k.a + i, n) + load<Tail>(k.b + i, n), n);
}
template <class T>
void add_forward(T const* a, T const* b, T* y, std::int64_t count) {
    walk(add_pass<T>{{a, b, y, false}}, count);
}

template <class T>
struct multiply_pass : binary_pass<T> {};
template <bool Tail, class T>
TEMPERA_INLINE void step(multiply_pass<T> const& k, std::int64_t i, std::int64_t, int n) {
    put<Tail>(k.y + i, load<Tail>(k.a + i, n) * load<Tail>(k.b + i, n), n, k.accumulate);
}
template <class T>
void multiply(T const* a, T const* b, T* y, std::int64_t count, bool accumulate) {
    walk(multiply_pass<T>{{a, b, y, accumulate}}, count);
}

// The two below read a = y, the forward result, and b = dy.
template <class T>
struct relu_slope_pass : binary_pass<T> {};
template <bool Tail, class T>
TEMPERA_INLINE void step(relu_slope_pass<T> const& k, std::int64_t i, std::int64_t, int n) {
    put<Tail>(k.y + i, vpositive(load<Tail>(k.a + i, n), load<Tail>(k.b + i, n), vzero()), n, k.accumulate);
}
template <class T>
void relu_backward(T const* y, T const* dy, T* dx, std::int64_t count, bool accumulate) {
    walk(relu_slope_pass<T>{{y, dy, dx, accumulate}}, count);
}

template <class T>
struct sigmoid_slope_pass : binary_pass<T> {};
template <bool Tail, class T>
TEMPERA_INLINE void step(sigmoid_slope_pass<T> const& k, std::int64_t i, std::int64_t, int n) {
    vf const y = load<Tail>(k.a + i, n);
    put<Tail>(k.y + i, load<Tail>(k.b + i, n) * (y * (vset(1.0F) - y)), n, k.accumulate);
}
template <class T>
void sigmoid_backward(T const* y, T const* dy, T* dx, std::int64_t count, bool accumulate) {
    walk(sigmoid_slope_pass<T>{{y, dy, dx, accumulate}}, count);
}

template <class From, class To>
struct copy_pass {
    From const* x;
    To* y;
    bool accumulate;
};
template <bool Tail, class From, class To>
TEMPERA_INLINE void step(copy_pass<From, To> const& k, std::int64_t i, std::int64_t, int n) {
    put<Tail>(k.y + i, load<Tail>(k.x + i, n), n, k.accumulate);
}
template <class From, class To>
void copy_elements(From const* x, To* y, std::int64_t count, bool accumulate) {
    walk(copy_pass<From, To>{x, y, accumulate}, count);
}

/// `rows` pieces of `count` elements, x_stride and y_stride elements apart.
template <class T>
void copy_pieces(T const* x, T* y, std::int64_t rows, int count, std::int64_t x_stride, std::int64_t y_stride,
                 bool accumulate) {
    for (std::int64_t r = 0; r < rows; ++r)
        walk(copy_pass<T, T>{x + r * x_stride, y + r * y_stride, accumulate}, count);
}

template <class T>
struct fill_pass {
    T* y;
    vf value;
};
template <bool Tail, class T>
TEMPERA_INLINE void step(fill_pass<T> const& k, std::int64_t i, std::int64_t, int n) {
    save<Tail>(k.y + i, k.value, n);
}
template <class T>
void fill(T* y, float value, std::int64_t count) {
    walk(fill_pass<T>{y, vset(value)}, count);
}

template <class T>
struct scale_pass {
    T* y;
    vf factor;
};
template <bool Tail, class T>
TEMPERA_INLINE void step(scale_pass<T> const& k, std::int64_t i, std::int64_t, int n) {
    save<Tail>(k.y + i, k.factor * load<Tail>(k.y + i, n), n);
}
template <class T>
void scale(T* y, float factor, std::int64_t count) {
    walk(scale_pass<T>{y, vset(factor)}, count);
}

template <class T>
inline constexpr pointwise_kernels<T> pointwise_table{
    relu_forward<T>, relu_backward<T>,        sigmoid_forward<T>,      sigmoid_backward<T>, add_forward<T>,
    multiply<T>,     copy_elements<T, float>, copy_elements<float, T>, copy_elements<T, T>, copy_pieces<T>,
    fill<T>,         scale<T>};
