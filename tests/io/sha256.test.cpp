// SPDX-License-Identifier: Apache-2.0
// SHA-256 against FIPS 180-4's examples and values of another implementation around the edges of a block.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "../catch.hpp"

#include <tempera/io/sha256.hpp>

using tempera::sha256;

namespace {

std::vector<std::uint8_t> bytes_of(std::string const& text) { return {text.begin(), text.end()}; }

}  // namespace

TEST_CASE("sha256 of the standard's examples", "[io][sha256]") {
    CHECK(sha256({}) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(sha256(bytes_of("abc")) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(sha256(bytes_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")) ==
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    CHECK(sha256(std::vector<std::uint8_t>(1'000'000, 'a')) ==
          "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("sha256 of lengths around the edges of a block", "[io][sha256]") {
    std::pair<int, char const*> const expected[] = {
        {55, "463eb28e72f82e0a96c0a4cc53690c571281131f672aa229e0d45ae59b598b59"},
        {56, "da2ae4d6b36748f2a318f23e7ab1dfdf45acdc9d049bd80e59de82a60895f562"},
        {63, "29af2686fd53374a36b0846694cc342177e428d1647515f078784d69cdb9e488"},
        {64, "fdeab9acf3710362bd2658cdc9a29e8f9c757fcf9811603a8c447cd1d9151108"},
        {65, "4bfd2c8b6f1eec7a2afeb48b934ee4b2694182027e6d0fc075074f2fabb31781"},
        {119, "da18797ed7c3a777f0847f429724a2d8cd5138e6ed2895c3fa1a6d39d18f7ec6"},
        {120, "f52b23db1fbb6ded89ef42a23ce0c8922c45f25c50b568a93bf1c075420bbb7c"},
        {1000, "4e4c294b331f7a2099a379bec34b9f9fc03dc46ab465d998f4d683da53487e6d"}};
    for (auto const& [length, digest] : expected) {
        CAPTURE(length);
        std::vector<std::uint8_t> bytes;
        for (int i = 0; i < length; ++i) bytes.push_back(static_cast<std::uint8_t>(i % 251));
        CHECK(sha256(bytes) == digest);
    }
}
