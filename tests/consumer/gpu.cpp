// SPDX-License-Identifier: Apache-2.0
// A plain C++ program against tempera::cuda: it links everywhere, and multiplies where there is a GPU.
#include <array>
#include <cstdio>

#include <tempera/cuda.hpp>

using namespace tempera;

int main() {
    try {
        gpu device{};
        std::array<float, 4> const x{1, -2, 3, -4};
        buffer<float> a(device, 4);
        buffer<float> b(device, 4);
        device.upload(view<float const>{x.data(), {2, 1, 1, 2}}, a);
        relu_forward(device, 4, a.data(), b.data());                                          // {1, 0, 3, 0}
        matmul(device, {.m = 2, .n = 2, .k = 2}, b.data(), b.data(), a.data(), store::write);  // {1, 0, 3, 0} again
        std::array<float, 4> y{};
        device.download(a.view(), view<float>{y.data(), {4}});
        std::printf("%g %g %g %g\n", static_cast<double>(y[0]), static_cast<double>(y[1]), static_cast<double>(y[2]),
                    static_cast<double>(y[3]));
        return y == std::array<float, 4>{1, 0, 3, 0} ? 0 : 1;
    } catch (error const& e) {
        std::printf("linked; nothing to run on: %s\n", e.what());
        return 0;
    }
}
