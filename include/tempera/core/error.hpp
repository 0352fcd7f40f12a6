// SPDX-License-Identifier: Apache-2.0
#pragma once
// The one exception type of the library: a sentence that says where, what was expected, what was
// found, and what to do.

#include <stdexcept>
#include <string>

#include <tempera/core/phrase.hpp>

namespace tempera {

/// Thrown for every failure the caller can act on. what() reads
/// "<where>: expected <expected>, found <found>; <advice>".
class error : public std::runtime_error {
public:
    __attribute__((noinline, cold))
    error(phrase const& where, phrase const& expected, phrase const& found, phrase const& advice)
        : std::runtime_error(sentence(where, expected, found, advice)) {}

    /// A complete sentence, for failures that do not fit the form above.
    __attribute__((noinline, cold)) explicit error(phrase const& sentence) : std::runtime_error(sentence.text()) {}

private:
    static std::string sentence(phrase const& where, phrase const& expected, phrase const& found,
                                phrase const& advice) {
        std::string all = where.text();
        all += ": expected ";
        expected.append_to(all);
        all += ", found ";
        found.append_to(all);
        all += "; ";
        advice.append_to(all);
        return all;
    }
};

}  // namespace tempera
