// SPDX-License-Identifier: Apache-2.0
#pragma once
// The header of a safetensors file: 8 bytes length, then JSON text with name, dtype, shape and offsets of each tensor.
// Read strictly from the bytes of a file, in memory or mapped, none of whose tensors is touched; and written.

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tempera/core/error.hpp>
#include <tempera/io/dtype.hpp>
#include <tempera/io/json.hpp>
#include <tempera/io/safetensors_entry.hpp>

namespace tempera {

static_assert(std::endian::native == std::endian::little, "files are little endian and are read in place");

/// Caps of the reader: header bytes, tensors, dimensions of one tensor, file bytes.
inline constexpr std::int64_t safetensors_header_limit = 100'000'000;
inline constexpr std::size_t safetensors_entry_limit = 65'536;
inline constexpr std::size_t safetensors_rank_limit = 32;
inline constexpr std::int64_t safetensors_file_limit = std::int64_t{1} << 42;

/// What the header says. The entries lie in the bytes that it was read from, which must outlive it.
class safetensors_header {
public:
    /// file: all of its bytes; where: what errors call it. Throws error.
    safetensors_header(std::span<std::byte const> file, std::string where) : where_(std::move(where)) { parse(file); }

    /// In the order of their bytes in the file.
    std::vector<safetensors_entry> const& entries() const { return entries_; }
    safetensors_metadata const& metadata() const { return metadata_; }
    /// Null when there is none of this name.
    safetensors_entry const* find(std::string_view name) const {
        auto const found = by_name_.find(name);
        return found == by_name_.end() ? nullptr : &entries_[found->second];
    }

private:
    struct range {
        std::int64_t begin = 0, end = 0;
    };

    void parse(std::span<std::byte const> file) {
        auto const size = static_cast<std::int64_t>(file.size());
        if (size < 8) fail("at least 8 bytes", size);
        std::uint64_t length = 0;
        std::memcpy(&length, file.data(), 8);
        if (length > static_cast<std::uint64_t>(safetensors_header_limit))
            fail({"a safetensors file, which begins with the length of a header of at most ", safetensors_header_limit,
                  " bytes"},
                 {length, ": another kind of file"});
        auto const header_size = static_cast<std::int64_t>(length);
        if (header_size > size - 8) fail({"a header of ", header_size, " bytes"}, {size - 8, " bytes in all"});
        std::string_view const header(reinterpret_cast<char const*>(file.data()) + 8, static_cast<std::size_t>(length));
        if (header.empty() || header.front() != '{') fail("a header that starts with '{'", "something else");
        payload_ = file.subspan(8 + static_cast<std::size_t>(length));
        read_header(header);
        place_entries();
    }

    void read_header(std::string_view header) {
        json_reader json(header, where_ + ", header",
                         {.depth = 3, .string_bytes = std::size_t{1} << 24, .elements = safetensors_entry_limit});
        json.object([&](std::string name) {
            if (name == "__metadata__") {
                json.object([&](std::string key) { metadata_[std::move(key)] = json.string(); });
            } else {
                read_entry(json, std::move(name));
            }
        });
        json.end();
    }

    void read_entry(json_reader& json, std::string name) {
        safetensors_entry entry;
        entry.name = std::move(name);
        std::vector<std::int64_t> offsets;
        std::string type;
        bool has_shape = false;
        json.object([&](std::string const& key) {
            if (key == "dtype") {
                type = json.string();
            } else if (key == "shape") {
                has_shape = true;
                json.array([&] {
                    entry.dims.push_back(json.unsigned_integer());
                    if (entry.dims.size() > safetensors_rank_limit) fail_entry(entry, "at most 32 dimensions", "more");
                });
            } else if (key == "data_offsets") {
                json.array([&] {
                    offsets.push_back(json.unsigned_integer());
                    if (offsets.size() > 2) fail_entry(entry, "two offsets", "more");
                });
            } else {
                fail_entry(entry, "dtype, shape and data_offsets", {"\"", key, "\""});
            }
        });
        auto const known = dtype_named(type);
        if (!known) fail_entry(entry, "a known dtype such as F32", {"\"", type, "\""});
        if (!has_shape || offsets.size() != 2)
            fail_entry(entry, "a shape and two offsets", has_shape ? "no offsets" : "no shape");
        entry.type = *known;
        range const at{offsets[0], offsets[1]};
        auto const size = static_cast<std::int64_t>(payload_.size());
        if (at.begin > at.end) fail_entry(entry, "an end after the beginning", {at.begin, " to ", at.end});
        if (at.end > size)
            fail_entry(entry, {"offsets within the ", size, " bytes of data"}, {at.begin, " to ", at.end},
                       "the file may have been cut off: take another copy, or write it again");
        std::int64_t const bytes = tensor_bytes(entry.type, entry.dims);
        if (bytes < 0) fail_entry(entry, "a shape whose size fits 63 bits", "a larger one");
        if (bytes != at.end - at.begin) fail_entry(entry, {bytes, " bytes, as dtype and shape say"}, at.end - at.begin);
        entry.bytes = payload_.subspan(static_cast<std::size_t>(at.begin), static_cast<std::size_t>(bytes));
        entries_.push_back(std::move(entry));
    }

    std::int64_t offset_of(safetensors_entry const& entry) const { return entry.bytes.data() - payload_.data(); }

    /// The entries must tile the data: no holes (where anything could hide), no overlaps, nothing left over.
    void place_entries() {
        std::sort(entries_.begin(), entries_.end(), [this](auto const& a, auto const& b) {
            auto const key = [this](auto const& e) { return std::pair(offset_of(e), e.bytes.size()); };
            return key(a) != key(b) ? key(a) < key(b) : a.name < b.name;
        });
        std::int64_t end = 0;
        for (std::size_t i = 0; i < entries_.size(); ++i) {
            if (offset_of(entries_[i]) != end)
                fail_entry(entries_[i], {"data at offset ", end, ", where the entry before ends"},
                           {"offset ", offset_of(entries_[i])});
            end += static_cast<std::int64_t>(entries_[i].bytes.size());
            by_name_.emplace(entries_[i].name, i);
        }
        if (end != static_cast<std::int64_t>(payload_.size()))
            fail({end, " bytes of data, as the header says"}, payload_.size());
    }

    [[noreturn]] void fail(phrase const& expected, phrase const& found) const {
        throw error(where_, expected, found, "check that it is a whole safetensors file, or take another copy");
    }
    [[noreturn]] void fail_entry(safetensors_entry const& entry, phrase const& expected, phrase const& found,
                                 char const* advice = "write the file again") const {
        throw error({where_, ", entry \"", entry.name, "\""}, expected, found, advice);
    }

    std::string where_;
    std::span<std::byte const> payload_;
    std::vector<safetensors_entry> entries_;
    std::map<std::string, std::size_t, std::less<>> by_name_;
    safetensors_metadata metadata_;
};

/// What a file begins with: the length, and the header of entries that follow one another, by their types and shapes alone
/// (their elements are not looked at), padded with spaces to a multiple of 8 bytes and to at least `room` in all. Throws
/// error for names that are not UTF-8, and for a header that a reader would refuse.
inline std::string safetensors_header_bytes(std::span<safetensors_entry const> entries,
                                            safetensors_metadata const& metadata, std::string const& where,
                                            std::size_t room = 0) {
    std::string text(8, '\0');
    text += '{';
    char const* comma = "";
    if (!metadata.empty()) {
        text += "\"__metadata__\":{";
        for (auto const& [key, value] : metadata) {
            text += comma;
            append_json_string(text, key);
            text += ':';
            append_json_string(text, value);
            comma = ",";
        }
        text += '}';
    }
    std::int64_t offset = 0;
    for (auto const& entry : entries) {
        text += comma;
        append_json_string(text, entry.name);
        text += ":{\"dtype\":\"" + std::string(name_of(entry.type)) + "\",\"shape\":[";
        for (std::size_t i = 0; i < entry.dims.size(); ++i) {
            if (i > 0) text += ',';
            text += std::to_string(entry.dims[i]);
        }
        std::int64_t const end = offset + tensor_bytes(entry.type, entry.dims);
        text += "],\"data_offsets\":[" + std::to_string(offset) + ',' + std::to_string(end) + "]}";
        offset = end;
        comma = ",";
    }
    text += '}';
    text.resize(std::max((text.size() + 7) / 8 * 8, room), ' ');
    std::uint64_t const length = text.size() - 8;
    if (length > static_cast<std::uint64_t>(safetensors_header_limit))
        throw error(where, {"a header of at most ", safetensors_header_limit, " bytes"}, length,
                    "shorten names and metadata");
    std::memcpy(text.data(), &length, 8);
    return text;
}

}  // namespace tempera
