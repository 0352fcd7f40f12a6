// SPDX-License-Identifier: Apache-2.0
#pragma once
// The idx format of MNIST and its kin: two zero bytes, a type, the number of dimensions, the dimensions as 32-bit
// big endian, then the elements. Read here: unsigned bytes (type 0x08) of one to four dimensions.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <tempera/core/error.hpp>
#include <tempera/io/bytes.hpp>

namespace tempera {

/// An array of unsigned bytes; the last dimension is contiguous.
struct idx_array {
    std::vector<int> dims;
    std::vector<std::uint8_t> values;
};

/// No idx file, plain or unpacked, may be larger: 2 GiB less one byte.
inline constexpr std::int64_t idx_limit = (std::int64_t{1} << 31) - 1;

/// The array that `bytes` hold, all of them. `where` names the source in errors. Throws error for another magic
/// number, type or number of dimensions, for an empty dimension, and for missing or surplus bytes.
inline idx_array parse_idx(std::span<std::uint8_t const> bytes, std::string const& where) {
    if (bytes.size() < 4 || bytes[0] != 0 || bytes[1] != 0)
        throw error(where, "an idx file, which starts with two zero bytes, a type and a rank",
                    bytes.size() < 4 ? std::to_string(bytes.size()) + " bytes" : "other bytes",
                    "check that this is the right file and that it is unpacked");
    if (bytes[2] != 0x08)
        throw error(where, "an idx file of unsigned bytes (type 8)", {"type ", bytes[2]},
                    "convert it to unsigned bytes");
    std::size_t const rank = bytes[3];
    if (rank < 1 || rank > 4) throw error(where, "one to four dimensions", rank, "check that the file is intact");
    std::size_t const header = 4 + 4 * rank;
    if (bytes.size() < header)
        throw error(where, {"a header of ", header, " bytes"}, {bytes.size(), " bytes"},
                    "the file is cut off: fetch it again");

    idx_array array;
    std::int64_t size = 1;
    for (std::size_t d = 0; d < rank; ++d) {
        std::uint8_t const* b = bytes.data() + 4 + 4 * d;
        std::int64_t const extent = std::int64_t{b[0]} << 24 | std::int64_t{b[1]} << 16 | std::int64_t{b[2]} << 8 | b[3];
        // Every factor is at least 1, so the product may be cut off as soon as it passes the limit.
        if (extent < 1 || extent > idx_limit / size)
            throw error(where, {"dimensions of at least 1 and at most ", idx_limit, " elements"},
                        {"dimension ", d, " of ", extent}, "check that the file is intact");
        size *= extent;
        array.dims.push_back(static_cast<int>(extent));
    }
    auto const found = static_cast<std::int64_t>(bytes.size() - header);
    if (found != size)
        throw error(
            where, {size, " bytes after the header"}, found,
            found < size ? "the file is cut off: fetch it again" : "the file has surplus bytes: fetch it again");
    array.values.assign(bytes.begin() + static_cast<std::ptrdiff_t>(header), bytes.end());
    return array;
}

/// The array in the file at `path`.
inline idx_array read_idx(std::string const& path) { return parse_idx(read_bytes(path, idx_limit), path); }

}  // namespace tempera
