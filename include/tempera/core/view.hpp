// SPDX-License-Identifier: Apache-2.0
#pragma once
// view: a pointer with its dense NHWC extents. Owns nothing; trivially copyable.

#include <cstdint>
#include <type_traits>

#include <tempera/core/shape.hpp>

namespace tempera {

/// Batch, height, width, channels of a dense NHWC array. Matrices are {rows, 1, 1, columns}.
struct extents {
    int n = 0;
    int h = 1;
    int w = 1;
    int c = 1;

    constexpr std::int64_t size() const { return std::int64_t{1} * n * h * w * c; }
    constexpr shape sample() const { return {h, w, c}; }

    friend constexpr bool operator==(extents, extents) = default;
};

/// Dense NHWC elements in the memory of one device (host memory for cpu).
template <class T>
struct view {
    T* data = nullptr;
    extents dims{};

    constexpr std::int64_t size() const { return dims.size(); }
    constexpr int batch() const { return dims.n; }
    constexpr bool empty() const { return data == nullptr || dims.n == 0; }
    constexpr T& operator[](std::int64_t i) const { return data[i]; }

    /// Samples first .. first + count - 1.
    constexpr view slice(int first, int count) const {
        return {data + first * dims.sample().size(), {count, dims.h, dims.w, dims.c}};
    }

    template <class Other>  // a template, since nvcc warns of a conversion of view<T const> to itself
        requires(std::is_same_v<Other, T const> && !std::is_const_v<T>)
    constexpr operator view<Other>() const {
        return {data, dims};
    }
};

}  // namespace tempera
