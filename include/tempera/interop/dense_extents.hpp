// SPDX-License-Identifier: Apache-2.0
#pragma once
// dense_extents: the extents of someone else's array, once its memory has been shown to be dense and row-major, as
// views are. {n, h, w, c} has four dimensions, a matrix {n, 1, 1, c} two, a list {n, 1, 1, 1} one.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>

#include <tempera/core/error.hpp>
#include <tempera/core/view.hpp>

namespace tempera::detail {

/// shape and strides (in elements; null: dense) are `count` numbers each. Strides of dimensions of size 1 are free.
/// Throws error for another number of dimensions, sizes that a view cannot hold, and strides that are not dense.
template <class Size, class Stride>
extents dense_extents(char const* where, Size const* shape, Stride const* strides, std::size_t count) {
    auto const spell = [count](auto const* numbers) {
        std::string text = "{";
        for (std::size_t i = 0; i < count; ++i) text += (i > 0 ? ", " : "") + std::to_string(numbers[i]);
        return text + "}";
    };
    if (count != 1 && count != 2 && count != 4)
        throw error(where, "4 dimensions (n, h, w, c), 2 (rows, columns) or 1", count,
                    "reshape the array: one image is {1, h, w, c}");
    std::int64_t dense[4]{};
    std::int64_t size = 1;
    bool empty = false;
    for (std::size_t i = count; i-- > 0;) {
        dense[i] = size;
        auto const n = static_cast<std::int64_t>(shape[i]);
        bool const fits = n >= 0 && n <= std::numeric_limits<int>::max() &&
                          (n == 0 || size <= std::numeric_limits<std::int64_t>::max() / n);
        if (!fits)
            throw error(where, "sizes from 0 to 2147483647, fewer than 2^63 elements in all", spell(shape),
                        "pass a part of the array at a time");
        empty = empty || n == 0;
        size *= n > 0 ? n : 1;
    }
    for (std::size_t i = 0; strides != nullptr && !empty && i < count; ++i)
        if (shape[i] != 1 && static_cast<std::int64_t>(strides[i]) != dense[i])
            throw error(where, {"the strides ", spell(dense), " of dense rows"}, spell(strides),
                        "copy the array into a row-major one with the channels last");
    auto const at = [shape](std::size_t i) { return static_cast<int>(shape[i]); };
    if (count == 4) return {at(0), at(1), at(2), at(3)};
    return {at(0), 1, 1, count == 2 ? at(1) : 1};
}

}  // namespace tempera::detail
