// SPDX-License-Identifier: Apache-2.0
#pragma once
// The one exception type of the library: a sentence that says where, what was expected, what was
// found, and what to do.

#include <stdexcept>
#include <string>
#include <utility>

namespace tempera {

/// Thrown for every failure the caller can act on. what() reads
/// "<where>: expected <expected>, found <found>; <advice>".
class error : public std::runtime_error {
public:
    error(std::string const& where, std::string const& expected, std::string const& found,
          std::string const& advice)
        : std::runtime_error(where + ": expected " + expected + ", found " + found + "; " + advice) {}

    /// A complete sentence, for failures that do not fit the form above.
    explicit error(std::string const& sentence) : std::runtime_error(sentence) {}
};

}  // namespace tempera
