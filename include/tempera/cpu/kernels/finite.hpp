// SPDX-License-Identifier: Apache-2.0
// Search for infinities and NaN. Included once per instruction set (see target.hpp).

/// Whether none of n elements is infinite or NaN: 0 times such a one is NaN.
static bool none_infinite(std::int64_t n, float const* x) {
    vf sum = vzero();
    std::int64_t i = 0;
    for (; i + width <= n; i += width) sum = vfma(vload(x + i), vzero(), sum);
    float rest = vsum(sum);
    for (; i < n; ++i) rest += x[i] * 0;
    return rest == 0;
}

static constexpr finite_kernels finite_table{none_infinite};
