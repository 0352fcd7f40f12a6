// SPDX-License-Identifier: Apache-2.0
// Moments of parts, as convolutions leave them, against those of all values.

#include <tempera/cuda/moments.cuh>

#include "lab.hpp"

using namespace tempera;

TEST_CASE("gpu moments: parts are merged, of more than a block has threads, too") {
    emulation::with const machine(lab::any_order());
    int const parts = GENERATE(1, 5, 1031);
    int const channels = GENERATE(8, 24);
    int const rows = 128 * parts - 3;  // the last part is cut
    gpu device;
    auto const mean = lab::random_values<float>(parts * channels, 1);
    auto squares = lab::random_values<float>(parts * channels, 2);
    for (float& s : squares) s = 64 * (s + 1);
    std::vector<double> all_mean(static_cast<std::size_t>(channels));
    std::vector<double> variance(static_cast<std::size_t>(channels));
    auto const each = [&](auto const& function) {
        for (std::size_t i = 0; i < mean.size(); ++i) {
            auto const c = i % static_cast<std::size_t>(channels);
            function(i, c, i / static_cast<std::size_t>(channels) + 1 < static_cast<std::size_t>(parts) ? 128.0 : 125.0);
        }
    };
    each([&](std::size_t i, std::size_t c, double count) { all_mean[c] += count * double{mean[i]} / rows; });
    each([&](std::size_t i, std::size_t c, double count) {
        double const d = double{mean[i]} - all_mean[c];
        variance[c] += (double{squares[i]} + count * d * d) / rows;
    });
    auto both = mean;
    both.insert(both.end(), squares.begin(), squares.end());
    auto memory = lab::on_device(device, both);
    buffer<float> mean_memory(device, channels);
    buffer<float> variance_memory(device, channels);
    cuda_kernels::merge_moments(device.context.stream(), rows, channels, memory.data(),
                                {.mean = mean_memory.data(), .variance = variance_memory.data()});
    CHECK(lab::difference(lab::from_device(device, mean_memory), all_mean) < 1e-5);
    CHECK(lab::difference(lab::from_device(device, variance_memory), variance) < 1e-6);
}
