// SPDX-License-Identifier: Apache-2.0
// Any bytes as a packed file: refused with an error, or a set whose images all lie in the file.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>

#include <tempera/data/packed_images.hpp>

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    try {
        tempera::image_set const set = tempera::packed_images(std::as_bytes(std::span(data, size)), nullptr, "input");
        for (int i = 0; i < set.size(); ++i) {
            auto const image = set.image(i);
            if (image.data < data || image.data + image.size() > data + size) std::abort();
            if (set.label(i) < tempera::no_label || set.label(i) >= set.classes()) std::abort();
        }
    } catch (tempera::error const&) {
    }
    return 0;
}
