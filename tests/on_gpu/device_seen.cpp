// SPDX-License-Identifier: Apache-2.0
// Whether tempera finds a GPU here: 0 and its number, or 77 (skipped) and what is missing.

#include <cstdio>

#include <tempera/cuda.hpp>

int main() {
    try {
        tempera::gpu const device{};
        std::printf("found %s\n", device.context.name().c_str());
        return 0;
    } catch (tempera::error const& e) {
        std::printf("%s\n", e.what());
        return 77;
    }
}
