// SPDX-License-Identifier: Apache-2.0
// A program of someone else against tempera::image: it reads a folder of JPEG and PNG files.
#include <cstdio>

#include <tempera/image.hpp>

using namespace tempera;

inline constexpr shape image{24, 24, 3};  // the name is free

int main() {
    image_set const set = image_folder(IMAGES, {.size = image});
    std::printf("%d images of %d x %d\n", set.size(), set.image_shape().height, set.image_shape().width);
    return set.size() > 10 ? 0 : 1;
}
