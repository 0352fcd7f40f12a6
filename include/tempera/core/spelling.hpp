// SPDX-License-Identifier: Apache-2.0
#pragma once
// How errors spell sizes: "{height, width, channels}" and "{n, height, width, channels}".

#include <string>

#include <tempera/core/phrase.hpp>
#include <tempera/core/view.hpp>

namespace tempera {

inline std::string text_of(shape s) { return phrase{"{", s.height, ", ", s.width, ", ", s.channels, "}"}.text(); }
inline std::string text_of(extents const& e) {
    return phrase{"{", e.n, ", ", e.h, ", ", e.w, ", ", e.c, "}"}.text();
}

}  // namespace tempera
