// SPDX-License-Identifier: Apache-2.0
#pragma once
// Reading gzip files with zlib. Not part of tempera.hpp: include it where zlib is linked (-lz).

#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <tempera/core/error.hpp>
#include <tempera/io/bytes.hpp>
#include <tempera/io/idx.hpp>

namespace tempera {

/// The unpacked bytes of the gzip file at `path`. Throws error when the file is damaged, cut off, followed by
/// other bytes, or unpacks to more than `limit` bytes; never takes memory for more than that.
inline std::vector<std::uint8_t> read_gzip(std::string const& path, std::int64_t limit) {
    std::vector<std::uint8_t> packed = read_bytes(path, limit);
    struct inflater : z_stream {
        inflater() : z_stream() {}
        inflater(inflater const&) = delete;
        ~inflater() { inflateEnd(this); }
    } stream;
    if (inflateInit2(&stream, 15 + 16) != Z_OK)  // 15: the largest window, 16: a gzip header and no other
        throw error("zlib could not be started; check the memory and the version of zlib");
    std::vector<std::uint8_t> out;
    stream.next_in = packed.data();
    stream.avail_in = static_cast<uInt>(packed.size());
    std::size_t filled = 0;
    for (int state = Z_OK; state != Z_STREAM_END;) {
        if (filled == out.size()) {
            // One byte above the limit shows that there is more.
            std::size_t const most = static_cast<std::size_t>(limit) + 1;
            if (out.size() == most)
                throw error(path, {"at most ", limit, " bytes when unpacked"}, "more",
                            "check that this is the right file");
            out.resize(std::min(most, std::max<std::size_t>(out.size() * 2, packed.size() * 4 + 4096)));
        }
        stream.next_out = out.data() + filled;
        auto const room = static_cast<uInt>(std::min<std::size_t>(out.size() - filled, 1U << 30));
        stream.avail_out = room;
        state = inflate(&stream, Z_NO_FLUSH);
        filled += room - stream.avail_out;
        if (state != Z_OK && state != Z_STREAM_END)
            throw error(path, "an intact gzip file",
                        state == Z_BUF_ERROR    ? "one that is cut off"
                        : stream.msg != nullptr ? stream.msg
                                                : "damaged content",
                        "fetch it again");
    }
    if (static_cast<std::int64_t>(filled) > limit)
        throw error(path, {"at most ", limit, " bytes when unpacked"}, "more", "check that this is the right file");
    if (stream.avail_in != 0)
        throw error(path, "one gzip stream", {stream.avail_in, " bytes after it"},
                    "the file has surplus bytes: fetch it again");
    out.resize(filled);
    return out;
}

/// The idx array in the gzip file at `path`.
inline idx_array read_idx_gzip(std::string const& path) { return parse_idx(read_gzip(path, idx_limit), path); }

}  // namespace tempera
