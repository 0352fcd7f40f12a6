// SPDX-License-Identifier: Apache-2.0
// Any bytes as a safetensors file: refused with an error, or taken with entries that tile the data.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include <tempera/io/safetensors.hpp>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    try {
        tempera::safetensors_file const file({data, data + size}, "input");
        std::size_t total = 0;
        for (auto const& entry : file.entries()) {
            if (tempera::tensor_bytes(entry.type, entry.dims) != static_cast<std::int64_t>(entry.bytes.size()))
                std::abort();
            if (file.find(entry.name) != &entry) std::abort();
            total += entry.bytes.size();
        }
        if (total > size) std::abort();
    } catch (tempera::error const&) {
    }
    return 0;
}
