// SPDX-License-Identifier: Apache-2.0
// The transforms of Winograd's F(4x4, 3x3) along one axis. Included once per instruction set (see target.hpp), before
// winograd.hpp; what they compute is told in cpu/winograd.hpp.

/// Half of t = B' d along one axis: elements 3 half to 3 half + 2.
template <int Half>
TEMPERA_INLINE void winograd_input(vf const* d, vf* t) {
    if (Half == 0) {
        vf const even = vfma(vset(-4), d[2], d[4]), odd = vfma(vset(-4), d[1], d[3]);
        t[0] = vfma(vset(4), d[0], vfma(vset(-5), d[2], d[4]));
        t[1] = even + odd;
        t[2] = even - odd;
    } else {
        vf const outer = d[4] - d[2], inner = d[3] - d[1];
        t[0] = vfma(vset(2), inner, outer);
        t[1] = vfma(vset(-2), inner, outer);
        t[2] = vfma(vset(4), d[1], vfma(vset(-5), d[3], d[5]));
    }
}

/// y = A' m along one axis.
TEMPERA_INLINE void winograd_output(vf const* m, vf* y) {
    vf const sum1 = m[1] + m[2], difference1 = m[1] - m[2];
    vf const sum2 = m[3] + m[4], difference2 = m[3] - m[4];
    y[0] = m[0] + sum1 + sum2;
    y[1] = vfma(vset(2), difference2, difference1);
    y[2] = vfma(vset(4), sum2, sum1);
    y[3] = vfma(vset(8), difference2, difference1) + m[5];
}

/// u = G g along one axis.
TEMPERA_INLINE void winograd_filter(vf const* g, int step, vf* u) {
    vf const g0 = g[0], g1 = g[step], g2 = g[2 * step];
    vf const sixth = vset(1.0F / 6), quarter = vset(0.25F), third = vset(1.0F / 3);
    vf const a = (g0 + g2) * sixth, b = g1 * sixth;
    vf const c = quarter * g0 + g2, d = vset(0.5F) * g1;
    u[0] = quarter * g0;
    u[1] = -(a + b);
    u[2] = b - a;
    u[3] = (c + d) * vset(0.5F) * third;
    u[4] = (c - d) * vset(0.5F) * third;
    u[5] = g2;
}

/// m = A y along one axis: the transpose of winograd_output.
TEMPERA_INLINE void winograd_slope(vf const* y, vf* m) {
    vf const even = y[0] + y[2], odd = y[1] + y[3];
    vf const outer = vfma(vset(4), y[2], y[0]), inner = vset(2) * vfma(vset(4), y[3], y[1]);
    m[0] = y[0];
    m[1] = even + odd;
    m[2] = even - odd;
    m[3] = outer + inner;
    m[4] = outer - inner;
    m[5] = y[3];
}

/// g = G' u along one axis: the transpose of winograd_filter.
TEMPERA_INLINE void winograd_filter_slope(vf const* u, int step, vf* g) {
    vf const sixth = vset(1.0F / 6), quarter = vset(0.25F), half = vset(0.5F);
    vf const a = (u[step] + u[2 * step]) * sixth, b = (u[2 * step] - u[step]) * sixth;
    vf const c = (u[3 * step] + u[4 * step]) * sixth, d = (u[3 * step] - u[4 * step]) * sixth;
    g[0] = quarter * (u[0] + c) - a;
    g[1] = vfma(half, d, b);
    g[2] = c - a + u[5 * step];
}
