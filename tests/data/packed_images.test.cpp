// SPDX-License-Identifier: Apache-2.0
// Packed images: what is packed is what is mapped, other programs' files, every kind of damage, and batches as from memory.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <sys/stat.h>
#include <vector>

#include "../catch.hpp"
#include "../refusal.hpp"
#include "../scratch_folder.hpp"

#include <tempera/core/philox.hpp>
#include <tempera/data/loader.hpp>
#include <tempera/data/packed_images.hpp>
#include <tempera/io/safetensors.hpp>

using namespace tempera;

namespace {

/// `count` images that all differ; every fourth has no label, the others i % 3.
image_set numbered(shape s, int count) {
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(count * s.size()));
    philox_stream stream(3);
    for (auto& p : pixels) p = static_cast<std::uint8_t>(stream.word());
    std::vector<std::int32_t> labels;
    for (int i = 0; i < count; ++i) labels.push_back(i % 4 == 3 ? no_label : i % 3);
    return {s, pixels, labels, 3, {"cat", "a dog, or \"two\"", "näher"}};
}

void pack(std::string const& path, image_set const& set) {
    image_packer packer(path, set.image_shape(), {set.class_name(0), set.class_name(1), set.class_name(2)});
    for (int i = 0; i < set.size(); ++i)
        packer.add({set.image(i).data, static_cast<std::size_t>(set.image(i).size())}, set.label(i));
    packer.commit();
}

bool same(image_set const& a, image_set const& b) {
    bool equal = a.size() == b.size() && a.image_shape() == b.image_shape() && a.classes() == b.classes();
    for (int c = 0; equal && c < a.classes(); ++c) equal = a.class_name(c) == b.class_name(c);
    for (int i = 0; equal && i < a.size(); ++i)
        equal = a.label(i) == b.label(i) &&
                std::memcmp(a.image(i).data, b.image(i).data, static_cast<std::size_t>(a.image_shape().size())) == 0;
    return equal;
}

std::string refusal_of(std::string const& path) {
    return refusal([&] { static_cast<void>(packed_images(path)); });
}

}  // namespace

TEST_CASE("packed images: what is packed is what is mapped", "[data][packed_images]") {
    scratch_folder const folder;
    std::string const path = folder / "a.safetensors";
    // 1 and 35 bytes an image leave labels unaligned but for the padding; the third writes several megabytes.
    for (auto const& [s, count] : {std::pair{shape{1, 1, 1}, 1}, {shape{7, 5, 1}, 10}, {shape{64, 96, 3}, 150}}) {
        image_set const set = numbered(s, count);
        pack(path, set);
        image_set const mapped = packed_images(path);
        CHECK(same(set, mapped));
        CHECK_FALSE(mapped.shares_pixels(set));
        CHECK(mapped.subset(std::vector<int>{0}).shares_pixels(mapped));
        CHECK(folder.names() == std::vector<std::string>{"a.safetensors"});
        auto const file = read_safetensors(path);
        auto const& labels = file["labels"];
        CHECK(labels.dims == std::vector<std::int64_t>{count});
        CHECK((labels.bytes.data() - file["pixels"].bytes.data()) % 4 == 0);
        CHECK(file.metadata().at("classes") == "cat\na dog, or \"two\"\nnäher");
    }
}

TEST_CASE("packed images: nothing is added behind the end, and a pipe is no file", "[data][packed_images]") {
    scratch_folder const folder;
    image_packer packer(folder / "a", {1, 1, 1});
    std::uint8_t const pixel = 5;
    packer.add({&pixel, 1});
    packer.commit();
    CHECK(says(refusal([&] { packer.add({&pixel, 1}); }), {folder / "a", "images before commit()"}));
    REQUIRE(mkfifo((folder / "pipe").c_str(), 0600) == 0);
    CHECK(says(refusal_of(folder / "pipe"), {folder / "pipe", "a regular file"}));
}

TEST_CASE("packed images: a set outlives its file", "[data][packed_images]") {
    scratch_folder const folder;
    std::string const path = folder / "a.safetensors";
    image_set const first = numbered({7, 5, 1}, 10), second = numbered({9, 5, 3}, 4);
    pack(path, first);
    image_set const mapped = packed_images(path);
    pack(path, second);  // another file at the same path
    CHECK(same(mapped, first));
    CHECK(same(packed_images(path), second));
    std::filesystem::remove(path);
    CHECK(same(mapped, first));
    CHECK(says(refusal_of(path), {path, "No such file"}));
    CHECK(says(refusal_of(folder.path()), {folder.path(), "regular file"}));
}

TEST_CASE("packed images: files of other writers", "[data][packed_images]") {
    scratch_folder const folder;
    std::string const path = folder / "a.safetensors";
    std::vector<std::uint8_t> const pixels{1, 2, 3, 4, 5, 6};
    std::vector<std::int64_t> const labels{2, no_label, 0};
    // numpy's integers, no names, entries of its own, and a checksum that nobody asks for here
    write_safetensors(
        path, {entry_of<std::uint8_t>("pixels", {3, 1, 2, 1}, pixels), entry_of<std::int64_t>("labels", {3}, labels),
               entry_of<std::uint8_t>("mine", {2, 3}, pixels)});
    image_set const set = packed_images(path);
    CHECK((set.size() == 3 && set.classes() == 3 && set.image_shape() == shape{1, 2, 1}));
    CHECK((set.label(0) == 2 && set.label(1) == no_label && set.image(2)[1] == 6));
    CHECK(set.class_name(2) == "2");
    write_safetensors(path, {entry_of<std::uint8_t>("pixels", {3, 1, 2, 1}, pixels)}, {{"classes", ""}});
    CHECK_FALSE(packed_images(path).labeled());
    CHECK(packed_images(path).class_name(0).empty());
}

TEST_CASE("packed images: what is no packed file is refused", "[data][packed_images]") {
    scratch_folder const folder;
    std::string const path = folder / "a.safetensors";
    std::vector<std::uint8_t> const pixels(12, 7);
    std::vector<float> const reals(12, 7);
    std::vector<std::int32_t> const labels{0, 1, 2};
    std::vector<std::int64_t> const wide{0, 1, std::int64_t{1} << 32};
    auto const file = [&](std::vector<safetensors_entry> const& entries, safetensors_metadata const& metadata = {}) {
        write_safetensors(path, entries, metadata);
        return refusal_of(path);
    };
    auto const good = entry_of<std::uint8_t>("pixels", {3, 2, 2, 1}, pixels);
    CHECK(file({good, entry_of<std::int32_t>("labels", {3}, labels)}, {{"classes", "a\nb\nc"}}) ==
          "nothing was thrown");
    CHECK(says(file({entry_of<std::uint8_t>("images", {3, 2, 2, 1}, pixels)}),
               {path, "an entry \"pixels\", found 1 other"}));
    CHECK(says(file({entry_of<float>("pixels", {3, 2, 2, 1}, reals)}),
               {"\"pixels\" of U8 in four dimensions", "F32 in 4"}));
    CHECK(says(file({entry_of<std::uint8_t>("pixels", {3, 2, 2}, pixels)}), {"U8 in 3"}));
    CHECK(says(file({entry_of<std::uint8_t>("pixels", {0, 2, 2, 1}, {})}), {"from 1 to 2147483647, found 0"}));
    CHECK(says(file({good, entry_of<std::int32_t>("labels", {3}, labels)}, {{"classes", "a\nb"}}),
               {"labels below 2", "found 2"}));
    CHECK(says(file({good, entry_of<std::int32_t>("labels", {3, 1}, labels)}), {"\"labels\", 3 of I32 or I64"}));
    CHECK(says(file({good, entry_of<std::int32_t>("labels", {2}, std::span(labels).first(2))}),
               {"3 of I32 or I64, found 2"}));
    CHECK(says(file({good, entry_of<float>("labels", {3}, std::span(reals).first(3))}), {"found 3 of F32"}));
    CHECK(says(file({good, entry_of<std::int64_t>("labels", {3}, wide)}), {"4294967296 at image 2"}));
    std::vector<std::int32_t> const low{0, 1, -2};
    CHECK(says(file({good, entry_of<std::int32_t>("labels", {3}, low)}), {"-2 at image 2"}));
    for (auto const& text : {"", "short", "plain text, longer than eight bytes"}) {
        scratch_folder::write(path, text);
        CHECK(says(refusal_of(path), {path}));
    }
}

TEST_CASE("packed images: every truncation is refused", "[data][packed_images]") {
    scratch_folder const folder;
    std::string const path = folder / "a.safetensors";
    pack(path, numbered({7, 5, 1}, 3));
    auto const bytes = scratch_folder::read(path);
    std::string const text(bytes.begin(), bytes.end());
    int refused = 0;
    for (std::size_t n = 0; n < text.size(); ++n) {
        scratch_folder::write(path, text.substr(0, n));
        refused += says(refusal_of(path), {path, "expected"});
    }
    CHECK(refused == static_cast<int>(text.size()));
    scratch_folder::write(path, text + "x");
    CHECK(says(refusal_of(path), {path, "as the header says"}));
}

TEST_CASE("packed images: a packer refuses what does not fit, and leaves nothing behind", "[data][packed_images]") {
    scratch_folder const folder;
    std::string const path = folder / "a.safetensors";
    std::vector<std::uint8_t> const image(4, 7);
    {
        image_packer packer(path, {2, 2, 1}, {"a", "b"});
        CHECK(says(refusal([&] { packer.add(std::span(image).first(3)); }), {path, "4 bytes, found 3"}));
        CHECK(says(refusal([&] { packer.add(image, 2); }), {"below the number of classes", "found 2"}));
        CHECK(says(refusal([&] { packer.add(image, -2); }), {"found -2"}));
        CHECK(says(refusal([&] { packer.commit(); }), {"at least one image, found none"}));
        packer.add(image, 1);
        CHECK(packer.size() == 1);
        CHECK_FALSE(std::filesystem::exists(path));
    }
    CHECK(folder.names().empty());
    CHECK(says(refusal([&] { image_packer const p(path, {2, 2, 1}, {"a", "b\nc"}); }), {"class \"b\nc\"", "one line"}));
    CHECK(says(refusal([&] { image_packer const p(path, {2, 2, 1}, {"\xff"}); }), {"UTF-8"}));
    CHECK(says(refusal([&] { image_packer const p(path, {2, 2, 1}, {"a", ""}); }), {"class \"\"", "found none"}));
    CHECK(says(refusal([&] { image_packer const p(path, {2, 0, 1}); }), {"1 x 1 x 1", "2 x 0 x 1"}));
    CHECK(says(refusal([&] { image_packer const p(folder / "none/a", {2, 2, 1}); }), {"No such file"}));
    CHECK(folder.names().empty());
    image_packer packer(path, {2, 2, 1});  // without names labels may be any
    packer.add(image, 41);
    packer.commit();
    CHECK(packed_images(path).classes() == 42);
    CHECK_THROWS_AS(packer.commit(), error);
}

TEST_CASE("packed images: batches are bitwise those of the same images in memory", "[data][packed_images]") {
    scratch_folder const folder;
    std::string const path = folder / "a.safetensors";
    image_set const set = numbered({24, 20, 3}, 40);
    pack(path, set);
    auto const batches_of = [](image_set const& images) {
        std::vector<float> all;
        loader batches(images, {.batch = 8,
                                .views = 2,
                                .augment = simclr_augmentation{.height = 16, .width = 16},
                                .seed = 5,
                                .epochs = 2,
                                .threads = 2});
        while (auto const b = batches.next()) {
            all.insert(all.end(), b.images.data, b.images.data + b.images.size());
            all.insert(all.end(), b.labels.data, b.labels.data + b.labels.size());
        }
        return all;
    };
    auto const expected = batches_of(set), found = batches_of(packed_images(path));
    REQUIRE(expected.size() == found.size());
    CHECK(std::memcmp(expected.data(), found.data(), expected.size() * sizeof(float)) == 0);
}
