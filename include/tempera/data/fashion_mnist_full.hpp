// SPDX-License-Identifier: Apache-2.0
#pragma once
// All 70,000 images of Fashion-MNIST from their gzip files. Needs zlib, so it is not part of tempera.hpp.

#include <string>
#include <utility>

#include <tempera/data/fashion_mnist.hpp>
#include <tempera/io/gzip.hpp>

namespace tempera {

/// 60,000 training and 10,000 test images, {28, 28, 1}. `folder` holds the four published .gz files; the default is
/// where Debian's package dataset-fashion-mnist puts them.
inline train_test fashion_mnist_full(std::string const& folder = "/usr/share/datasets/fashion-mnist") {
    auto const part = [&](std::string const& name) {
        std::string const at = folder + "/" + name;
        idx_array images = read_idx_gzip(at + "-images-idx3-ubyte.gz");
        return images_of_idx(std::move(images), read_idx_gzip(at + "-labels-idx1-ubyte.gz"), 10,
                             fashion_mnist_classes(), at);
    };
    return {part("train"), part("t10k")};
}

}  // namespace tempera
