// SPDX-License-Identifier: Apache-2.0
// Folders of image files: which files, in which order, what is refused or listed, the same in memory and packed.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "../catch.hpp"
#include "../fixture.hpp"
#include "../refusal.hpp"
#include "../scratch_folder.hpp"

#include <tempera/image.hpp>

using namespace tempera;

namespace {

std::string const fixtures = TEMPERA_TEST_FIXTURES "/image/";

/// Puts a fixture at a place of a folder, and makes the folders on the way.
void put(std::string const& path, std::string const& fixture) {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::filesystem::copy_file(fixtures + fixture, path);
}

/// Three classes, ten images; class "b" lies two folders deep.
void fill(scratch_folder const& f) {
    put(f / "b/x/2.png", "rgb.png");
    put(f / "b/x/1.PNG", "palette.png");
    put(f / "b/0.jpeg", "baseline_420.jpg");
    put(f / "B/z.JPEG", "gray.png");  // no JPEG, as one of ImageNet's
    put(f / "B/a.jpg", "gray.jpg");
    put(f / "a class/1.jpg", "cmyk_adobe.jpg");
    put(f / "a class/10.jpg", "progressive.jpg");
    put(f / "a class/2.jpg", "large.jpg");
    put(f / "a class/3.jpg", "rgb.jpg");
    scratch_folder::write(f / "a class/Thumbs.db", "nobody's image");
    scratch_folder::write(f / "a class/notes.txt", "nobody's image");
    scratch_folder::write(f / "a class/.hidden.jpg", "a file manager's");
    put(f / ".checkpoints/rgb.jpg", "rgb.jpg");
    scratch_folder::write(f / "a class/jpg", "nobody's image");
    scratch_folder::write(f / "README", "nobody's image");
    std::filesystem::create_symlink("../B/a.jpg", f / "b/link.jpg");
}

bool same(image_set const& a, image_set const& b) {
    bool equal = a.size() == b.size() && a.image_shape() == b.image_shape() && a.classes() == b.classes();
    for (int i = 0; equal && i < a.size(); ++i)
        equal = a.label(i) == b.label(i) && a.class_name(a.label(i)) == b.class_name(b.label(i)) &&
                std::memcmp(a.image(i).data, b.image(i).data, static_cast<std::size_t>(a.image_shape().size())) == 0;
    return equal;
}

std::string refusal_of(std::string const& folder, image_folder_options const& options = {}) {
    return refusal([&] { static_cast<void>(image_folder(folder, options)); });
}

/// The image of a fixture alone, as decoder and fit give it.
std::vector<std::uint8_t> alone(std::string const& fixture, shape size, image_fit fit) {
    raster image;
    decode_image(scratch_folder::read(fixtures + fixture), fixture, reduced_request(size), image);
    std::vector<std::uint8_t> out(static_cast<std::size_t>(size.size()));
    resample_workspace work;
    fit_image(image, size, fit, out, work);
    return out;
}

}  // namespace

TEST_CASE("image_folder: classes are folders, in the order of bytes", "[image][folder]") {
    scratch_folder const f;
    fill(f);
    std::vector<std::string> const in_order{"gray.jpg",    "gray.png", "cmyk_adobe.jpg",   "progressive.jpg",
                                            "large.jpg",   "rgb.jpg",  "baseline_420.jpg", "gray.jpg",
                                            "palette.png", "rgb.png"};
    for (auto const& [size, fit] :
         {std::pair{shape{24, 24, 3}, image_fit::cover}, {shape{9, 30, 1}, image_fit::stretch}}) {
        image_set const set = image_folder(f.path(), {.size = size, .fit = fit});
        REQUIRE(set.size() == 10);
        CHECK((set.classes() == 3 && set.image_shape() == size));
        CHECK((set.class_name(0) == "B" && set.class_name(1) == "a class" && set.class_name(2) == "b"));
        CHECK(std::vector<int>(set.labels().begin(), set.labels().end()) ==
              std::vector<int>{0, 0, 1, 1, 1, 1, 2, 2, 2, 2});
        for (int i = 0; i < set.size(); ++i) {
            auto const expected = alone(in_order[static_cast<std::size_t>(i)], size, fit);
            INFO(in_order[static_cast<std::size_t>(i)]);
            CHECK(std::equal(expected.begin(), expected.end(), set.image(i).data));
        }
    }
}

TEST_CASE("image_folder: the same for any number of threads, in memory and packed", "[image][folder]") {
    scratch_folder const f, out;
    fill(f);
    for (int i = 0; i < 40; ++i) put(f / ("c/" + std::to_string(i) + ".jpg"), i % 3 == 0 ? "large.jpg" : "rgb.jpg");
    image_folder_options options{.size = {20, 16, 3}, .threads = 1};
    image_set const one = image_folder(f.path(), options);
    CHECK(one.size() == 50);
    options.threads = 4;
    CHECK(same(one, image_folder(f.path(), options)));
    pack_image_folder(f.path(), out / "a.safetensors", options);
    CHECK(same(one, packed_images(out / "a.safetensors")));
    options.threads = 1;
    pack_image_folder(f.path() + "/", out / "b.safetensors", options);
    CHECK(scratch_folder::read(out / "a.safetensors") == scratch_folder::read(out / "b.safetensors"));
}

TEST_CASE("image_folder: a folder without folders has no labels", "[image][folder]") {
    scratch_folder const f;
    put(f / "2.png", "rgb.png");
    put(f / "1.png", "gray.png");
    image_set const set = image_folder(f.path(), {.size = {8, 8, 3}});
    CHECK((set.size() == 2 && !set.labeled() && set.classes() == 1));
    CHECK(set.image(0)[0] == set.image(0)[1]);  // the gray one
    pack_image_folder(f.path(), f / "set.safetensors", {.size = {8, 8, 3}});
    CHECK(same(set, packed_images(f / "set.safetensors")));
}

TEST_CASE("image_folder: a file that cannot be read is an error, or is listed", "[image][folder]") {
    scratch_folder const f, out;
    fill(f);
    auto const jpeg = scratch_folder::read(fixtures + "large.jpg");
    scratch_folder::write(f / "B/0.jpg", std::string(jpeg.begin(), jpeg.begin() + 5000));
    scratch_folder::write(f / "b/empty.png", "");
    scratch_folder::write(f / "b/text.jpg", "no image at all");
    std::filesystem::create_symlink("nothing", f / "b/dangling.jpg");
    REQUIRE(mkfifo((f / "b/pipe.jpg").c_str(), 0600) == 0);
    std::vector<std::string> places{"B/0.jpg", "b/dangling.jpg", "b/empty.png", "b/pipe.jpg", "b/text.jpg"};
    std::vector<std::string> reasons{"Premature end of JPEG file", "No such file", "an empty file", "a regular file",
                                     "a JPEG or PNG image, found another kind of file"};
    if (geteuid() != 0) {  // root reads everything
        put(f / "b/secret.jpg", "rgb.jpg");
        REQUIRE(chmod((f / "b/secret.jpg").c_str(), 0) == 0);
        places.insert(places.end() - 1, "b/secret.jpg");
        reasons.insert(reasons.end() - 1, "Permission denied");
    } else {
        std::puts("the file without permission is left out: root reads it");
    }
    image_folder_options const options{.size = {12, 12, 3}, .threads = 3};
    CHECK(says(refusal_of(f.path(), options), {(f / "B/0.jpg") + ": expected an intact JPEG image, found Premature end",
                                               "replace the file, or leave it out", "`skipped`"}));
    std::vector<unreadable_file> skipped{{"from before", ""}};
    image_set const set = image_folder(f.path(), options, &skipped);
    CHECK(set.size() == 10);
    REQUIRE(skipped.size() == places.size());
    for (std::size_t i = 0; i < places.size(); ++i) {
        INFO(skipped[i].path + ": " + skipped[i].reason);
        CHECK(skipped[i].path == f / places[i]);
        CHECK(says(skipped[i].reason, {"expected", reasons[i]}));
        CHECK_FALSE(says(skipped[i].reason, {f.path()}));
    }
    pack_image_folder(f.path(), out / "set", options, &skipped);
    CHECK(same(set, packed_images(out / "set")));
    CHECK(skipped.size() == places.size());
}

TEST_CASE("image_folder: a folder that lacks a class is numbered as another one", "[image][folder]") {
    scratch_folder const f, out;
    put(f / "dog/1.png", "rgb.png");
    put(f / "cat/1.png", "rgb.png");
    image_folder_options options{.size = {8, 8, 3}, .classes = {"dog", "ape", "cat"}};
    image_set const set = image_folder(f.path(), options);
    CHECK((set.classes() == 3 && set.label(0) == 2 && set.label(1) == 0 && set.class_name(1) == "ape"));
    pack_image_folder(f.path(), out / "a", options);
    CHECK(same(set, packed_images(out / "a")));
    options.classes = {"cat"};
    CHECK(says(refusal_of(f.path(), options), {f / "dog", "one of the 1 classes asked for, found another"}));
    options.classes = {"cat", "dog", "cat"};
    CHECK(says(refusal_of(f.path(), options), {"classes: expected different names, found \"cat\" twice"}));
    options.classes = {"cat", "dog"};
    scratch_folder const flat;
    CHECK(says(refusal_of(flat.path(), options), {"each of the 2 classes, found no folder"}));
    put(flat / "1.png", "rgb.png");
    CHECK(says(refusal_of(flat.path(), options), {flat.path(), "found images that no class is told of"}));
}

TEST_CASE("image_folder: a class none of whose images can be read keeps its number", "[image][folder]") {
    scratch_folder const f;
    put(f / "a/1.png", "rgb.png");
    put(f / "c/1.png", "rgb.png");
    std::filesystem::create_directory(f / "b");
    scratch_folder::write(f / "b/1.png", "text");
    std::vector<unreadable_file> skipped;
    image_set const set = image_folder(f.path(), {.size = {8, 8, 3}}, &skipped);
    CHECK((set.size() == 2 && set.classes() == 3 && set.label(1) == 2));
    std::filesystem::remove_all(f / "a");
    std::filesystem::remove_all(f / "c");
    CHECK(says(refusal([&] { static_cast<void>(image_folder(f.path(), {}, &skipped)); }),
               {f.path(), "one readable image at least, found none of 1"}));
    CHECK(skipped.size() == 1);
}

TEST_CASE("image_folder: folders that are laid out otherwise are refused", "[image][folder]") {
    scratch_folder const f;
    CHECK(says(refusal_of(f / "none"), {f / "none", "a folder that can be listed", "No such file"}));
    CHECK(says(refusal_of(f.path()), {f.path(), "image files, found none", "one folder of them for each class"}));
    scratch_folder::write(f / "text.txt", "");
    CHECK(says(refusal_of(f.path()), {"image files, found none"}));
    CHECK(says(refusal_of(f / "text.txt"), {"a folder that can be listed"}));
    put(f / "a/1.png", "rgb.png");
    std::filesystem::create_directory(f / "empty");
    scratch_folder::write(f / "empty/Thumbs.db", "");
    CHECK(says(refusal_of(f.path()), {f / "empty", "image files (.jpg, .jpeg, .png) of this class, found none"}));
    scratch_folder::write(f / "a/0.webp", "RIFF    WEBP");
    std::filesystem::remove_all(f / "empty");
    CHECK(says(refusal_of(f.path()), {f / "a/0.webp", "a JPEG or PNG image, found a RIFF file (WebP)"}));
    std::filesystem::remove(f / "a/0.webp");
    put(f / "2.png", "rgb.png");
    CHECK(says(refusal_of(f.path()), {"folder a beside image 2.png"}));
    std::filesystem::remove(f / "2.png");
    std::filesystem::remove_all(f / "empty");
    std::filesystem::create_directory_symlink(f / "a", f / "b");  // a class by a link
    CHECK(image_folder(f.path(), {.size = {8, 8, 3}}).size() == 2);
    std::filesystem::create_directory_symlink("..", f / "a/up");
    CHECK(says(refusal_of(f.path()), {"up", "a link to a folder that it lies in", "remove the link"}));
}

TEST_CASE("image_folder: options out of range are refused", "[image][folder]") {
    scratch_folder const f;
    CHECK(says(refusal_of(f.path(), {.size = {8, 8, 4}}), {"size.channels", "1 or 3, found 4"}));
    CHECK(says(refusal_of(f.path(), {.size = {0, 8, 3}}), {"size.height", "found 0"}));
    CHECK(says(refusal_of(f.path(), {.size = {8, 20000, 3}}), {"size.width", "found 20000"}));
    CHECK(says(refusal_of(f.path(), {.threads = -1}), {"threads", "found -1"}));
    // 8,000 names of one file, each of 805 MB once decoded: 6.4 TB.
    put(f / "0.png", "gray.png");
    for (int i = 1; i < 8000; ++i) std::filesystem::create_symlink("0.png", f / (std::to_string(i) + ".png"));
    CHECK(says(refusal_of(f.path(), {.size = {16384, 16384, 3}}),
               {f.path(), "the memory of this machine", "use pack_image_folder"}));
}

TEST_CASE("pack_image_folder: what fails leaves the old file and nothing else", "[image][folder]") {
    scratch_folder const f, out;
    fill(f);
    std::string const path = out / "set.safetensors";
    image_folder_options options{.size = {8, 8, 3}, .threads = 2};
    pack_image_folder(f.path(), path, options);
    auto const before = scratch_folder::read(path);
    auto const still = [&] { return scratch_folder::read(path) == before && out.names().size() == 1; };
    scratch_folder::write(f / "b/zzz.jpg", "text");
    CHECK(
        says(refusal([&] { pack_image_folder(f.path(), path, options); }), {"zzz.jpg: expected a JPEG or PNG image"}));
    CHECK(still());
    std::vector<std::int64_t> seen;
    options.progress = [&](std::int64_t done, std::int64_t total) {
        CHECK(total == 11);
        seen.push_back(done);
        if (done == 4) throw std::runtime_error("enough");
    };
    CHECK_THROWS_AS(pack_image_folder(f.path(), path, options), std::runtime_error);
    CHECK(seen == std::vector<std::int64_t>{1, 2, 3, 4});
    CHECK(still());
    CHECK(says(refusal([&] { pack_image_folder(f.path(), out / "none/set", {}); }), {"No such file"}));
    std::vector<unreadable_file> skipped;
    options.progress = {};
    pack_image_folder(f.path(), path, options, &skipped);
    CHECK(still());  // the same images as before
}
