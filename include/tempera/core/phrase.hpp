// SPDX-License-Identifier: Apache-2.0
#pragma once
// phrase: words and numbers of a sentence, joined only when somebody wants to read it. A place that may fail costs a
// few stores; spelling is one function, out of line.
//
//     throw error("conv", {"at most ", limit, " channels"}, channels, "take fewer");

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>

namespace tempera {

/// Text or a number. Refers to the text.
class word {
public:
    constexpr word(char const* text) : word(std::string_view(text)) {}
    constexpr word(std::string_view text) : text_(text.data()), whole_(static_cast<std::int64_t>(text.size())) {}
    word(std::string const& text) : word(std::string_view(text)) {}
    template <std::integral Integer>
    requires(!std::same_as<Integer, bool> && !std::same_as<Integer, char>) constexpr word(Integer number)
        : whole_(static_cast<std::int64_t>(number)),
          kind_(std::is_unsigned_v<Integer> ? kind::natural : kind::whole) {}
    constexpr word(double number) : real_(number), kind_(kind::real) {}
    constexpr word(float number) : word(static_cast<double>(number)) {}

    void append_to(std::string& sentence) const {
        char digits[32];
        switch (kind_) {
            case kind::text: sentence.append(text_, static_cast<std::size_t>(whole_)); return;
            case kind::whole: std::snprintf(digits, sizeof digits, "%lld", static_cast<long long>(whole_)); break;
            case kind::natural:
                std::snprintf(digits, sizeof digits, "%llu", static_cast<unsigned long long>(whole_));
                break;
            case kind::real: std::snprintf(digits, sizeof digits, "%g", real_); break;
        }
        sentence += digits;
    }

private:
    enum class kind { text, whole, natural, real };

    char const* text_ = nullptr;
    std::int64_t whole_ = 0;  // the length of a text
    double real_ = 0;
    kind kind_ = kind::text;
};

/// Lives as long as the expression that it is written in.
class phrase {
public:
    constexpr phrase(std::initializer_list<word> words) : count_(words.size()) {
        words_ = words.begin();
    }
    template <std::convertible_to<word> Word>
    constexpr phrase(Word const& only) : only_(only), words_(&only_), count_(1) {}
    phrase(phrase const&) = delete;
    phrase& operator=(phrase const&) = delete;

    __attribute__((noinline, cold)) void append_to(std::string& sentence) const {
        for (word const* w = words_; w != words_ + count_; ++w) w->append_to(sentence);
    }
    __attribute__((noinline, cold)) std::string text() const {
        std::string sentence;
        append_to(sentence);
        return sentence;
    }

private:
    word only_{""};
    word const* words_ = nullptr;
    std::size_t count_;
};

}  // namespace tempera
