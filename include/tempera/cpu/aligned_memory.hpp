// SPDX-License-Identifier: Apache-2.0
#pragma once
// The host's memory for maps and weights.

#include <cstddef>
#include <cstdlib>

#include <tempera/core/error.hpp>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace tempera {

/// 64-byte aligned memory, at least 1 byte; from 4 MB on in pages of 2 MB, where Linux has them for those who ask. To be
/// given to std::free. Throws error naming the bytes.
inline void* allocate_aligned(std::size_t bytes) {
    constexpr std::size_t line = 64, large_page = std::size_t{2} << 20;
    bool const large = bytes >= 2 * large_page;
    std::size_t const unit = large ? large_page : line;
    std::size_t const rounded = bytes == 0 ? unit : (bytes + unit - 1) / unit * unit;
    void* const p = rounded < bytes ? nullptr : std::aligned_alloc(unit, rounded);
    if (p == nullptr) {
        throw error("memory of the cpu", {bytes, " bytes"}, "no room", "use a smaller batch or a smaller network");
    }
#if defined(__linux__)
    // What is not used of the last page stays in small ones. A system without large pages refuses, which changes nothing.
    if (large) static_cast<void>(madvise(p, bytes / large_page * large_page, MADV_HUGEPAGE));
#endif
    return p;
}

}  // namespace tempera
