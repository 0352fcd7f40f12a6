// SPDX-License-Identifier: Apache-2.0
#pragma once
// The image files of a folder and their classes, in an order that depends on names alone.
//
//   folder/CLASS/.../FILE   a folder per class: classes in the order of their names' bytes, the files of each likewise
//   folder/FILE             no folder in it: images without labels
//
// Image files end in .jpg, .jpeg or .png, in letters of any case. Those that end as other kinds of images do are listed too, so
// that what cannot be decoded is said; files of other kinds (.txt, .json) are passed over, and so is what is hidden (.name).
// Links are followed.

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <tempera/core/error.hpp>
#include <tempera/data/image_set.hpp>

namespace tempera {

struct listed_image {
    std::string path;
    std::int32_t label = no_label;
};

struct image_listing {
    std::vector<std::string> classes;  ///< names of the folders; none for images without labels
    std::vector<listed_image> images;
};

namespace listing_detail {

inline bool is_image(std::string_view name) {
    auto const dot = name.rfind('.');
    if (dot == std::string_view::npos) return false;
    std::string suffix(name.substr(dot + 1));
    for (char& c : suffix)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    constexpr std::array known{"jpg", "jpeg", "png", "bmp", "gif", "ppm", "pgm", "tif", "tiff", "webp", "avif", "heic"};
    return std::find(known.begin(), known.end(), suffix) != known.end();
}

/// Names of the folders and of the image files in a folder, in order.
struct content {
    std::vector<std::string> folders, images;
};

inline content content_of(std::string const& folder) {
    content found;
    std::error_code failed;
    std::filesystem::directory_iterator entry(folder, failed);
    while (!failed && entry != std::filesystem::directory_iterator()) {
        std::error_code ignored;  // of a link to nothing: reading it will say so
        std::string name = entry->path().filename().string();
        bool const hidden = name.front() == '.';
        if (!hidden && entry->is_directory(ignored)) found.folders.push_back(std::move(name));
        else if (!hidden && is_image(name)) found.images.push_back(std::move(name));
        entry.increment(failed);
    }
    if (failed)
        throw error(folder, "a folder that can be listed", failed.message(), "check the path and its permissions");
    std::sort(found.folders.begin(), found.folders.end());
    std::sort(found.images.begin(), found.images.end());
    return found;
}

inline std::string place_of(std::string const& folder, std::string const& name) {
    std::string place = folder;
    if (place.empty() || place.back() != '/') place += '/';
    return place += name;
}

using identity = std::pair<std::uint64_t, std::uint64_t>;

/// Appends the image files below a folder. `above`: the folders on the way, so that a link to one of them is an end.
inline void collect(std::string const& folder, std::int32_t label, std::vector<identity>& above,
                    std::vector<listed_image>& images) {
    struct stat place {};
    static_cast<void>(::stat(folder.c_str(), &place));  // what is wrong with it, listing it will say
    identity const here{place.st_dev, place.st_ino};
    if (std::find(above.begin(), above.end(), here) != above.end())
        throw error(folder, "folders that end", "a link to a folder that it lies in", "remove the link");
    above.push_back(here);
    content const found = content_of(folder);
    for (std::string const& name : found.images) images.push_back({place_of(folder, name), label});
    for (std::string const& name : found.folders) collect(place_of(folder, name), label, above, images);
    above.pop_back();
}

}  // namespace listing_detail

/// classes: the names of all classes in the order of their numbers, as another folder's set has them; empty: the folders
/// found. Throws error for a folder without image files, for a class without any, for image files beside folders of classes,
/// whose class nothing tells, and for folders that are none of `classes`.
inline image_listing list_images(std::string const& folder, std::vector<std::string> const& classes = {}) {
    using namespace listing_detail;
    char const* const layout =
        "give a folder that holds image files (.jpg, .jpeg, .png), or one folder of them for each class";
    content const found = content_of(folder);
    image_listing all;
    if (found.folders.empty() && classes.empty()) {
        for (std::string const& name : found.images) all.images.push_back({place_of(folder, name), no_label});
        if (all.images.empty()) throw error(folder, "image files", "none", layout);
        return all;
    }
    if (found.folders.empty())
        throw error(folder, {"a folder of image files for each of the ", classes.size(), " classes"},
                    found.images.empty() ? "no folder" : "images that no class is told of",
                    "put each class's images into a folder with its name, or leave `classes` empty");
    if (!found.images.empty())
        throw error(folder, "folders of classes alone, or images alone",
                    {"both: folder ", found.folders.front(), " beside image ", found.images.front()}, layout);
    all.classes = classes.empty() ? found.folders : classes;
    for (auto name = all.classes.begin(); name != all.classes.end(); ++name)
        if (std::find(all.classes.begin(), name, *name) != name)
            throw error("classes", "different names", {"\"", *name, "\" twice"}, "name every class once");
    for (std::string const& name : found.folders) {
        auto const place = std::find(all.classes.begin(), all.classes.end(), name);
        if (place == all.classes.end())
            throw error(place_of(folder, name), {"one of the ", classes.size(), " classes asked for"}, "another",
                        "remove the folder, or name its class in `classes`");
        auto const label = static_cast<std::int32_t>(place - all.classes.begin());
        std::size_t const before = all.images.size();
        std::vector<identity> above;
        collect(place_of(folder, name), label, above, all.images);
        if (all.images.size() == before)
            throw error(place_of(folder, name), "image files (.jpg, .jpeg, .png) of this class", "none",
                        "remove the folder, or put the class's images there");
    }
    return all;
}

}  // namespace tempera
