// SPDX-License-Identifier: Apache-2.0
// Parts of softmax losses, one row of n logits at a time. Included once per instruction set (see target.hpp).

/// e_j = exp((z_j - max z) / temperature), with their sums.
static softmax_sums exponentials(int n, float const* z, float inverse_temperature, float* e) {
    vf const lowest = vset(-__builtin_inff());
    vf largest = lowest;
    int j = 0;
    for (; j + width <= n; j += width) largest = vmax(vload(z + j), largest);
    float top = vlargest(largest);
    for (; j < n; ++j) top = z[j] > top ? z[j] : top;

    vf const shift = vset(top);
    vf const factor = vset(inverse_temperature);
    vf const floor = vset(-1e4F);  // a logit of minus infinity has no part in the entropy, 0 log 0 = 0
    vf sum = vzero();
    vf moment = vzero();
    vf plain = vzero();
    for (j = 0; j < n; j += width) {
        int const left = n - j;
        bool const whole = left >= width;
        vf const zj = whole ? vload(z + j) : vload_n(z + j, left);
        vf const x = vmax(floor, (zj - shift) * factor);
        vf ej = vexp(x);
        if (whole) {
            vstore(e + j, ej);
        } else {
            vstore_n(e + j, ej, left);
            ej = vload_n(e + j, left);
        }
        sum += ej;
        moment = vfma(whole ? x : vmin(x, vset(0)), ej, moment);
        plain += zj;
    }
    return {top, vsum(sum), vsum(moment), vsum(plain)};
}

/// sum_j p_j (z_j - shift) over the classes with p_j > 0.
static float expected_logit(int n, float const* p, float const* z, float shift) {
    vf const s = vset(shift);
    vf sum = vzero();
    for (int j = 0; j < n; j += width) {
        int const left = n - j;
        vf const pj = left >= width ? vload(p + j) : vload_n(p + j, left);
        vf const zj = left >= width ? vload(z + j) : vload_n(z + j, left);
        sum += vpositive(pj, pj * (zj - s), vzero());
    }
    return vsum(sum);
}

/// out (+)= a x + b y + c; y may be null.
static void combine(int n, float a, float const* x, float b, float const* y, float c, float* out, store mode) {
    vf const va = vset(a);
    vf const vb = vset(b);
    vf const vc = vset(c);
    for (int j = 0; j < n; j += width) {
        int const left = n - j;
        bool const whole = left >= width;
        vf r = vfma(va, whole ? vload(x + j) : vload_n(x + j, left), vc);
        if (y != nullptr) r = vfma(vb, whole ? vload(y + j) : vload_n(y + j, left), r);
        if (mode == store::accumulate) r += whole ? vload(out + j) : vload_n(out + j, left);
        if (whole) vstore(out + j, r);
        else vstore_n(out + j, r, left);
    }
}

/// How many logits come before z[label] in descending order, ties by index. A NaN comes before everything.
static int rank_of(int n, float const* z, int label) {
    float const own = z[label];
    int count = 0;
    vi counts = vset_int(0);
    vf const limit = vset(own);
    int j = 0;
    for (; j + width <= label; j += width) counts -= ~(vi)(vload(z + j) < limit);
    for (; j < label; ++j) count += !(z[j] < own);
    for (j = label + 1; j + width <= n; j += width) counts -= ~(vi)(vload(z + j) <= limit);
    for (; j < n; ++j) count += !(z[j] <= own);
    for (int lane = 0; lane < width; ++lane) count += counts[lane];
    return count;
}

/// Index of the first largest logit.
static int first_largest(int n, float const* z) {
    int best = 0;
    for (int j = 1; j < n; ++j) best = z[j] > z[best] ? j : best;
    return best;
}

static constexpr softmax_kernels softmax_table{exponentials, expected_logit, combine, rank_of, first_largest};
