// SPDX-License-Identifier: Apache-2.0
#pragma once
// utf8: whether bytes are text (Unicode 15, table 3-7).

#include <cstddef>
#include <string_view>

namespace tempera {

/// Whether bytes are well-formed UTF-8 (no overlong forms, no surrogates, nothing above U+10FFFF).
inline bool is_utf8(std::string_view text) {
    for (std::size_t i = 0; i < text.size();) {
        auto const lead = static_cast<unsigned char>(text[i++]);
        if (lead < 0x80) continue;
        int const more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
        if (lead < 0xc2 || lead > 0xf4 || text.size() - i < static_cast<std::size_t>(more)) return false;
        // The second byte's range rules out overlong forms, surrogates and what lies above U+10FFFF.
        auto const second = static_cast<unsigned char>(text[i]);
        unsigned const low = lead == 0xe0 ? 0xa0U : lead == 0xf0 ? 0x90U : 0x80U;
        unsigned const high = lead == 0xed ? 0x9fU : lead == 0xf4 ? 0x8fU : 0xbfU;
        if (second < low || second > high) return false;
        for (int k = 1; k < more; ++k)
            if ((static_cast<unsigned char>(text[i + static_cast<std::size_t>(k)]) & 0xc0U) != 0x80U) return false;
        i += static_cast<std::size_t>(more);
    }
    return true;
}

}  // namespace tempera
