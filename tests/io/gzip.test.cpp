// SPDX-License-Identifier: Apache-2.0
// Reading gzip files: what zlib packed comes back, damage of every kind is refused, and a small file that unpacks to
// a large one is stopped at the limit.

#include <zlib.h>

#include <cstdint>
#include <string>
#include <vector>

#include "../catch.hpp"
#include "../refusal.hpp"
#include "../scratch_folder.hpp"

#include <tempera/io/gzip.hpp>

using namespace tempera;

namespace {

std::string packed(std::string const& plain) {
    z_stream stream{};
    REQUIRE(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    std::string out(deflateBound(&stream, plain.size()) + 32, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
    stream.avail_in = static_cast<uInt>(plain.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data());
    stream.avail_out = static_cast<uInt>(out.size());
    REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
}

}  // namespace

TEST_CASE("gzip files come back as they were packed", "[io][gzip]") {
    scratch_folder const folder;
    for (std::size_t const size : {0U, 1U, 1000U, 300'000U}) {
        std::string plain;
        for (std::size_t i = 0; i < size; ++i) plain += static_cast<char>(i * i / 7);
        scratch_folder::write(folder / "file.gz", packed(plain));
        CHECK(read_gzip(folder / "file.gz", 1 << 20) == std::vector<std::uint8_t>(plain.begin(), plain.end()));
    }
    scratch_folder::write(folder / "array.gz", packed(std::string("\0\0\x08\x01\0\0\0\x02" "ab", 10)));
    CHECK(read_idx_gzip(folder / "array.gz").values == std::vector<std::uint8_t>{'a', 'b'});
}

TEST_CASE("damaged gzip files are refused", "[io][gzip]") {
    scratch_folder const folder;
    std::string const good = packed("twenty bytes of text");
    auto const message = [&](std::string const& bytes) {
        scratch_folder::write(folder / "file.gz", bytes);
        return refusal([&] { read_gzip(folder / "file.gz", 100); });
    };
    for (std::size_t length = 0; length < good.size(); ++length) {
        CAPTURE(length);
        CHECK(says(message(good.substr(0, length)), {"file.gz", "an intact gzip file", "cut off"}));
    }
    CHECK(says(message("plain text, not packed"), {"an intact gzip file", "incorrect header"}));
    std::string flipped = good;
    flipped[good.size() - 6] = static_cast<char>(flipped[good.size() - 6] ^ 1);
    CHECK(says(message(flipped), {"incorrect data check"}));
    CHECK(says(message(good + "x"), {"one gzip stream", "1 bytes after it"}));
    CHECK(says(message(good + good), {"one gzip stream"}));
    CHECK(message(good) == "nothing was thrown");
}

TEST_CASE("unpacking stops at the limit", "[io][gzip]") {
    scratch_folder const folder;
    std::string const bomb = packed(std::string(10'000'000, '\0'));
    REQUIRE(bomb.size() < 20'000);
    scratch_folder::write(folder / "file.gz", bomb);
    for (int const limit : {20'000, 1'000'000, 9'999'999})
        CHECK(says(refusal([&] { read_gzip(folder / "file.gz", limit); }),
                   {"at most " + std::to_string(limit) + " bytes when unpacked, found more"}));
    CHECK(read_gzip(folder / "file.gz", 10'000'000).size() == 10'000'000);
}
