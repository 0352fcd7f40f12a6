// SPDX-License-Identifier: Apache-2.0
// A program of someone else that links the kernels instead of compiling them.
#include <cmath>
#include <cstdio>
#include <vector>

#include <tempera/nn.hpp>
#include <tempera/runtime.hpp>

using namespace tempera;

inline constexpr shape image{8, 8, 3};
inline constexpr auto network = resnet<resnet_config{.depth = 10, .base_filters = 8, .stages = 2}>;

int main() {
    cpu device{.threads = 2};
    model<network, image> m{device, {.max_batch = 2}};
    std::vector<float> pixels(static_cast<std::size_t>(2 * image.size()), 0.5F);
    view<float const> const features = m.predict({pixels.data(), {2, 8, 8, 3}}).last();
    std::printf("%d features, the first is %g\n", features.dims.c, static_cast<double>(features[0]));
    return features.dims.c == 16 && std::isfinite(features[0]) ? 0 : 1;
}
