// SPDX-License-Identifier: Apache-2.0
// Search for infinities and NaN. Included once per instruction set (see target.hpp).

/// Whether none of n elements is infinite or NaN. By the bits of the exponent: -ffast-math says that there are none.
static bool none_infinite(std::int64_t n, float const* x) {
    vi const exponent = vset_int(0x7f800000);
    vi found = vset_int(0);
    for (std::int64_t i = 0; i < n; i += width) {
        vf const v = i + width <= n ? vload(x + i) : vload_n(x + i, static_cast<int>(n - i));
        found = found | (((vi)v & exponent) == exponent);
    }
    std::int32_t lanes[width];
    __builtin_memcpy(lanes, &found, sizeof lanes);
    for (int l = 0; l < width; ++l)
        if (lanes[l] != 0) return false;
    return true;
}

static constexpr finite_kernels finite_table{none_infinite};
