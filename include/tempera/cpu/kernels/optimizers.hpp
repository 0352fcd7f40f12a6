// SPDX-License-Identifier: Apache-2.0
// Optimizer updates of n consecutive elements, one pass each. Included once per instruction set (see target.hpp).
// g' stands for g + weight_decay w.

/// Sums of squares of w and of x = gradient_part g' + momentum_part v, in double over sums of 512 in float.
/// v is not read when momentum_part is 0.
static void square_sums(float weight_decay, float gradient_part, float momentum_part, std::int64_t n, float const* w,
                        float const* g, float const* v, double* sums) {
    vf const decay = vset(weight_decay);
    vf const cg = vset(gradient_part);
    vf const cv = vset(momentum_part);
    double ww = 0;
    double xx = 0;
    for (std::int64_t begin = 0; begin < n; begin += 512) {
        std::int64_t const end = begin + 512 < n ? begin + 512 : n;
        vf sum_w = vzero();
        vf sum_x = vzero();
        for (std::int64_t i = begin; i < end; i += width) {
            int const left = static_cast<int>(end - i);
            bool const whole = left >= width;
            vf const wi = whole ? vload(w + i) : vload_n(w + i, left);
            vf const gi = whole ? vload(g + i) : vload_n(g + i, left);
            vf x = cg * vfma(decay, wi, gi);
            if (momentum_part != 0) x = vfma(cv, whole ? vload(v + i) : vload_n(v + i, left), x);
            sum_w = vfma(wi, wi, sum_w);
            sum_x = vfma(x, x, sum_x);
        }
        ww += static_cast<double>(vsum(sum_w));
        xx += static_cast<double>(vsum(sum_x));
    }
    sums[0] = ww;
    sums[1] = xx;
}

/// v = momentum v + into g';  w -= rate (carry v + look_ahead g')
static void momentum_update(momentum_step const& s, std::int64_t n, float* w, float const* g, float* v) {
    vf const decay = vset(s.weight_decay);
    vf const momentum = vset(s.momentum);
    vf const into = vset(s.into);
    vf const carry = vset(s.carry);
    vf const look_ahead = vset(s.look_ahead);
    vf const rate = vset(-s.rate);
    for (std::int64_t i = 0; i < n; i += width) {
        int const left = n - i < width ? static_cast<int>(n - i) : width;
        bool const whole = left == width;
        vf const wi = whole ? vload(w + i) : vload_n(w + i, left);
        vf const gi = vfma(decay, wi, whole ? vload(g + i) : vload_n(g + i, left));
        vf const velocity = vfma(into, gi, momentum * (whole ? vload(v + i) : vload_n(v + i, left)));
        vf const w_new = vfma(rate, vfma(look_ahead, gi, carry * velocity), wi);
        if (whole) {
            vstore(v + i, velocity);
            vstore(w + i, w_new);
        } else {
            vstore_n(v + i, velocity, left);
            vstore_n(w + i, w_new, left);
        }
    }
}

/// m = beta1 m + (1 - beta1) g';  v = beta2 v + (1 - beta2) g'^2;  w -= rate m / (sqrt(v) + epsilon)
static void adam_update(adam_step const& s, std::int64_t n, float* w, float const* g, float* first, float* second) {
    vf const decay = vset(s.weight_decay);
    vf const beta1 = vset(s.beta1);
    vf const beta2 = vset(s.beta2);
    vf const rest1 = vset(1.0F - s.beta1);
    vf const rest2 = vset(1.0F - s.beta2);
    vf const epsilon = vset(s.epsilon);
    vf const rate = vset(s.rate);
    for (std::int64_t i = 0; i < n; i += width) {
        int const left = n - i < width ? static_cast<int>(n - i) : width;
        bool const whole = left == width;
        vf const wi = whole ? vload(w + i) : vload_n(w + i, left);
        vf const gi = vfma(decay, wi, whole ? vload(g + i) : vload_n(g + i, left));
        vf const m = vfma(rest1, gi, beta1 * (whole ? vload(first + i) : vload_n(first + i, left)));
        vf const v = vfma(rest2, gi * gi, beta2 * (whole ? vload(second + i) : vload_n(second + i, left)));
        vf const w_new = wi - rate * m / (vsqrt(v) + epsilon);
        if (whole) {
            vstore(first + i, m);
            vstore(second + i, v);
            vstore(w + i, w_new);
        } else {
            vstore_n(first + i, m, left);
            vstore_n(second + i, v, left);
            vstore_n(w + i, w_new, left);
        }
    }
}

/// average = decay average + (1 - decay) w
static void average_update(float decay, std::int64_t n, float const* w, float* average) {
    vf const keep = vset(decay);
    vf const rest = vset(1.0F - decay);
    for (std::int64_t i = 0; i < n; i += width) {
        int const left = n - i < width ? static_cast<int>(n - i) : width;
        if (left == width) {
            vstore(average + i, vfma(keep, vload(average + i), rest * vload(w + i)));
        } else {
            vstore_n(average + i, vfma(keep, vload_n(average + i, left), rest * vload_n(w + i, left)), left);
        }
    }
}

static constexpr optimizer_kernels optimizer_table{square_sums, momentum_update, adam_update, average_update};
