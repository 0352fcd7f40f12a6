// SPDX-License-Identifier: Apache-2.0
// The idx reader: what a good file holds, and a sentence for every way in which one can be bad.

#include <cstdint>
#include <string>
#include <vector>

#include "../catch.hpp"
#include "../refusal.hpp"
#include "../scratch_folder.hpp"

#include <tempera/io/idx.hpp>

using namespace tempera;

namespace {

/// A file of the dimensions given, its values 0, 1, 2, ...
std::vector<std::uint8_t> idx_of(std::vector<std::uint32_t> const& dims, std::size_t values) {
    std::vector<std::uint8_t> bytes{0, 0, 8, static_cast<std::uint8_t>(dims.size())};
    for (std::uint32_t const d : dims)
        for (int shift : {24, 16, 8, 0}) bytes.push_back(static_cast<std::uint8_t>(d >> shift));
    for (std::size_t i = 0; i < values; ++i) bytes.push_back(static_cast<std::uint8_t>(i));
    return bytes;
}

std::string message(std::vector<std::uint8_t> const& bytes) {
    return refusal([&] { parse_idx(bytes, "some.idx"); });
}

}  // namespace

TEST_CASE("idx files of one to four dimensions", "[io][idx]") {
    for (std::vector<std::uint32_t> const& dims :
         {std::vector<std::uint32_t>{24}, {2, 12}, {2, 3, 4}, {2, 3, 2, 2}}) {
        idx_array const a = parse_idx(idx_of(dims, 24), "some.idx");
        CHECK(a.dims == std::vector<int>(dims.begin(), dims.end()));
        REQUIRE(a.values.size() == 24);
        CHECK(a.values[23] == 23);
    }
    CHECK(parse_idx(idx_of({0x0102}, 0x0102), "some.idx").dims == std::vector<int>{258});
}

TEST_CASE("a bad idx file is refused with a sentence", "[io][idx]") {
    CHECK(says(message({}), {"some.idx: expected an idx file", "found 0 bytes"}));
    CHECK(says(message({0, 0, 8}), {"found 3 bytes"}));
    CHECK(says(message({0x1f, 0x8b, 8, 0, 0, 0}), {"two zero bytes", "unpacked"}));  // gzip
    auto bytes = idx_of({6}, 6);
    bytes[2] = 0x0d;
    CHECK(says(message(bytes), {"unsigned bytes (type 8)", "type 13"}));
    CHECK(says(message(idx_of({}, 1)), {"one to four dimensions, found 0"}));
    CHECK(says(message(idx_of({1, 1, 1, 1, 1}, 1)), {"one to four dimensions, found 5"}));
    bytes = idx_of({2, 3}, 0);
    bytes.pop_back();
    CHECK(says(message(bytes), {"a header of 12 bytes, found 11 bytes", "cut off"}));
    CHECK(says(message(idx_of({2, 3}, 5)), {"expected 6 bytes after the header, found 5", "cut off"}));
    CHECK(says(message(idx_of({2, 3}, 7)), {"expected 6 bytes after the header, found 7", "surplus"}));
    CHECK(says(message(idx_of({2, 0, 3}, 0)), {"dimension 1 of 0"}));
}

TEST_CASE("dimensions that multiply beyond any memory are refused before memory is taken", "[io][idx]") {
    constexpr std::uint32_t huge = 0xffffffffU;
    CHECK(says(message(idx_of({huge}, 0)), {"dimension 0 of 4294967295"}));
    CHECK(says(message(idx_of({0x80000000U}, 0)), {"dimension 0 of 2147483648"}));
    CHECK(says(message(idx_of({1, huge, huge, huge}, 0)), {"dimension 1 of 4294967295"}));
    CHECK(says(message(idx_of({0x10000, 0x10000}, 0)), {"dimension 1 of 65536"}));  // 2^32 would wrap to 0
    CHECK(says(message(idx_of({0x10000, 0x7000}, 0)), {"expected 1879048192 bytes after the header, found 0"}));
}

TEST_CASE("idx files are read from a path", "[io][idx]") {
    scratch_folder const folder;
    auto const bytes = idx_of({2, 2}, 4);
    scratch_folder::write(folder / "good", {reinterpret_cast<char const*>(bytes.data()), bytes.size()});
    CHECK(read_idx(folder / "good").values == std::vector<std::uint8_t>{0, 1, 2, 3});
    CHECK(says(refusal([&] { read_idx(folder / "missing"); }), {"missing", "a readable file", "No such file"}));
    CHECK(says(refusal([&] { read_idx(folder.path()); }), {"expected"}));
    CHECK(says(refusal([&] { read_bytes(folder / "good", 15); }), {"at most 15 bytes, found 16"}));
    CHECK(read_bytes(folder / "good", 16) == bytes);
}
