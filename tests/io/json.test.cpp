// SPDX-License-Identifier: Apache-2.0
// json_reader against nlohmann/json on what both must take or refuse, and its caps.
#include "../catch.hpp"
#include "../refusal.hpp"

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <tempera/io/json.hpp>

namespace {

using tempera::json_reader;

nlohmann::json tree(json_reader& json) {
    switch (json.peek()) {
        case '{': {
            auto out = nlohmann::json::object();
            json.object([&](std::string const& name) { out[name] = tree(json); });
            return out;
        }
        case '[': {
            auto out = nlohmann::json::array();
            json.array([&] { out.push_back(tree(json)); });
            return out;
        }
        case '"': return json.string();
        case 't':
        case 'f': return json.boolean();
        case 'n': json.null(); return nullptr;
        default: return json.number();
    }
}

nlohmann::json parse(std::string const& text) {
    json_reader json(text, "text");
    auto out = tree(json);
    json.end();
    return out;
}

bool accepts(std::string const& text) {
    json_reader json(text, "text");
    try {
        json.skip();
        json.end();
        return true;
    } catch (tempera::error const&) {
        return false;
    }
}

}  // namespace

TEST_CASE("json: values equal those of another parser", "[io]") {
    for (std::string const text :
         {R"({"a":[1,2.5,-3e2,0,-0.0,1E+2],"b":{"c":null,"d":true},"e":""})", " [ ] ", "{\n\t}\r\n",
          R"("\u00e4\u20AC\ud83d\ude00\"\\\/\b\f\n\r\t")", "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"",
          "[[[[[[[[1]]]]]]]]", "123456789012345678"}) {
        INFO(text);
        CHECK(parse(text) == nlohmann::json::parse(text));
    }
}

TEST_CASE("json: refuses what is no JSON, as another parser does", "[io]") {
    for (std::string const text : {"",
                                   " ",
                                   "{",
                                   "}",
                                   "[",
                                   "[1",
                                   "[1,",
                                   "[1,]",
                                   "[,1]",
                                   "[1 2]",
                                   "{\"a\"}",
                                   "{\"a\":}",
                                   "{\"a\":1,}",
                                   "{,}",
                                   "{a:1}",
                                   "{'a':1}",
                                   "01",
                                   "-",
                                   "+1",
                                   "1.",
                                   ".5",
                                   "1e",
                                   "1e+",
                                   "0x1",
                                   "NaN",
                                   "Infinity",
                                   "nul",
                                   "truE",
                                   "1 2",
                                   "\"",
                                   "\"\\",
                                   "\"\\x\"",
                                   "\"\\u12\"",
                                   "\"\\u123g\"",
                                   "\"\\ud800\"",
                                   "\"\\udc00\"",
                                   "\"\\ud800\\u0041\"",
                                   "\"\n\"",
                                   "\"\x01\"",
                                   "\"\xc0\x80\"",
                                   "\"\xed\xa0\x80\"",
                                   "\"\xf5\x80\x80\x80\"",
                                   "\"\xe2\x82\"",
                                   "\"\x80\"",
                                   "\"\xf0\x80\x80\x80\"",
                                   "\"\xe0\x80\x80\"",
                                   "// x\n1",
                                   "[1]x"}) {
        INFO(text);
        CHECK_FALSE(accepts(text));
        CHECK_FALSE(nlohmann::json::accept(text));
    }
    CHECK_FALSE(accepts(std::string("1\0", 2)));
    CHECK_FALSE(accepts("{\"a\":1,\"a\":2}"));  // nlohmann keeps the last one; a header must not be ambiguous
    CHECK_FALSE(accepts("{\"a\":1,\"\\u0061\":2}"));
    CHECK_FALSE(accepts("1e400"));  // beyond a double, either way
    CHECK_FALSE(accepts("1e-400"));
}

TEST_CASE("json: every truncation of a text is refused", "[io]") {
    std::string const text = R"({"a":[1,2.5,"x\u00e4"],"b":{"c":null,"d":true}})";
    REQUIRE(accepts(text));
    for (std::size_t n = 0; n < text.size(); ++n) {
        INFO(n);
        CHECK_FALSE(accepts(text.substr(0, n)));
    }
}

TEST_CASE("json: caps on depth, strings and elements", "[io]") {
    tempera::json_limits const limits{.depth = 3, .string_bytes = 4, .elements = 2};
    auto const within = [&](std::string const& text) {
        json_reader json(text, "text", limits);
        try {
            json.skip();
            return true;
        } catch (tempera::error const&) {
            return false;
        }
    };
    CHECK(within("[[[1]]]"));
    CHECK_FALSE(within("[[[[1]]]]"));
    CHECK(within("\"abcd\""));
    CHECK_FALSE(within("\"abcde\""));
    CHECK(within("[1,2]"));
    CHECK_FALSE(within("[1,2,3]"));
    CHECK(within("{\"a\":1,\"b\":2}"));
    CHECK_FALSE(within("{\"a\":1,\"b\":2,\"c\":3}"));
    CHECK_FALSE(accepts(std::string(100000, '[')));
}

TEST_CASE("json: integers of 63 bits and no others", "[io]") {
    auto const integer = [](std::string const& text) { return json_reader(text, "text").unsigned_integer(); };
    CHECK(integer("0") == 0);
    CHECK(integer("9223372036854775807") == 9223372036854775807LL);
    for (std::string const text : {"9223372036854775808", "18446744073709551616", "-1", "01", "", "x"}) {
        INFO(text);
        CHECK_THROWS_AS(integer(text), tempera::error);
    }
}

TEST_CASE("json: errors name the text, the byte, and what was there", "[io]") {
    json_reader json("{\"a\" 1}", "weights.safetensors, header");
    CHECK(says(refusal([&] { json.skip(); }), {"weights.safetensors, header, byte 5", "':'", "'1'"}));
}

TEST_CASE("json: written strings read back", "[io]") {
    std::string every;
    for (int c = 0; c < 128; ++c) every += static_cast<char>(c);
    every += "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80";
    std::string text;
    tempera::append_json_string(text, every);
    CHECK(json_reader(text, "text").string() == every);
    CHECK(nlohmann::json::parse(text).get<std::string>() == every);
    CHECK_THROWS_AS(tempera::append_json_string(text, "\xff"), tempera::error);
}
