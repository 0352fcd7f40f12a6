// SPDX-License-Identifier: Apache-2.0
#pragma once
// safetensors files (github.com/huggingface/safetensors, "Format"): 8 bytes header length, a JSON header with name,
// dtype, shape and offsets of each tensor, then the tensors, all little endian. Reading is strict; writing is atomic
// and adds a checksum, so that a damaged checkpoint is refused instead of loaded.

#include <algorithm>
#include <cstdint>
#include <cstring>
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
#include <tempera/io/safetensors_entry.hpp>
#include <tempera/io/safetensors_header.hpp>
#include <tempera/io/utf8.hpp>

namespace tempera {

/// The metadata entry that holds the checksum: "crc64:" and 16 hexadecimal digits. Other programs ignore it; one that
/// changes tensors and keeps metadata must drop it.
inline constexpr std::string_view safetensors_checksum_key = "tempera.checksum";

/// A file in memory.
class safetensors_file {
public:
    /// Checks and takes over the bytes of a file; where: what errors call it. Throws error.
    safetensors_file(std::vector<std::uint8_t> content, std::string where)
        : where_(std::move(where)), content_(std::move(content)), header_(std::as_bytes(std::span(content_)), where_) {
        verify();
    }
    safetensors_file(safetensors_file&&) = default;
    safetensors_file& operator=(safetensors_file&&) = default;

    /// In the order of their bytes in the file.
    std::vector<safetensors_entry> const& entries() const { return header_.entries(); }
    /// Without the checksum.
    safetensors_metadata const& metadata() const { return metadata_; }

    /// Null when there is none of this name.
    safetensors_entry const* find(std::string_view name) const { return header_.find(name); }
    /// Throws error when there is none of this name.
    safetensors_entry const& operator[](std::string_view name) const {
        if (auto const* entry = find(name)) return *entry;
        std::string first;
        for (std::size_t i = 0; i < std::min<std::size_t>(entries().size(), 3); ++i)
            first += " \"" + entries()[i].name + '"';
        throw error(where_, {"an entry \"", name, "\""},
                    {entries().size(), " others", (first.empty() ? "" : ", such as" + first)},
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
    void verify() {
        metadata_ = header_.metadata();
        auto const stored = metadata_.find(safetensors_checksum_key);
        if (stored == metadata_.end()) return;
        std::string const expected = std::move(stored->second);
        metadata_.erase(stored);
        std::string const found = safetensors_checksum(entries(), metadata_);
        if (found == expected) return;
        throw error(where_, {"checksum ", expected}, found,
                    {"the file is damaged, or a program changed it and kept the metadata entry \"",
                     safetensors_checksum_key, "\": take another copy, or drop that entry"});
    }

    std::string where_;
    std::vector<std::uint8_t> content_;
    safetensors_header header_;
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
    safetensors_metadata with_checksum = metadata;
    with_checksum[std::string(safetensors_checksum_key)] = safetensors_checksum(entries, metadata);
    std::string const header = safetensors_header_bytes(entries, with_checksum, path);

    atomic_file file(path);
    file.write(header);
    for (auto const& entry : entries) file.write(entry.bytes);
    file.commit();
}

}  // namespace tempera
