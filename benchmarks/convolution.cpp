// SPDX-License-Identifier: Apache-2.0
// The convolutions of ResNet-18 (CIFAR stem), ResNet-50 and small networks of digits, in three directions: GFLOP/s of
// the best repetition and its fraction of the peak of the same threads. Command: convolution

#include "peak.hpp"

#include <tempera/cpu/convolution.hpp>

#include <string>
#include <vector>

using namespace tempera;

namespace {

enum class direction { forward, backward_data, backward_weights };

struct layer {
    char const* name;
    convolution_geometry g;
};

// batch, in, out, kernel, stride, pad
constexpr layer layers[] = {
    {"resnet18/stem_3x3_3_64_32", {32, 32, 32, 3, 32, 32, 64, 3, 1, 1, 1}},
    {"resnet18/3x3_64_32", {32, 32, 32, 64, 32, 32, 64, 3, 1, 1, 1}},
    {"resnet18/3x3s2_64_128_32", {32, 32, 32, 64, 16, 16, 128, 3, 2, 1, 1}},
    {"resnet18/1x1s2_64_128_32", {32, 32, 32, 64, 16, 16, 128, 1, 2, 0, 0}},
    {"resnet18/3x3_128_16", {32, 16, 16, 128, 16, 16, 128, 3, 1, 1, 1}},
    {"resnet18/3x3_256_8", {32, 8, 8, 256, 8, 8, 256, 3, 1, 1, 1}},
    {"resnet18/3x3_512_4", {32, 4, 4, 512, 4, 4, 512, 3, 1, 1, 1}},
    {"resnet50/stem_7x7s2_3_64_224", {8, 224, 224, 3, 112, 112, 64, 7, 2, 3, 3}},
    {"resnet50/1x1_64_256_56", {8, 56, 56, 64, 56, 56, 256, 1, 1, 0, 0}},
    {"resnet50/1x1_256_64_56", {8, 56, 56, 256, 56, 56, 64, 1, 1, 0, 0}},
    {"resnet50/3x3_64_56", {8, 56, 56, 64, 56, 56, 64, 3, 1, 1, 1}},
    {"resnet50/1x1_512_128_28", {8, 28, 28, 512, 28, 28, 128, 1, 1, 0, 0}},
    {"resnet50/3x3_128_28", {8, 28, 28, 128, 28, 28, 128, 3, 1, 1, 1}},
    {"resnet50/1x1_1024_256_14", {8, 14, 14, 1024, 14, 14, 256, 1, 1, 0, 0}},
    {"resnet50/3x3_256_14", {8, 14, 14, 256, 14, 14, 256, 3, 1, 1, 1}},
    {"resnet50/1x1_2048_512_7", {8, 7, 7, 2048, 7, 7, 512, 1, 1, 0, 0}},
    {"resnet50/3x3_512_7", {8, 7, 7, 512, 7, 7, 512, 3, 1, 1, 1}},
    {"digits/stem_3x3s2_1_32_28", {512, 28, 28, 1, 14, 14, 32, 3, 2, 1, 1}},
    {"digits/stem_3x3_1_16_28", {512, 28, 28, 1, 28, 28, 16, 3, 1, 1, 1}},
    {"digits/3x3_16_14", {512, 14, 14, 16, 14, 14, 16, 3, 1, 1, 1}},
    {"digits/3x3_32_14", {512, 14, 14, 32, 14, 14, 32, 3, 1, 1, 1}},
    {"digits/3x3_64_7", {512, 7, 7, 64, 7, 7, 64, 3, 1, 1, 1}},
};

template <class T>
void convolution(benchmark::State& state, layer const& l, direction d) {
    cpu device{.threads = bench::threads()};
    auto const size = [](std::int64_t n) { return static_cast<std::size_t>(n); };
    std::vector<T> x(size(l.g.in_size()), T(0.5F));
    std::vector<T> y(size(l.g.out_size()), T(0.25F));
    std::vector<float> w(size(l.g.weight_size()), 0.125F);
    bench::call_times times;
    for (auto _ : state) {
        times.measure([&] {
            switch (d) {
                case direction::forward: convolution_forward(device, l.g, x.data(), w.data(), nullptr, y.data()); break;
                case direction::backward_data:
                    convolution_backward_data(device, l.g, y.data(), w.data(), x.data(), store::write);
                    break;
                case direction::backward_weights:
                    convolution_backward_weights(device, l.g, x.data(), y.data(), w.data(), nullptr, store::write);
                    break;
            }
        });
    }
    bench::count_arithmetic(state, device, l.g.multiply_adds(), times,
                            d == direction::backward_data
                                ? cpu_kernels::gemm_kernels_along<T>(device.level(), l.g.out_channels)
                                : cpu_kernels::gemm_pairs_of<T>(device.level()));
}

}  // namespace

int main(int argc, char** argv) {
    static constexpr char const* names[] = {"forward", "backward_data", "backward_weights"};
    for (auto const& l : layers) {
        for (int d = 0; d < 3; ++d) {
            std::string const name = std::string(l.name) + "/" + names[d];
            auto const add = [&](std::string const& suffix, auto body) {
                benchmark::RegisterBenchmark((name + suffix).c_str(), body)
                    ->MinTime(0.15)
                    ->UseRealTime()
                    ->Unit(benchmark::kMillisecond);
            };
            add("/float32", [&l, d](benchmark::State& s) { convolution<float>(s, l, static_cast<direction>(d)); });
            add("/bfloat16", [&l, d](benchmark::State& s) { convolution<bf16>(s, l, static_cast<direction>(d)); });
        }
    }
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    benchmark::RunSpecifiedBenchmarks();
}
