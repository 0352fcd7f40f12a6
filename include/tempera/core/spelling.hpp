// SPDX-License-Identifier: Apache-2.0
#pragma once
// How sizes are spelled: "{height, width, channels}", "{n, height, width, channels}", "12,345".

#include <cstddef>
#include <cstdint>
#include <string>

#include <tempera/core/phrase.hpp>
#include <tempera/core/view.hpp>

namespace tempera {

inline std::string text_of(shape s) { return phrase{"{", s.height, ", ", s.width, ", ", s.channels, "}"}.text(); }
inline std::string text_of(extents const& e) { return phrase{"{", e.n, ", ", e.h, ", ", e.w, ", ", e.c, "}"}.text(); }

/// "12,345"
inline std::string grouped(std::int64_t n) {
    std::string digits = std::to_string(n);
    int const first = n < 0 ? 1 : 0;
    for (int i = static_cast<int>(digits.size()) - 3; i > first; i -= 3)
        digits.insert(static_cast<std::size_t>(i), 1, ',');
    return digits;
}

}  // namespace tempera
