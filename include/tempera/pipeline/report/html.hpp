// SPDX-License-Identifier: Apache-2.0
#pragma once
// Text for HTML and SVG: escaping, numbers that no locale changes, and the start and end of a figure.

#include <charconv>
#include <cmath>
#include <string>
#include <string_view>

namespace tempera::report_detail {

/// Text as HTML text or attribute value.
inline std::string escaped(std::string_view text) {
    std::string out;
    for (char const c : text) {
        switch (c) {
            case '&': out += "&amp;"; break;
            case '<': out += "&lt;"; break;
            case '>': out += "&gt;"; break;
            case '"': out += "&quot;"; break;
            case '\'': out += "&#39;"; break;
            default: out += c;
        }
    }
    return out;
}

/// A number with so many digits after the point; "n/a" for NaN and infinities.
inline std::string fixed(double number, int decimals) {
    if (!std::isfinite(number)) return "n/a";
    char text[400];
    auto const end = std::to_chars(text, text + sizeof text, number, std::chars_format::fixed, decimals).ptr;
    std::string out(text, end);
    return out.find_first_not_of("-0.") == std::string::npos && out.front() == '-' ? out.substr(1) : out;
}

/// A coordinate: at most one digit after the point, as short as it gets.
inline std::string at(double coordinate) {
    std::string out = fixed(coordinate, 1);
    if (out.ends_with(".0")) out.resize(out.size() - 2);
    return out;
}

/// An id: letters and digits in lower case, anything else a dash.
inline std::string slug(std::string_view text) {
    std::string out;
    for (char const c : text) {
        bool const upper = c >= 'A' && c <= 'Z', plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (upper || plain) out += static_cast<char>(upper ? c + ('a' - 'A') : c);
        else if (!out.empty() && out.back() != '-') out += '-';
    }
    while (!out.empty() && out.back() == '-') out.pop_back();
    return out;
}

/// Letters that a reader sees: bytes of UTF-8 that begin a character.
inline double letters(std::string_view text) {
    double count = 0;
    for (char const c : text) count += (static_cast<unsigned char>(c) & 0xc0U) != 0x80U;
    return count;
}

/// One entry of a legend; style: "", "dashed" or "dot". Colors repeat after ten.
inline std::string legend_item(std::size_t color, std::string_view name, std::string_view style) {
    return "<li><span class=\"swatch s" + std::to_string(color % 10) + " " + std::string(style) + "\"></span>" +
           escaped(name) + "</li>";
}

}  // namespace tempera::report_detail
