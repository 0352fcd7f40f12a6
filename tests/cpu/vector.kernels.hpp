// SPDX-License-Identifier: Apache-2.0
// Loops over arrays through the vector functions, compiled in every region, for vector.test.cpp.

template <class T>
static void call(int function, T const* x, T* y, int n) {
    for (int i = 0; i < n; i += width) {
        int const count = n - i < width ? n - i : width;
        vf const v = vload_n(x + i, count);
        vf r = v;
        if (function == 1) r = vexp(v);
        if (function == 2) r = vlog(v);
        if (function == 3) r = vrsqrt(v);
        if (function == 4) r = vpositive(v, v, vset(-1.0F));
        if (function == 5) r = vmax(v, vset(0.25F));
        if (function == 6) r = vmin(v, vset(0.25F));
        if (function == 7) r = vfma(v, v, vset(1.0F));
        if (function == 8) r = vset(vsum(v));
        if (function == 9) r = vset(vlargest(v));
        if (count == width) {
            vstore(y + i, r);
        } else {
            vstore_n(y + i, r, count);
        }
    }
}
static void call_scalar(int function, float const* x, float* y, int n) {
    for (int i = 0; i < n; ++i) sstore(y + i, function == 1 ? sexp(sload(x + i)) : slog(sload(x + i)));
}
static constexpr vector_calls table{width, &call<float>, &call<bf16>, &call_scalar};
