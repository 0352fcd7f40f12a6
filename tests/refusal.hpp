// SPDX-License-Identifier: Apache-2.0
#pragma once
// The message of the error that a call must throw, and whether it says what it should.

#include <initializer_list>
#include <string>
#include <string_view>

#include <tempera/core/error.hpp>

/// What the tempera::error says that f throws; "nothing was thrown" when it throws none.
template <class F>
std::string refusal(F&& f) {
    try {
        f();
    } catch (tempera::error const& e) {
        return e.what();
    }
    return "nothing was thrown";
}

/// Whether text holds all words.
inline bool says(std::string_view text, std::initializer_list<std::string_view> words) {
    for (auto const word : words)
        if (text.find(word) == std::string_view::npos) return false;
    return true;
}
