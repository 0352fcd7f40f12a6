// SPDX-License-Identifier: Apache-2.0
// safetensors: round trips, the fixtures against another parser, and every kind of damage.
#include "../catch.hpp"
#include "../fixture.hpp"
#include "../refusal.hpp"
#include "../scratch_folder.hpp"

#include <array>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <string>
#include <sys/resource.h>
#include <vector>

#include <tempera/core/philox.hpp>
#include <tempera/io/safetensors.hpp>

#ifndef TEMPERA_TEST_FIXTURES
#define TEMPERA_TEST_FIXTURES "tests/fixtures"
#endif

namespace {

using tempera::dtype;
using tempera::entry_of;
using tempera::safetensors_entry;
using tempera::safetensors_file;

std::vector<std::uint8_t> bytes_of_text(std::string const& text) { return {text.begin(), text.end()}; }

/// A file with this header and this many bytes of data.
std::vector<std::uint8_t> file_with(std::string const& header, std::size_t data) {
    std::uint64_t const length = header.size();
    std::vector<std::uint8_t> out(8);
    std::memcpy(out.data(), &length, 8);
    out.insert(out.end(), header.begin(), header.end());
    out.resize(out.size() + data, 7);
    return out;
}
std::string refusal_of(std::vector<std::uint8_t> bytes) {
    return refusal([&] { safetensors_file(std::move(bytes), "x.safetensors"); });
}
std::string refusal_of(std::string const& header, std::size_t data) { return refusal_of(file_with(header, data)); }

struct sample {
    std::vector<float> weights{1.5F, -0.0F, 3e38F, 1e-45F, 5, 6};
    std::vector<double> means{0.1, 0.2};
    std::vector<std::int32_t> labels{-1, 7, 1 << 30};
    std::vector<tempera::bf16> rounded{tempera::bf16(1.0F), tempera::bf16(-2.5F)};
    std::vector<std::uint8_t> image{0, 255, 17};
    std::vector<std::int64_t> step{123456789012345};
    std::vector<float> nothing;

    std::vector<safetensors_entry> entries() const {
        return {
            entry_of<std::uint8_t>("image", {3}, image),   entry_of<float>("encoder.conv.weight", {2, 1, 3}, weights),
            entry_of<std::int32_t>("labels", {3}, labels), entry_of<float>("nothing", {0, 4}, nothing),
            entry_of<double>("moving_mean", {2}, means),   entry_of<std::int64_t>("step", {}, step),
            entry_of<float>("a.nothing", {3, 0}, nothing), entry_of<tempera::bf16>("näme \"q\" \n", {2, 1}, rounded)};
    }
};

}  // namespace

TEST_CASE("safetensors: what is written reads back", "[io]") {
    scratch_folder const folder;
    sample const s;
    std::string const path = folder / "a.safetensors";
    tempera::write_safetensors(path, s.entries(), {{"step", "12"}, {"note", "ü\t\"x\""}});
    auto const file = tempera::read_safetensors(path);
    CHECK(file.metadata() == tempera::safetensors_metadata{{"step", "12"}, {"note", "ü\t\"x\""}});
    REQUIRE(file.entries().size() == s.entries().size());
    for (auto const& expected : s.entries()) {
        auto const& found = file[expected.name];
        INFO(expected.name);
        CHECK(found.type == expected.type);
        CHECK(found.dims == expected.dims);
        CHECK(found.count() == expected.count());
        REQUIRE(found.bytes.size() == expected.bytes.size());
        CHECK(std::equal(found.bytes.begin(), found.bytes.end(), expected.bytes.begin()));
        CHECK(reinterpret_cast<std::uintptr_t>(found.bytes.data()) % static_cast<unsigned>(bytes_of(found.type)) == 0);
    }
    std::array<double, 2> means{};
    file.copy<double>("moving_mean", means);
    CHECK(means == std::array{0.1, 0.2});
    CHECK(file.find("none") == nullptr);

    auto const moved = tempera::read_safetensors(path);
    tempera::write_safetensors(folder / "b.safetensors", moved.entries(), moved.metadata());
    CHECK(scratch_folder::read(path) == scratch_folder::read(folder / "b.safetensors"));
}

TEST_CASE("safetensors: only empty tensors, and no tensors", "[io]") {
    scratch_folder const folder;
    std::string const path = folder / "a.safetensors";
    tempera::write_safetensors(
        path, {entry_of<float>("z", {0}, {}), entry_of<double>("a", {0}, {}), entry_of<std::uint8_t>("b", {2, 0}, {})});
    CHECK(tempera::read_safetensors(path).entries().size() == 3);
    tempera::write_safetensors(path, {});
    CHECK(tempera::read_safetensors(path).entries().empty());
}

TEST_CASE("safetensors: asking for the wrong thing says what there is", "[io]") {
    scratch_folder const folder;
    std::string const path = folder / "a.safetensors";
    sample const s;
    tempera::write_safetensors(path, s.entries());
    auto const file = tempera::read_safetensors(path);
    CHECK(says(refusal([&] { static_cast<void>(file["encoder.bias"]); }), {path, "\"encoder.bias\"", "8 others"}));
    std::array<float, 5> five{};
    CHECK(says(refusal([&] { file.copy<float>("encoder.conv.weight", five); }),
               {path, "encoder.conv.weight", "5 elements of F32", "6 of F32"}));
    std::array<std::int32_t, 6> integers{};
    CHECK(says(refusal([&] { file.copy<std::int32_t>("encoder.conv.weight", integers); }),
               {"6 elements of I32", "6 of F32"}));
    CHECK(says(refusal([&] { tempera::read_safetensors(folder / "none"); }), {"none", "No such file"}));
}

TEST_CASE("safetensors: the fixtures read as another parser reads them", "[io]") {
    int compared = 0;
    for (auto const& place : std::filesystem::directory_iterator(TEMPERA_TEST_FIXTURES)) {
        if (place.path().extension() != ".safetensors") continue;
        INFO(place.path().string());
        fixture::file const expected(place.path().stem().string());
        auto const file = tempera::read_safetensors(place.path().string());
        REQUIRE(file.entries().size() == expected.names().size());
        bool equal = true;
        for (auto const& entry : file.entries()) {
            auto const& tensor = expected[entry.name];
            std::vector<float> values(static_cast<std::size_t>(entry.count()));
            file.copy<float>(entry.name, values);
            equal = equal && std::equal(entry.dims.begin(), entry.dims.end(), tensor.dims.begin(), tensor.dims.end()) &&
                    values.size() == tensor.values.size() &&
                    std::memcmp(values.data(), tensor.values.data(), values.size() * sizeof(float)) == 0;
        }
        CHECK(equal);
        ++compared;
    }
    CHECK(compared >= 15);
}

TEST_CASE("safetensors: a file that the Python package wrote", "[io]") {
    // save_file({"w": arange(6, float32).reshape(1, 2, 3), "i": [1, 2], "z": zeros(0, float16), "bool": [True]},
    //           metadata={"x": "y"}) of safetensors.numpy 0.8.0
    std::string const header =
        R"({"__metadata__":{"x":"y"},"i":{"dtype":"I64","shape":[2],"data_offsets":[0,16]},"w":{"dtype":"F32","shape":[1,2,3],"data_offsets":[16,40]},"z":{"dtype":"F16","shape":[0],"data_offsets":[40,40]},"bool":{"dtype":"BOOL","shape":[1],"data_offsets":[40,41]}}   )";
    std::vector<std::uint8_t> bytes = file_with(header, 41);
    std::array<std::int64_t, 2> const i{1, 2};
    std::array<float, 6> const w{0, 1, 2, 3, 4, 5};
    std::memcpy(bytes.data() + 8 + header.size(), i.data(), 16);
    std::memcpy(bytes.data() + 24 + header.size(), w.data(), 24);
    bytes.back() = 1;
    safetensors_file const file(std::move(bytes), "python");
    std::array<std::int64_t, 2> i_read{};
    std::array<float, 6> w_read{};
    file.copy<std::int64_t>("i", i_read);
    file.copy<float>("w", w_read);
    CHECK(i_read == i);
    CHECK(w_read == w);
    CHECK(file["w"].dims == std::vector<std::int64_t>{1, 2, 3});
    CHECK(file["z"].type == dtype::f16);
    CHECK(file["bool"].type == dtype::boolean);
    CHECK(file["bool"].bytes[0] == std::byte{1});
    CHECK(file.metadata() == tempera::safetensors_metadata{{"x", "y"}});
}

TEST_CASE("safetensors: every truncation and every flipped bit is refused or harmless", "[io]") {
    scratch_folder const folder;
    std::string const path = folder / "a.safetensors";
    std::vector<float> values(40);
    tempera::philox_stream draws(1);
    for (float& v : values) v = draws.uniform(-1, 1);
    std::vector<std::uint8_t> const small{1, 2, 3};
    tempera::write_safetensors(
        path, {entry_of<float>("a.weight", {8, 5}, values), entry_of<std::uint8_t>("b", {3}, small)}, {{"k", "v"}});
    auto const whole = scratch_folder::read(path);
    safetensors_file const original(whole, "whole");

    for (std::size_t n = 0; n < whole.size(); ++n) {
        INFO(n);
        REQUIRE_THROWS_AS(safetensors_file({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n)}, "cut"),
                          tempera::error);
    }
    int harmless = 0;
    for (std::size_t bit = 0; bit < 8 * whole.size(); ++bit) {
        auto damaged = whole;
        damaged[bit / 8] = static_cast<std::uint8_t>(damaged[bit / 8] ^ (1U << (bit % 8)));
        try {
            safetensors_file const file(std::move(damaged), "flipped");
            ++harmless;
            INFO(bit);
            REQUIRE(file.entries().size() == original.entries().size());
            for (auto const& entry : original.entries()) {
                auto const& found = file[entry.name];
                REQUIRE((found.type == entry.type && found.dims == entry.dims));
                REQUIRE(std::equal(found.bytes.begin(), found.bytes.end(), entry.bytes.begin(), entry.bytes.end()));
            }
            REQUIRE(file.metadata().find("k")->second == "v");
        } catch (tempera::error const&) {
        }
    }
    CHECK(harmless <=
          8 * static_cast<int>(tempera::safetensors_checksum_key.size()));  // flips in the checksum's own name
}

TEST_CASE("safetensors: a changed file with an old checksum says what to do", "[io]") {
    scratch_folder const folder;
    std::string const path = folder / "a.safetensors";
    tempera::write_safetensors(path, sample().entries());
    auto bytes = scratch_folder::read(path);
    bytes.back() ^= 1;
    CHECK(says(refusal_of(std::move(bytes)),
               {"x.safetensors", "checksum crc64:", "tempera.checksum", "take another copy"}));
}

TEST_CASE("safetensors: headers that lie are refused", "[io]") {
    std::string const a = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
    REQUIRE_NOTHROW(safetensors_file(file_with(a, 8), "x"));
    REQUIRE_NOTHROW(safetensors_file(file_with(a + "   ", 8), "x"));
    CHECK(says(refusal_of(a, 7), {"\"a\"", "offsets within the 7 bytes", "cut off"}));
    CHECK(says(refusal_of(a, 9), {"8 bytes of data", "9"}));
    CHECK(says(refusal_of(" " + a, 8), {"'{'"}));
    CHECK(says(refusal_of(a + "x", 8), {"the end"}));
    CHECK(says(refusal_of(a + std::string(1, '\0'), 8), {"the end"}));
    CHECK(says(refusal_of(bytes_of_text("abc")), {"8 bytes", "3"}));
    CHECK(says(refusal_of(bytes_of_text("")), {"8 bytes", "0"}));

    auto const one = [](std::string const& body) { return "{\"a\":" + body + "}"; };
    for (
        std::string const body :
        {R"({"dtype":"F32","shape":[3],"data_offsets":[0,8]})",
         R"({"dtype":"F64","shape":[2],"data_offsets":[0,8]})",
         R"({"dtype":"F33","shape":[2],"data_offsets":[0,8]})",
         R"({"dtype":"f32","shape":[2],"data_offsets":[0,8]})",
         R"({"dtype":"F32","shape":[2],"data_offsets":[8,0]})",
         R"({"dtype":"F32","shape":[2],"data_offsets":[0,8,8]})",
         R"({"dtype":"F32","shape":[2],"data_offsets":[8]})",
         R"({"dtype":"F32","shape":[2]})",
         R"({"dtype":"F32","data_offsets":[0,8]})",
         R"({"shape":[2],"data_offsets":[0,8]})",
         R"({"dtype":"F32","shape":[-2],"data_offsets":[0,8]})",
         R"({"dtype":"F32","shape":[2.0],"data_offsets":[0,8]})",
         R"({"dtype":"F32","shape":2,"data_offsets":[0,8]})",
         R"({"dtype":"F32","shape":["2"],"data_offsets":[0,8]})",
         R"({"dtype":32,"shape":[2],"data_offsets":[0,8]})",
         R"({"dtype":"F32","shape":[2],"data_offsets":[0,8],"more":1})",
         R"({"dtype":"F32","shape":[2],"data_offsets":[0,18446744073709551615]})",
         R"({"dtype":"F32","shape":[4611686018427387904,4,2],"data_offsets":[0,8]})",
         R"({"dtype":"F32","shape":[4294967296,4294967296,2],"data_offsets":[0,8]})",
         R"({"dtype":"F32","shape":[2],"dtype":"F32","data_offsets":[0,8]})",
         R"({"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,2],"data_offsets":[0,8]})",
         R"([])",
         R"("F32")",
         "1",
         "null",
         "{}"}) {
        INFO(body);
        CHECK(says(refusal_of(one(body), 8), {"x.safetensors"}));
    }
    std::string const x = R"("x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})",
                      y = R"("y":{"dtype":"F32","shape":[1],"data_offsets":)";
    REQUIRE_NOTHROW(safetensors_file(file_with("{" + y + "[4,8]}," + x + "}", 8), "x"));
    CHECK(says(refusal_of("{" + x + "," + y + "[0,4]}}", 4), {"\"y\"", "offset 4"}));  // overlap
    CHECK(says(refusal_of("{" + x + "," + y + "[5,9]}}", 9), {"\"y\"", "offset 4"}));  // hole
    CHECK(says(refusal_of("{" + x + "," + x + "}", 4), {"\"x\" twice"}));
    CHECK(says(refusal_of(R"({"__metadata__":{"a":1}})", 0), {"a string"}));
    CHECK(says(refusal_of(R"({"__metadata__":{"a":"1","a":"2"}})", 0), {"\"a\" twice"}));
    CHECK(says(refusal_of(R"({"__metadata__":{},"__metadata__":{}})", 0), {"twice"}));
}

TEST_CASE("safetensors: header bombs are refused before they cost anything", "[io]") {
    for (std::uint64_t const length :
         {std::uint64_t{100'000'001}, std::uint64_t{1} << 40, ~std::uint64_t{0}, std::uint64_t{1} << 63}) {
        std::vector<std::uint8_t> bytes(16, '{');
        std::memcpy(bytes.data(), &length, 8);
        CHECK(says(refusal_of(bytes), {"at most 100000000 bytes"}));
    }
    std::uint64_t const longer = 9;
    std::vector<std::uint8_t> bytes(16, '{');
    std::memcpy(bytes.data(), &longer, 8);
    CHECK(says(refusal_of(bytes), {"9 bytes", "8 bytes in all"}));
    CHECK(says(refusal_of("{\"a\":" + std::string(1'000'000, '['), 0), {"an object"}));
    CHECK(says(refusal_of("{\"a\":{\"dtype\":" + std::string(1'000'000, '['), 0), {"a string"}));

    std::string many = "{";
    for (int i = 0; i < 70'000; ++i)
        many += (i > 0 ? ",\"" : "\"") + std::to_string(i) + R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
    CHECK(says(refusal_of(many + "}", 0), {"at most 65536 members"}));
}

TEST_CASE("safetensors: the writer refuses what a reader would", "[io]") {
    scratch_folder const folder;
    std::string const path = folder / "a.safetensors";
    std::vector<float> const two{1, 2};
    auto const write = [&](std::vector<safetensors_entry> entries, tempera::safetensors_metadata metadata = {}) {
        return refusal([&] { tempera::write_safetensors(path, std::move(entries), metadata); });
    };
    CHECK(says(write({entry_of<float>("a", {3}, two)}), {path, "\"a\"", "12 bytes", "8"}));
    CHECK(says(write({entry_of<float>("a", {-2}, two)}), {"\"a\""}));
    CHECK(says(write({entry_of<float>("a", {std::int64_t{1} << 62, 8}, two)}), {"\"a\""}));
    CHECK(says(write({entry_of<float>("a", {2}, two), entry_of<float>("a", {2}, two)}), {"\"a\"", "one taken"}));
    CHECK(says(write({entry_of<float>("__metadata__", {2}, two)}), {"__metadata__"}));
    CHECK(says(write({entry_of<float>("\xff", {2}, two)}), {"UTF-8"}));
    CHECK(says(write({}, {{"tempera.checksum", "x"}}), {"tempera.checksum"}));
    CHECK(says(write({}, {{"k", "\xff"}}), {"UTF-8"}));
    CHECK(folder.names().empty());
}

TEST_CASE("safetensors: a disk that fills up leaves the last checkpoint", "[io]") {
    scratch_folder const folder;
    std::string const path = folder / "a.safetensors";
    tempera::write_safetensors(path, sample().entries());
    auto const before = scratch_folder::read(path);
    std::vector<float> const big(100'000, 1.0F);

    auto* const handler = std::signal(SIGXFSZ, SIG_IGN);
    rlimit old{};
    getrlimit(RLIMIT_FSIZE, &old);
    for (rlim_t const limit : {rlim_t{0}, rlim_t{5}, rlim_t{100}, rlim_t{1000},
                               rlim_t{399'999}}) {  // fails in the length, the header, and the data
        rlimit const low{limit, old.rlim_max};
        setrlimit(RLIMIT_FSIZE, &low);
        std::string const message =
            refusal([&] { tempera::write_safetensors(path, {entry_of<float>("big", {100'000}, big)}); });
        setrlimit(RLIMIT_FSIZE, &old);
        INFO(limit);
        CHECK(says(message, {path, "File too large", "is unchanged"}));
        CHECK(scratch_folder::read(path) == before);
        CHECK(folder.names() == std::vector<std::string>{"a.safetensors"});
    }
    std::signal(SIGXFSZ, handler);
}

TEST_CASE("crc64: the published check value, in any pieces", "[io]") {
    tempera::crc64 crc;
    crc.add("123456789");
    CHECK(crc.value() == 0x995dc9bbdf1939faU);  // CRC-64/XZ in the RevEng catalogue
    std::string const text = "The quick brown fox jumps over the lazy dog, twice and again.";
    tempera::crc64 once;
    once.add(text);
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
        tempera::crc64 pieces;
        pieces.add(std::string_view(text).substr(0, cut));
        pieces.add(std::string_view(text).substr(cut));
        CHECK(pieces.value() == once.value());
    }
}

TEST_CASE("dtype: names and sizes", "[io]") {
    for (int i = 0; i < 16; ++i) {
        auto const type = static_cast<dtype>(i);
        CHECK(tempera::dtype_named(name_of(type)) == type);
    }
    CHECK(bytes_of(dtype::bf16) == 2);
    CHECK(bytes_of(dtype::f32) == 4);
    CHECK(bytes_of(dtype::c64) == 8);
    CHECK(bytes_of(dtype::boolean) == 1);
    CHECK_FALSE(tempera::dtype_named("F4").has_value());
}
