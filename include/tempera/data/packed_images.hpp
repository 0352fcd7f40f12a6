// SPDX-License-Identifier: Apache-2.0
#pragma once
// Packed images: sets of any size in one safetensors file, which is mapped, so that the system's page cache decides how much
// of it lies in memory. Python reads and writes the same files (safetensors.numpy):
//
//   pixels     U8   {n, height, width, channels}
//   labels     I32 or I64 {n}, -1 for none; absent: no image has one
//   metadata   "classes": the names of the classes, one a line; absent: as many classes as labels ask for, without names
//
// There is no checksum over the pixels: to compare it, every program would first read the whole file, for ImageNet a quarter
// of an hour from a disk. A file is written whole or not at all, and its header must account for every byte.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tempera/core/error.hpp>
#include <tempera/core/shape.hpp>
#include <tempera/data/image_set.hpp>
#include <tempera/io/atomic_file.hpp>
#include <tempera/io/mapped_file.hpp>
#include <tempera/io/safetensors_header.hpp>

namespace tempera {

namespace packed_detail {

inline constexpr std::string_view classes_key = "classes";
inline constexpr std::int64_t most_images = std::numeric_limits<std::int32_t>::max();

[[noreturn]] inline void refuse(std::string const& where, phrase const& expected, phrase const& found) {
    throw error(where, expected, found, "pack the images again, or check that this is the right file");
}

inline std::vector<std::string> lines_of(std::string_view text) {
    std::vector<std::string> lines;
    if (text.ends_with('\n')) text.remove_suffix(1);
    for (std::size_t end = 0; end != std::string_view::npos; text.remove_prefix(std::min(text.size(), end + 1))) {
        end = text.find('\n');
        lines.emplace_back(text.substr(0, end));
    }
    return lines;
}

/// The labels of n images; without an entry for them, none.
inline std::vector<std::int32_t> labels_of(safetensors_header const& header, std::int64_t n, std::string const& where) {
    std::vector<std::int32_t> labels(static_cast<std::size_t>(n), no_label);
    safetensors_entry const* const entry = header.find("labels");
    if (entry == nullptr) return labels;
    if ((entry->type != dtype::i32 && entry->type != dtype::i64) || entry->dims != std::vector<std::int64_t>{n})
        refuse(where, {"\"labels\", ", n, " of I32 or I64"}, {entry->count(), " of ", name_of(entry->type)});
    for (std::size_t i = 0; i < labels.size(); ++i) {
        // Copied, since nothing says that a file aligns them.
        std::int64_t label = 0;
        if (entry->type == dtype::i64) std::memcpy(&label, entry->bytes.data() + 8 * i, 8);
        else {
            std::memcpy(&labels[i], entry->bytes.data() + 4 * i, 4);
            label = labels[i];
        }
        if (label < no_label || label >= std::numeric_limits<std::int32_t>::max())
            refuse(where, "labels of 0 or more, or -1 for none", {label, " at image ", i});
        labels[i] = static_cast<std::int32_t>(label);
    }
    return labels;
}

}  // namespace packed_detail

/// The set that the bytes of a packed file hold, which live as long as `owner`. `where` names them in errors. Looks at header
/// and labels alone. Throws error for anything but a whole packed file.
inline image_set packed_images(std::span<std::byte const> file, std::shared_ptr<void const> const& owner,
                               std::string const& where) {
    using namespace packed_detail;
    safetensors_header const header(file, where);
    safetensors_entry const* const pixels = header.find("pixels");
    if (pixels == nullptr) {
        std::string others;
        for (safetensors_entry const& e : header.entries())
            if (others.size() < 100) others += " \"" + e.name + '"';
        refuse(where, "an entry \"pixels\"", {header.entries().size(), " others:", others});
    }
    if (pixels->type != dtype::u8 || pixels->dims.size() != 4)
        refuse(where, "\"pixels\" of U8 in four dimensions (number, height, width, channels)",
               {name_of(pixels->type), " in ", pixels->dims.size()});
    for (std::int64_t const d : pixels->dims)
        if (d < 1 || d > most_images) refuse(where, {"dimensions of \"pixels\" from 1 to ", most_images}, d);
    auto const extent = [&](std::size_t d) { return static_cast<int>(pixels->dims[d]); };
    tempera::shape const image{extent(1), extent(2), extent(3)};

    std::vector<std::int32_t> labels = labels_of(header, pixels->dims[0], where);
    std::vector<std::string> names;
    int classes = std::max(0, *std::max_element(labels.begin(), labels.end())) + 1;
    if (auto const text = header.metadata().find(classes_key); text != header.metadata().end()) {
        names = lines_of(text->second);
        if (classes > static_cast<int>(names.size()))
            refuse(where, {"labels below ", names.size(), ", the number of classes"}, classes - 1);
        classes = static_cast<int>(names.size());
    }
    std::span<std::uint8_t const> const bytes(reinterpret_cast<std::uint8_t const*>(pixels->bytes.data()),
                                              pixels->bytes.size());
    return {image, bytes, owner, std::move(labels), classes, std::move(names)};
}

/// The set in the packed file at `path`, which is mapped and must not be changed in place while the set lives (image_packer
/// and write_safetensors put another file there instead). Throws error for anything but a whole packed file.
inline image_set packed_images(std::string const& path) {
    auto const file = std::make_shared<mapped_file const>(path);
    return packed_images(file->bytes(), file, path);
}

/// Writes a packed file image by image, without holding them or knowing their number. Nothing is at the path before commit();
/// without it, and on any error, what was there stays.
///
///     image_packer packer("train.safetensors", {224, 224, 3}, {"cat", "dog"});
///     packer.add(pixels, 1);
///     packer.commit();
class image_packer {
public:
    /// One name per class, or none; then labels may be any number of 0 or more. Throws error for names that are empty, of
    /// several lines or not in UTF-8, and when the file cannot be made.
    image_packer(std::string const& path, tempera::shape image, std::vector<std::string> const& names = {})
        : path_(path), image_(image), classes_(static_cast<std::int64_t>(names.size())), file_(path) {
        if (image.height < 1 || image.width < 1 || image.channels < 1 ||
            image.positions() > (std::int64_t{1} << 30) / image.channels)  // any number of them has a size below 2^63
            throw error(path, "images of at least 1 x 1 x 1, and at most 2^30 bytes",
                        {image.height, " x ", image.width, " x ", image.channels}, "give their true shape");
        std::string text;
        for (std::string const& name : names) {
            if (name.empty() || name.find('\n') != std::string::npos || !is_utf8(name))
                throw error({path, ", class \"", name, "\""}, "a name of one line in UTF-8",
                            name.empty() ? "none" : "another", "rename it");
            text += (&name == names.data() ? "" : "\n") + name;
        }
        if (!names.empty()) metadata_.emplace(packed_detail::classes_key, text);
        // The header of the most images has the most digits: what is written in its place fits.
        room_ = header(packed_detail::most_images, 0).size();
        pending_.resize(room_);
    }

    /// Appends an image of the set's shape and its label, or no_label. Throws error for other sizes and labels, and when the disk
    /// fails.
    void add(std::span<std::uint8_t const> pixels, std::int32_t label = no_label) {
        if (committed_)
            throw error(path_, "images before commit()", "one after it", "make another packer, of another file");
        if (static_cast<std::int64_t>(pixels.size()) != image_.size())
            throw error(path_, {"an image of ", image_.size(), " bytes"}, pixels.size(),
                        "bring all images to one shape");
        if (label < no_label || (classes_ > 0 && label >= classes_))
            throw error(path_, {"a label of 0 or more, below the number of classes, or -1 for none"}, label,
                        "check the label and the names of the classes");
        if (size() == packed_detail::most_images)
            throw error(path_, {"at most ", packed_detail::most_images, " images"}, "more", "write several files");
        pending_.insert(pending_.end(), pixels.begin(), pixels.end());
        labels_.push_back(label);
        if (pending_.size() >= flush_size) flush();
    }

    /// Images so far.
    std::int64_t size() const { return static_cast<std::int64_t>(labels_.size()); }

    /// Makes the file appear. Nothing can be added afterwards. Throws error when there is no image, and when the disk fails.
    void commit() {
        if (labels_.empty()) throw error(path_, "at least one image", "none", "check the source of the images");
        // Labels are read in place by other programs, at a multiple of their size.
        auto const surplus = (4 - size() * image_.size() % 4) % 4;
        pending_.resize(pending_.size() + static_cast<std::size_t>(surplus));
        flush();
        file_.write(std::as_bytes(std::span(labels_)));
        std::string const text = header(size(), surplus);
        file_.write_at(0, std::as_bytes(std::span(text.data(), text.size())));
        file_.commit();
        committed_ = true;
    }

private:
    static constexpr std::size_t flush_size = std::size_t{1} << 20;

    std::string header(std::int64_t n, std::int64_t surplus) const {
        std::vector<safetensors_entry> entries{
            {"pixels", dtype::u8, {n, image_.height, image_.width, image_.channels}, {}}};
        if (surplus > 0 || n == packed_detail::most_images) entries.push_back({"padding", dtype::u8, {surplus}, {}});
        entries.push_back({"labels", dtype::i32, {n}, {}});
        return safetensors_header_bytes(entries, metadata_, path_, room_);
    }
    void flush() {
        file_.write(std::as_bytes(std::span(pending_)));
        pending_.clear();
    }

    std::string path_;
    tempera::shape image_;
    std::int64_t classes_;
    atomic_file file_;
    safetensors_metadata metadata_;
    std::size_t room_ = 0;
    bool committed_ = false;
    std::vector<std::uint8_t> pending_;  // the header's room, later pixels that are not yet written
    std::vector<std::int32_t> labels_;
};

}  // namespace tempera
