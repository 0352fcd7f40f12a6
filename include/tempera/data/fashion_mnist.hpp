// SPDX-License-Identifier: Apache-2.0
#pragma once
// The 10,000 images of Fashion-MNIST (Xiao, Rasul and Vollgraf 2017) that come with the library, in examples/data.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <tempera/data/image_set.hpp>
#include <tempera/io/idx.hpp>
#include <tempera/io/sha256.hpp>

namespace tempera {

/// The ten classes by label.
inline std::vector<std::string> fashion_mnist_classes() {
    return {"t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"};
}

/// Images {n, height, width} and labels {n} of `classes` classes as a set. `where` names them in errors.
inline image_set images_of_idx(idx_array images, idx_array const& labels, int classes, std::vector<std::string> names,
                               std::string const& where) {
    if (images.dims.size() != 3)
        throw error(where, "images of three dimensions (number, height, width)", images.dims.size(),
                    "check that images and labels are not exchanged");
    if (labels.dims.size() != 1 || labels.dims[0] != images.dims[0])
        throw error(where, {images.dims[0], " labels"},
                    {labels.values.size(), " in ", labels.dims.size(), " dimensions"},
                    "take images and labels of the same part of the data");
    return {shape{images.dims[1], images.dims[2], 1}, std::move(images.values),
            std::vector<std::int32_t>(labels.values.begin(), labels.values.end()), classes, std::move(names)};
}

namespace fashion_mnist_detail {

inline idx_array checked(std::string const& path, char const* digest) {
    std::vector<std::uint8_t> const bytes = read_bytes(path, 1 << 23);
    std::string const found = sha256(bytes);
    if (found != digest)
        throw error(path, {"the shipped file with SHA-256 ", digest}, found,
                    "restore it from the repository or make it again with examples/data/make.py");
    return parse_idx(bytes, path);
}

}  // namespace fashion_mnist_detail

/// 8,000 training and 2,000 test images, {28, 28, 1}, the same number for each of ten classes. `folder` is
/// examples/data of the source tree. Throws error when a file is missing or is not the shipped one (SHA-256).
inline train_test fashion_mnist(std::string const& folder) {
    auto const part = [&](char const* name, char const* images_digest, char const* labels_digest) {
        std::string const at = folder + "/" + name;
        idx_array images = fashion_mnist_detail::checked(at + "-images-idx3-ubyte", images_digest);
        return images_of_idx(std::move(images),
                             fashion_mnist_detail::checked(at + "-labels-idx1-ubyte", labels_digest), 10,
                             fashion_mnist_classes(), at);
    };
    return {part("train", "3e70e331da2956e04327a640f9b387b58a9adc87dc975d916b36de046b1cdb3f",
                 "8d63ba3231d3b6f7d01c431a370b446c43f9409a118121afc5be49e0c5c2a576"),
            part("t10k", "069101e4107b1467995bc639660c75c9ae6e4259741afc695967484146a1b4bc",
                 "2ff104a73baa7cad931aa5cde27302a9193ad58a19f3a39668bf6f43502e9b52")};
}

}  // namespace tempera
