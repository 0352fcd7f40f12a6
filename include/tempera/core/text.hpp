// SPDX-License-Identifier: Apache-2.0
#pragma once
// fixed_text: characters held inside a structural value, so that names can be template arguments
// and live in plans (string literals and string_view may not).

#include <cstddef>
#include <string>
#include <string_view>

#include <tempera/core/error.hpp>

namespace tempera {

template <int Capacity>
struct fixed_text {
    static constexpr int capacity = Capacity;
    char characters[Capacity + 1]{};  // the last stays 0, so that text().data() ends
    int length = 0;

    constexpr fixed_text() = default;
    /// Throws error when the text does not fit; in a constant, the compiler points here.
    constexpr fixed_text(char const* s) {
        for (char const* c = s; *c != '\0'; ++c) {
            if (length == Capacity)
                throw error("name", {"at most ", Capacity, " characters"}, {"\"", s, "\""}, "choose a shorter name");
            push(*c);
        }
    }
    constexpr void push(char c) {
        if (length < Capacity) characters[length++] = c;
    }
    constexpr void push(std::string_view s) {
        for (char const c : s) push(c);
    }
    constexpr void push_number(int n) {
        char digits[10]{};
        int count = 0;
        do {
            digits[count++] = static_cast<char>('0' + n % 10);
            n /= 10;
        } while (n > 0);
        while (count > 0) push(digits[--count]);
    }
    constexpr std::string_view text() const { return {characters, static_cast<std::size_t>(length)}; }

    friend constexpr bool operator==(fixed_text const& a, fixed_text const& b) { return a.text() == b.text(); }
};

/// A single name: one level of a parameter's path.
using name_text = fixed_text<24>;
/// A whole path, levels joined by dots.
using path_text = fixed_text<112>;

}  // namespace tempera
