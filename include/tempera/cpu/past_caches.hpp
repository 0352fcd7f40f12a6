// SPDX-License-Identifier: Apache-2.0
#pragma once
// past_caches: whether a map is written past the caches. Large ones are not there any more when they are read, and a line
// that is written whole past the caches is not read from memory first. distance_to_call: maps that come from memory are
// called for while others are worked on.

#include <cstdint>

namespace tempera::cpu_kernels {

/// A map of `rows` rows of `columns` elements: 16 MB and more, its vectors aligned.
template <class T>
bool past_caches(T const* map, std::int64_t rows, std::int64_t columns) {
    constexpr std::int64_t kept = std::int64_t{16} << 20, line = 64;
    std::int64_t const row = columns * static_cast<int>(sizeof(T));
    return rows * row >= kept && row % line == 0 && reinterpret_cast<std::uintptr_t>(map) % line == 0;
}

constexpr int call_distance = 2048;  ///< elements, measured: half of it or twice as many gain less

/// How many elements before they are read a map of so many is called for: from 8 MB on it comes from memory, and smaller ones
/// are slower for the calls.
template <class T>
constexpr int distance_to_call(std::int64_t elements) {
    return elements * static_cast<int>(sizeof(T)) >= std::int64_t{8} << 20 ? call_distance : 0;
}

}  // namespace tempera::cpu_kernels
