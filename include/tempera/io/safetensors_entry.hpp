// SPDX-License-Identifier: Apache-2.0
#pragma once
// One tensor of a safetensors file, the size its shape implies, and the checksum over what a file says.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tempera/io/crc64.hpp>
#include <tempera/io/dtype.hpp>

namespace tempera {

/// One tensor of a file: where its elements lie in memory, row-major. Owns nothing but its name.
struct safetensors_entry {
    std::string name;
    dtype type = dtype::f32;
    std::vector<std::int64_t> dims;  ///< empty for a scalar
    std::span<std::byte const> bytes;

    std::int64_t count() const { return static_cast<std::int64_t>(bytes.size()) / bytes_of(type); }
};

/// An entry to write: values in host memory, which must live until write_safetensors returns.
template <class T>
safetensors_entry entry_of(std::string name, std::vector<std::int64_t> dims, std::span<T const> values) {
    return {std::move(name), dtype_of<T>, std::move(dims), std::as_bytes(values)};
}

using safetensors_metadata = std::map<std::string, std::string, std::less<>>;

/// Bytes of a tensor of this shape; -1 when a dimension is negative or the product exceeds 63 bits.
inline std::int64_t tensor_bytes(dtype type, std::span<std::int64_t const> dims) {
    std::int64_t bytes = bytes_of(type);
    for (std::int64_t const d : dims) {
        if (d < 0 || (d > 0 && bytes > std::numeric_limits<std::int64_t>::max() / d)) return -1;
        bytes *= d;
    }
    return bytes;
}

/// "crc64:" and 16 hexadecimal digits: the checksum of metadata and, per entry in the order of their bytes, of name,
/// dtype, shape and elements. It does not depend on how the header is spelled.
inline std::string safetensors_checksum(std::span<safetensors_entry const> in_order,
                                        safetensors_metadata const& metadata) {
    crc64 crc;
    auto const add_number = [&](std::int64_t n) { crc.add(std::as_bytes(std::span(&n, 1))); };
    auto const add_text = [&](std::string_view text) {
        add_number(static_cast<std::int64_t>(text.size()));
        crc.add(text);
    };
    for (auto const& [key, value] : metadata) {
        add_text(key);
        add_text(value);
    }
    for (auto const& entry : in_order) {
        add_text(entry.name);
        add_text(name_of(entry.type));
        add_number(static_cast<std::int64_t>(entry.dims.size()));
        for (std::int64_t const d : entry.dims) add_number(d);
    }
    for (auto const& entry : in_order) crc.add(entry.bytes);
    char digits[32];
    std::snprintf(digits, sizeof digits, "crc64:%016llx", static_cast<unsigned long long>(crc.value()));
    return digits;
}

}  // namespace tempera
