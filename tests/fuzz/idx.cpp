// SPDX-License-Identifier: Apache-2.0
// Any bytes as an idx file: refused with an error, or taken with values that are all in the file.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include <tempera/io/idx.hpp>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    try {
        auto const array = tempera::parse_idx(std::span(data, size), "input");
        if (array.values.size() > size) std::abort();
    } catch (tempera::error const&) {
    }
    return 0;
}
