// SPDX-License-Identifier: Apache-2.0
// Augmented views a second, on one core, and batches through the loader. items_per_second counts views.

#include <benchmark/benchmark.h>

#include <cstdint>
#include <vector>

#include <tempera/data.hpp>

using namespace tempera;

namespace {

image_set noise(shape image, int count) {
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(count * image.size()));
    philox_stream stream(1);
    for (auto& p : pixels) p = static_cast<std::uint8_t>(stream.word() >> 24);
    return {image, std::move(pixels), std::vector<std::int32_t>(static_cast<std::size_t>(count)), 1};
}

void views(benchmark::State& state, shape image, int count, augmentation const& a) {
    image_set const set = noise(image, count);
    shape const out = augmented_shape(a, image);
    std::vector<float> result(static_cast<std::size_t>(out.size()));
    distortion_workspace work;
    work.reserve(a, image);
    int sample = 0;
    for (auto _ : state) {
        augment(a, set.image(sample % count), {result.data(), {1, out.height, out.width, out.channels}},
                view_stream(1, 0, sample, 0), work);
        benchmark::DoNotOptimize(result.data());
        ++sample;
    }
    state.SetItemsProcessed(state.iterations());
}

constexpr shape small{28, 28, 1}, cifar{32, 32, 3}, photo{375, 500, 3};

void gray_28_simclr(benchmark::State& state) {
    views(state, small, 1024, simclr_augmentation{.strength = 0.75F, .blur = 0, .area_min = 0.2F});
}
void gray_28_crop_and_flip(benchmark::State& state) { views(state, small, 1024, crop_and_flip{}); }
void rgb_32_simclr(benchmark::State& state) {
    views(state, cifar, 1024, simclr_augmentation{.strength = 0.5F, .blur = 0});
}
void rgb_224_simclr(benchmark::State& state) {
    views(state, photo, 16, simclr_augmentation{.height = 224, .width = 224});
}
void rgb_224_crop_and_flip(benchmark::State& state) {
    views(state, photo, 16, crop_and_flip{.height = 224, .width = 224});
}
void rgb_224_center_crop(benchmark::State& state) {
    views(state, photo, 16, center_crop{.height = 224, .width = 224});
}

/// Two views of 256 samples a batch, prepared by state.range(0) threads while the consumer only asks.
void loader_28(benchmark::State& state) {
    loader batches(noise(small, 8000),
                   {.batch = 256,
                    .views = 2,
                    .augment = simclr_augmentation{.strength = 0.75F, .blur = 0, .area_min = 0.2F},
                    .steps = std::int64_t{1} << 40,
                    .threads = static_cast<int>(state.range(0))});
    for (auto _ : state) benchmark::DoNotOptimize(batches.next().images.data);
    state.SetItemsProcessed(state.iterations() * 512);
}

}  // namespace

BENCHMARK(gray_28_simclr);
BENCHMARK(gray_28_crop_and_flip);
BENCHMARK(rgb_32_simclr);
BENCHMARK(rgb_224_simclr)->Unit(benchmark::kMicrosecond);
BENCHMARK(rgb_224_crop_and_flip)->Unit(benchmark::kMicrosecond);
BENCHMARK(rgb_224_center_crop)->Unit(benchmark::kMicrosecond);
BENCHMARK(loader_28)->Arg(0)->Arg(1)->Arg(2)->Unit(benchmark::kMicrosecond)->UseRealTime();

BENCHMARK_MAIN();
