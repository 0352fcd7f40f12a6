// SPDX-License-Identifier: Apache-2.0
#pragma once
// A whole file as bytes, with a cap on its size that is checked before memory is taken.

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <tempera/core/error.hpp>

namespace tempera {

/// All bytes of the file at `path`. Throws error when it cannot be read or has more than `limit` bytes.
inline std::vector<std::uint8_t> read_bytes(std::string const& path, std::int64_t limit) {
    struct closer {
        void operator()(std::FILE* f) const { std::fclose(f); }
    };
    std::unique_ptr<std::FILE, closer> const file(std::fopen(path.c_str(), "rb"));
    if (!file) throw error(path, "a readable file", std::strerror(errno), "check the path and its permissions");
    std::fseek(file.get(), 0, SEEK_END);
    std::int64_t const size = std::ftell(file.get());
    std::rewind(file.get());
    // A directory opens, and claims the largest size there is.
    if (size < 0 || size == std::numeric_limits<long>::max())
        throw error(path, "a file of known size", "something else", "give a regular file");
    if (size > limit) throw error(path, {"at most ", limit, " bytes"}, size, "check that this is the right file");
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>(size));
    std::size_t const got = bytes.empty() ? 0 : std::fread(bytes.data(), 1, bytes.size(), file.get());
    if (got != bytes.size()) throw error(path, {size, " bytes"}, {got, " before reading failed"}, "check the disk");
    return bytes;
}

}  // namespace tempera
