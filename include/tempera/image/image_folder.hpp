// SPDX-License-Identifier: Apache-2.0
#pragma once
// Images from a folder of JPEG and PNG files, all brought to one size: into memory, or into a packed file where they do not fit
// there. listing.hpp says how a folder is laid out.

#include <unistd.h>

#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <tempera/core/error.hpp>
#include <tempera/core/shape.hpp>
#include <tempera/cpu/available_threads.hpp>
#include <tempera/data/image_set.hpp>
#include <tempera/data/packed_images.hpp>
#include <tempera/image/fit.hpp>
#include <tempera/image/listing.hpp>
#include <tempera/image/reader.hpp>

namespace tempera {

struct image_folder_options {
    shape size{224, 224, 3};           ///< of every image; 1 channel: gray, 3: RGB
    image_fit fit = image_fit::cover;  ///< how an image of other proportions gets there
    int threads = 0;                   ///< that decode; 0: as many as there are cores
    /// Names of the classes in the order of their numbers, for a folder that may lack some; empty: the folders found.
    std::vector<std::string> classes{};
    /// Called after every file by the thread that asked; what it throws ends the work.
    std::function<void(std::int64_t done, std::int64_t total)> progress{};
};

/// A file that was left out, and why.
struct unreadable_file {
    std::string path, reason;
};

namespace image_folder_detail {

inline void check(image_folder_options const& o) {
    auto const require = [](bool good, char const* what, phrase const& expected, phrase const& found) {
        if (!good) throw error({"image_folder: ", what}, expected, found, "correct this option");
    };
    require(o.size.channels == 1 || o.size.channels == 3, "size.channels", "1 or 3", o.size.channels);
    require(o.size.height >= 1 && o.size.height <= 16384, "size.height", "1 to 16384", o.size.height);
    require(o.size.width >= 1 && o.size.width <= 16384, "size.width", "1 to 16384", o.size.width);
    require(o.threads >= 0 && o.threads <= 256, "threads", "0 to 256", o.threads);
}

/// Reads every image of the listing and hands it to sink(pixels, label), in order. Files that cannot be read go to `skipped`;
/// without it the first is an error.
template <class Sink>
void each_image(std::string const& folder, image_listing const& listing, image_folder_options const& o,
                std::vector<unreadable_file>* skipped, Sink&& sink) {
    auto const total = static_cast<std::int64_t>(listing.images.size());
    if (total > std::numeric_limits<std::int32_t>::max())
        throw error(folder, "fewer than 2^31 image files", total, "make several sets");
    image_reader reader(listing.images, o.size, o.fit, o.threads == 0 ? available_threads() : o.threads);
    std::int64_t read = 0, done = 0;
    if (skipped != nullptr) skipped->clear();
    for (listed_image const& from : listing.images) {
        read_image const& image = *reader.next();
        if (image.refusal.empty()) {
            sink(std::span<std::uint8_t const>(image.pixels), from.label);
            ++read;
        } else if (skipped != nullptr) {
            skipped->push_back({from.path, image.refusal});
        } else {
            throw error(phrase{from.path, ": ", image.refusal, " (`skipped` takes such files instead)"});
        }
        if (o.progress) o.progress(++done, total);
    }
    if (read == 0)
        throw error(folder, "one readable image at least", {"none of ", total}, "look at the list of those skipped");
}

}  // namespace image_folder_detail

/// The images of a folder in memory. Files that cannot be read (no image in spite of their name, damaged, too large) are listed
/// in `skipped` and left out; without a list the first of them is an error. Throws error for a folder that is laid out otherwise
/// than listing.hpp says, and for options out of range.
inline image_set image_folder(std::string const& folder, image_folder_options const& options = {},
                              std::vector<unreadable_file>* skipped = nullptr) {
    image_folder_detail::check(options);
    image_listing listing = list_images(folder, options.classes);
    auto const bytes = static_cast<std::int64_t>(listing.images.size()) * options.size.size();
    // The system promises more memory than there is, and would end the program in the middle.
    std::int64_t const memory = std::int64_t{1} * ::sysconf(_SC_PHYS_PAGES) * ::sysconf(_SC_PAGESIZE);
    if (bytes > memory)
        throw error(folder, {"images of at most ", memory, " bytes, the memory of this machine"}, bytes,
                    "use pack_image_folder and packed_images, which hold a few images at a time");
    std::vector<std::uint8_t> pixels;
    std::vector<std::int32_t> labels;
    pixels.reserve(static_cast<std::size_t>(bytes));
    labels.reserve(listing.images.size());
    image_folder_detail::each_image(folder, listing, options, skipped,
                                    [&](std::span<std::uint8_t const> image, std::int32_t label) {
                                        pixels.insert(pixels.end(), image.begin(), image.end());
                                        labels.push_back(label);
                                    });
    int const classes = listing.classes.empty() ? 1 : static_cast<int>(listing.classes.size());
    return {options.size, std::move(pixels), std::move(labels), classes, std::move(listing.classes)};
}

/// The same into a packed file (data/packed_images.hpp), image by image, in memory for a few of them. What was at `file` stays
/// until the new one is whole.
inline void pack_image_folder(std::string const& folder, std::string const& file,
                              image_folder_options const& options = {},
                              std::vector<unreadable_file>* skipped = nullptr) {
    image_folder_detail::check(options);
    image_listing const listing = list_images(folder, options.classes);
    image_packer packer(file, options.size, listing.classes);
    image_folder_detail::each_image(
        folder, listing, options, skipped,
        [&](std::span<std::uint8_t const> image, std::int32_t label) { packer.add(image, label); });
    packer.commit();
}

}  // namespace tempera
