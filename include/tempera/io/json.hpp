// SPDX-License-Identifier: Apache-2.0
#pragma once
// A strict reader of JSON text (RFC 8259) for headers of files: it pulls values out one by one and builds no
// tree, so that memory stays proportional to what the caller keeps. Depth and lengths are capped, names of an
// object must differ, text must be valid UTF-8.

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include <tempera/core/error.hpp>
#include <tempera/io/utf8.hpp>

namespace tempera {

/// Appends text as a JSON string, quotes included. Throws error when it is not UTF-8.
inline void append_json_string(std::string& out, std::string_view text) {
    if (!is_utf8(text)) throw error("JSON text", "valid UTF-8", "other bytes", "write names and values as UTF-8");
    constexpr char digits[] = "0123456789abcdef";
    out += '"';
    for (char const c : text) {
        auto const u = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (u < 0x20) {
            out += "\\u00";
            out += digits[u >> 4];
            out += digits[u & 15U];
        } else {
            out += c;
        }
    }
    out += '"';
}

/// Largest sizes a json_reader accepts.
struct json_limits {
    int depth = 8;                       ///< nested objects and arrays
    std::size_t string_bytes = 1 << 20;  ///< one decoded string
    std::size_t elements = 1 << 20;      ///< members of one object, elements of one array
};

/// Pulls values from JSON text in order. Each function throws error, naming the file and the byte, when the text
/// holds something else.
class json_reader {
public:
    /// where: what errors call the text, for instance the path and "header". text must outlive the reader.
    json_reader(std::string_view text, std::string where, json_limits limits = {})
        : text_(text), where_(std::move(where)), limits_(limits) {}

    /// Calls member(std::string name) for each member; it must read the member's value.
    template <class F>
    void object(F&& member) {
        enter('{', "an object");
        std::set<std::string, std::less<>> names;
        for (bool first = true; !closes('}', first); first = false) {
            std::string name = string();
            if (!names.insert(name).second) fail("different names in an object", {"\"", name, "\" twice"});
            if (names.size() > limits_.elements) fail({"at most ", limits_.elements, " members"}, "more");
            expect(':', "':' after a name");
            member(std::move(name));
        }
        --depth_;
    }

    /// Calls element() for each element; it must read the element.
    template <class F>
    void array(F&& element) {
        enter('[', "an array");
        std::size_t count = 0;
        for (bool first = true; !closes(']', first); first = false) {
            if (++count > limits_.elements) fail({"at most ", limits_.elements, " elements"}, "more");
            element();
        }
        --depth_;
    }

    /// A string, decoded to UTF-8.
    std::string string() {
        expect('"', "a string");
        std::string out;
        for (;;) {
            if (position_ == text_.size()) fail("a closing quote", "the end");
            char const c = text_[position_];
            if (static_cast<unsigned char>(c) < 0x20) fail("an escaped control character", "a bare one");
            ++position_;
            if (c == '"') break;
            if (c == '\\') append_escape(out);
            else out += c;
            if (out.size() > limits_.string_bytes)
                fail({"at most ", limits_.string_bytes, " bytes in a string"}, "more");
        }
        if (!is_utf8(out)) fail("valid UTF-8", "other bytes");
        return out;
    }

    /// A number without sign, point or exponent, below 2^63.
    std::int64_t unsigned_integer() {
        skip_space();
        std::size_t const begin = position_;
        std::uint64_t value = 0;
        while (position_ < text_.size() && is_digit(text_[position_])) {
            auto const digit = static_cast<std::uint64_t>(text_[position_] - '0');
            if (value > (0x7fffffffffffffffULL - digit) / 10) fail("an integer below 2^63", "a larger one");
            value = value * 10 + digit;
            ++position_;
        }
        bool const leading_zero = position_ - begin > 1 && text_[begin] == '0';
        if (position_ == begin || leading_zero) fail("an integer of 0 or more", found());
        return static_cast<std::int64_t>(value);
    }

    /// Any number.
    double number() {
        skip_space();
        std::size_t const begin = position_;
        auto const digits = [&] {
            std::size_t const first = position_;
            while (position_ < text_.size() && is_digit(text_[position_])) ++position_;
            if (position_ == first) fail("a digit", found());
            return position_ - first;
        };
        if (next_is('-')) ++position_;
        std::size_t const whole = position_;
        if (digits() > 1 && text_[whole] == '0') fail("a number without a leading zero", found());
        if (next_is('.')) {
            ++position_;
            digits();
        }
        if (next_is('e') || next_is('E')) {
            ++position_;
            if (next_is('+') || next_is('-')) ++position_;
            digits();
        }
        double value = 0;
        auto const parsed = std::from_chars(text_.data() + begin, text_.data() + position_, value);
        if (parsed.ec != std::errc{}) fail("a number that a double can hold", text_.substr(begin, position_ - begin));
        return value;
    }

    bool boolean() {
        if (accept("true")) return true;
        if (!accept("false")) fail("true or false", found());
        return false;
    }

    void null() {
        if (!accept("null")) fail("null", found());
    }

    /// The first character of the next value, '\0' at the end: tells its kind without reading it.
    char peek() {
        skip_space();
        return position_ < text_.size() ? text_[position_] : '\0';
    }

    /// Reads one value of any kind and drops it.
    void skip() {
        switch (peek()) {
            case '{': return object([this](std::string const&) { skip(); });
            case '[': return array([this] { skip(); });
            case '"': static_cast<void>(string()); return;
            case 't':
            case 'f': static_cast<void>(boolean()); return;
            case 'n': return null();
            default: static_cast<void>(number());
        }
    }

    /// Nothing but white space may follow.
    void end() {
        if (peek() != '\0' || position_ != text_.size()) fail("the end", found());
    }

    /// Throws error at the current byte.
    [[noreturn]] void fail(phrase const& expected, phrase const& found) const {
        throw error({where_, ", byte ", position_}, expected, found, "write the file again");
    }

private:
    static bool is_digit(char c) { return c >= '0' && c <= '9'; }
    bool next_is(char c) const { return position_ < text_.size() && text_[position_] == c; }

    void skip_space() {
        while (position_ < text_.size() && std::string_view(" \t\n\r").find(text_[position_]) != std::string_view::npos)
            ++position_;
    }
    std::string found() const {
        if (position_ == text_.size()) return "the end";
        auto const u = static_cast<unsigned char>(text_[position_]);
        return u >= 0x20 && u < 0x7f ? phrase{"'", text_.substr(position_, 1), "'"}.text() : phrase{"byte ", u}.text();
    }
    void expect(char c, char const* what) {
        skip_space();
        if (!next_is(c)) fail(what, found());
        ++position_;
    }
    bool accept(std::string_view word) {
        skip_space();
        if (text_.substr(position_, word.size()) != word) return false;
        position_ += word.size();
        return true;
    }
    void enter(char open, char const* what) {
        expect(open, what);
        if (++depth_ > limits_.depth) fail({"at most ", limits_.depth, " nested levels"}, "more");
    }
    /// Reads the closing bracket (true), or the comma before every element but the first (false).
    bool closes(char close, bool first) {
        skip_space();
        if (next_is(close)) {
            ++position_;
            return true;
        }
        if (!first) expect(',', close == '}' ? "',' or '}'" : "',' or ']'");
        return false;
    }

    unsigned hexadecimal() {
        unsigned value = 0;
        std::string_view const digits = text_.substr(position_, 4);
        auto const parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
        if (digits.size() != 4 || parsed.ptr != digits.data() + 4) fail("four hexadecimal digits", found());
        position_ += 4;
        return value;
    }
    void append_escape(std::string& out) {
        if (position_ == text_.size()) fail("an escape", "the end");
        char const c = text_[position_];
        constexpr std::string_view names = "\"\\/bfnrt";
        constexpr std::string_view values = "\"\\/\b\f\n\r\t";
        if (auto const i = names.find(c); i != std::string_view::npos) {
            ++position_;
            out += values[i];
            return;
        }
        if (c != 'u') fail("a JSON escape", found());
        ++position_;
        std::uint32_t code = hexadecimal();
        if (code >= 0xd800 && code < 0xdc00) {
            if (text_.substr(position_, 2) != "\\u") fail("the second half of a surrogate pair", found());
            position_ += 2;
            std::uint32_t const low = hexadecimal();
            if (low < 0xdc00 || low > 0xdfff) fail("the second half of a surrogate pair", "another code");
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        } else if (code >= 0xdc00 && code < 0xe000) {
            fail("the first half of a surrogate pair", "the second");
        }
        append_utf8(out, code);
    }
    static void append_utf8(std::string& out, std::uint32_t code) {
        auto const tail = [&](int shift) { out += static_cast<char>(0x80 | ((code >> shift) & 0x3f)); };
        if (code < 0x80) {
            out += static_cast<char>(code);
        } else if (code < 0x800) {
            out += static_cast<char>(0xc0 | (code >> 6));
            tail(0);
        } else if (code < 0x10000) {
            out += static_cast<char>(0xe0 | (code >> 12));
            tail(6);
            tail(0);
        } else {
            out += static_cast<char>(0xf0 | (code >> 18));
            tail(12);
            tail(6);
            tail(0);
        }
    }

    std::string_view text_;
    std::string where_;
    json_limits limits_;
    std::size_t position_ = 0;
    int depth_ = 0;
};

}  // namespace tempera
