// SPDX-License-Identifier: Apache-2.0
#pragma once
// safetensors files (github.com/huggingface/safetensors, "Format"): 8 bytes header length, a JSON header with name,
// dtype, shape and offsets of each tensor, then the tensors, all little endian. Reading is strict; writing is atomic
// and adds a checksum, so that a damaged checkpoint is refused instead of loaded.

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tempera/core/error.hpp>
#include <tempera/io/atomic_file.hpp>
#include <tempera/io/bytes.hpp>
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

/// The metadata entry that holds the checksum: "crc64:" and 16 hexadecimal digits. Other programs ignore it; one that
/// changes tensors and keeps metadata must drop it.
inline constexpr std::string_view safetensors_checksum_key = "tempera.checksum";

/// A file in memory.
class safetensors_file {
public:
    /// Checks and takes over the bytes of a file; where: what errors call it. Throws error.
    safetensors_file(std::vector<std::uint8_t> content, std::string where)
        : where_(std::move(where)), content_(std::move(content)) {
        parse();
    }
    safetensors_file(safetensors_file&&) = default;
    safetensors_file& operator=(safetensors_file&&) = default;

    /// In the order of their bytes in the file.
    std::vector<safetensors_entry> const& entries() const { return entries_; }
    /// Without the checksum.
    safetensors_metadata const& metadata() const { return metadata_; }

    /// Null when there is none of this name.
    safetensors_entry const* find(std::string_view name) const {
        auto const found = by_name_.find(name);
        return found == by_name_.end() ? nullptr : &entries_[found->second];
    }
    /// Throws error when there is none of this name.
    safetensors_entry const& operator[](std::string_view name) const {
        if (auto const* entry = find(name)) return *entry;
        std::string first;
        for (std::size_t i = 0; i < std::min<std::size_t>(entries_.size(), 3); ++i)
            first += " \"" + entries_[i].name + '"';
        throw error(where_, {"an entry \"", name, "\""},
                    {entries_.size(), " others", (first.empty() ? "" : ", such as" + first)},
                    "check that the file belongs to this network");
    }
    /// Copies the elements of an entry. Throws error unless it holds exactly out.size() elements of type T.
    template <class T>
    void copy(std::string_view name, std::span<T> out) const {
        safetensors_entry const& entry = (*this)[name];
        if (entry.type != dtype_of<T> || entry.bytes.size() != out.size_bytes())
            throw error({where_, ", entry \"", entry.name, "\""}, {out.size(), " elements of ", name_of(dtype_of<T>)},
                        {entry.count(), " of ", name_of(entry.type)}, "check that the file belongs to this network");
        if (!out.empty()) std::memcpy(out.data(), entry.bytes.data(), out.size_bytes());
    }

private:
    struct range {
        std::int64_t begin = 0, end = 0;
    };

    void parse() {
        auto const size = static_cast<std::int64_t>(content_.size());
        if (size < 8) fail("at least 8 bytes", size);
        std::uint64_t length = 0;
        std::memcpy(&length, content_.data(), 8);
        if (length > static_cast<std::uint64_t>(safetensors_header_limit))
            fail({"a safetensors file, which begins with the length of a header of at most ", safetensors_header_limit, " bytes"},
                 {length, ": another kind of file"});
        auto const header_size = static_cast<std::int64_t>(length);
        if (header_size > size - 8) fail({"a header of ", header_size, " bytes"}, {size - 8, " bytes in all"});
        std::string_view const header(reinterpret_cast<char const*>(content_.data()) + 8,
                                      static_cast<std::size_t>(length));
        if (header.empty() || header.front() != '{') fail("a header that starts with '{'", "something else");
        payload_ = std::as_bytes(std::span(content_)).subspan(8 + static_cast<std::size_t>(length));
        read_header(header);
        place_entries();
        verify();
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
        if (at.begin > at.end || at.end > size)
            fail_entry(entry, {"offsets within the ", size, " bytes of data"}, {at.begin, " to ", at.end});
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

    void verify() {
        auto const stored = metadata_.find(safetensors_checksum_key);
        if (stored == metadata_.end()) return;
        std::string const expected = std::move(stored->second);
        metadata_.erase(stored);
        std::string const found = safetensors_checksum(entries_, metadata_);
        if (found == expected) return;
        throw error(where_, {"checksum ", expected}, found,
                    {"the file is damaged, or a program changed it and kept the metadata entry \"",
                     safetensors_checksum_key, "\": take another copy, or drop that entry"});
    }

    [[noreturn]] void fail(phrase const& expected, phrase const& found) const {
        throw error(where_, expected, found, "check that it is a whole safetensors file, or take another copy");
    }
    [[noreturn]] void fail_entry(safetensors_entry const& entry, phrase const& expected, phrase const& found) const {
        throw error({where_, ", entry \"", entry.name, "\""}, expected, found, "write the file again");
    }

    std::string where_;
    std::vector<std::uint8_t> content_;
    std::span<std::byte const> payload_;
    std::vector<safetensors_entry> entries_;
    std::map<std::string, std::size_t, std::less<>> by_name_;
    safetensors_metadata metadata_;
};

/// Reads and checks a whole file. Throws error.
inline safetensors_file read_safetensors(std::string const& path) {
    return {read_bytes(path, safetensors_file_limit), path};
}

/// Writes entries (wide element types first, so that each is aligned) and metadata with a checksum. Atomic: on any
/// error what was at path stays. Throws error for entries that a reader would refuse, and when the disk fails.
inline void write_safetensors(std::string const& path, std::vector<safetensors_entry> entries,
                              safetensors_metadata const& metadata = {}) {
    if (entries.size() > safetensors_entry_limit)
        throw error(path, {"at most ", safetensors_entry_limit, " entries"}, entries.size(), "write several files");
    if (metadata.count(safetensors_checksum_key) != 0)
        throw error(path, "metadata of the caller's own", safetensors_checksum_key, "leave the entry to the writer");
    std::set<std::string_view> names{"__metadata__"};
    for (auto const& entry : entries) {
        auto const refuse = [&](phrase const& expected, phrase const& found, char const* advice) {
            throw error({path, ", entry \"", entry.name, "\""}, expected, found, advice);
        };
        if (!names.insert(entry.name).second) refuse("a name of its own", "one taken", "rename it");
        if (!is_utf8(entry.name)) refuse("a name in UTF-8", "other bytes", "rename it");
        if (entry.dims.size() > safetensors_rank_limit)
            refuse("at most 32 dimensions", entry.dims.size(), "reshape it");
        std::int64_t const bytes = tensor_bytes(entry.type, entry.dims);
        if (bytes < 0 || bytes != static_cast<std::int64_t>(entry.bytes.size()))
            refuse({bytes, " bytes, as dtype and shape say"}, entry.bytes.size(), "give a shape that fits the values");
    }
    // The order in which a reader meets them: empty ones share offset 0 and go by name.
    std::sort(entries.begin(), entries.end(), [](auto const& a, auto const& b) {
        auto const width = [](auto const& e) { return e.bytes.empty() ? 16 : bytes_of(e.type); };
        return width(a) != width(b) ? width(a) > width(b) : a.name < b.name;
    });
    std::string header = "{\"__metadata__\":{";
    for (auto const& [key, value] : metadata) {
        append_json_string(header, key);
        header += ':';
        append_json_string(header, value);
        header += ',';
    }
    append_json_string(header, safetensors_checksum_key);
    header += ":\"" + safetensors_checksum(entries, metadata) + "\"}";
    std::int64_t offset = 0;
    for (auto const& entry : entries) {
        header += ',';
        append_json_string(header, entry.name);
        header += ":{\"dtype\":\"" + std::string(name_of(entry.type)) + "\",\"shape\":[";
        for (std::size_t i = 0; i < entry.dims.size(); ++i)
            header += (i > 0 ? "," : "") + std::to_string(entry.dims[i]);
        auto const end = offset + static_cast<std::int64_t>(entry.bytes.size());
        header += "],\"data_offsets\":[" + std::to_string(offset) + ',' + std::to_string(end) + "]}";
        offset = end;
    }
    header += '}';
    header.resize((header.size() + 7) / 8 * 8, ' ');
    if (static_cast<std::int64_t>(header.size()) > safetensors_header_limit)
        throw error(path, {"a header of at most ", safetensors_header_limit, " bytes"}, header.size(),
                    "shorten names and metadata");

    atomic_file file(path);
    std::uint64_t const length = header.size();
    file.write(std::as_bytes(std::span(&length, 1)));
    file.write(header);
    for (auto const& entry : entries) file.write(entry.bytes);
    file.commit();
}

}  // namespace tempera
