// SPDX-License-Identifier: Apache-2.0
#pragma once
// dtype: the element types of tensors in files, by the names that safetensors gives them.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>

#include <tempera/core/precision.hpp>

namespace tempera {

enum class dtype : std::uint8_t {
    boolean,
    u8,
    i8,
    f8_e5m2,
    f8_e4m3,
    u16,
    i16,
    f16,
    bf16,
    u32,
    i32,
    f32,
    u64,
    i64,
    f64,
    c64,
};

namespace dtype_detail {

struct row {
    std::string_view name;
    int bytes;
};
/// In the order of the enumeration.
inline constexpr std::array<row, 16> rows{{{"BOOL", 1},
                                           {"U8", 1},
                                           {"I8", 1},
                                           {"F8_E5M2", 1},
                                           {"F8_E4M3", 1},
                                           {"U16", 2},
                                           {"I16", 2},
                                           {"F16", 2},
                                           {"BF16", 2},
                                           {"U32", 4},
                                           {"I32", 4},
                                           {"F32", 4},
                                           {"U64", 8},
                                           {"I64", 8},
                                           {"F64", 8},
                                           {"C64", 8}}};

template <class T>
consteval dtype of() {
    if constexpr (std::is_same_v<T, std::uint8_t>) return dtype::u8;
    else if constexpr (std::is_same_v<T, std::int8_t>) return dtype::i8;
    else if constexpr (std::is_same_v<T, std::uint16_t>) return dtype::u16;
    else if constexpr (std::is_same_v<T, std::int16_t>) return dtype::i16;
    else if constexpr (std::is_same_v<T, half>) return dtype::f16;
    else if constexpr (std::is_same_v<T, bf16>) return dtype::bf16;
    else if constexpr (std::is_same_v<T, std::uint32_t>) return dtype::u32;
    else if constexpr (std::is_same_v<T, std::int32_t>) return dtype::i32;
    else if constexpr (std::is_same_v<T, float>) return dtype::f32;
    else if constexpr (std::is_same_v<T, std::uint64_t>) return dtype::u64;
    else if constexpr (std::is_same_v<T, std::int64_t>) return dtype::i64;
    else {
        static_assert(std::is_same_v<T, double>, "no dtype stores this type; read the bytes instead");
        return dtype::f64;
    }
}

}  // namespace dtype_detail

/// The dtype that stores T. BOOL has none: a byte of a file may be neither 0 nor 1.
template <class T>
inline constexpr dtype dtype_of = dtype_detail::of<T>();

/// The name in files, for instance "F32".
constexpr std::string_view name_of(dtype type) { return dtype_detail::rows[static_cast<std::size_t>(type)].name; }

/// Bytes of one element.
constexpr int bytes_of(dtype type) { return dtype_detail::rows[static_cast<std::size_t>(type)].bytes; }

/// The dtype of this name, if there is one.
constexpr std::optional<dtype> dtype_named(std::string_view name) {
    for (std::size_t i = 0; i < dtype_detail::rows.size(); ++i)
        if (dtype_detail::rows[i].name == name) return static_cast<dtype>(i);
    return std::nullopt;
}

}  // namespace tempera
