// SPDX-License-Identifier: Apache-2.0
// Threads that keep their channels: every element once, with the channel it has, however many threads there are.

#include <tempera/cuda/along_channels.cuh>

#include "lab.hpp"

using namespace tempera;
using namespace tempera::cuda_kernels;

namespace {

/// Adds 1000 and the channel to each element.
struct note_channel {
    int* visits;

    template <int Width>
    struct first_channel {
        int c;
    };
    template <int Width>
    __device__ first_channel<Width> channels(int c) const {
        return {c};
    }
    template <int Width>
    __device__ void operator()(std::int64_t i, first_channel<Width> const& first) const {
        auto values = load_pack<Width>(visits + i);
        for (int k = 0; k < Width; ++k) values.at[k] += 1000 + first.c + k;
        store_pack(visits + i, values);
    }
};

template <int Width>
void check(int rows, int channels, unsigned blocks, unsigned threads) {
    gpu device;
    auto visits = lab::on_device(device, std::vector<int>(static_cast<std::size_t>(rows * channels)));
    launch(along_channels_kernel<Width, note_channel>, dim3(blocks), dim3(threads), device.context.stream(),
           std::int64_t{rows} * channels / Width, channels / Width, note_channel{visits.data()});
    auto const found = lab::from_device(device, visits);
    for (int i = 0; i < rows * channels; ++i) CHECK(found[static_cast<std::size_t>(i)] == 1000 + i % channels);
}

}  // namespace

TEST_CASE("gpu along channels: every element once") {
    emulation::with const machine(lab::any_order());
    check<1>(7, 33, 1, 64);   // threads that would share a row's rest with another stay out
    check<1>(1, 5, 2, 32);    // more threads than elements
    check<1>(9, 1, 1, 4);     // several rounds
    check<4>(11, 24, 2, 16);  // packs
    check<4>(3, 64, 1, 16);
}

TEST_CASE("gpu along channels: as many threads as channels, whatever the rows, and packs where all is aligned") {
    gpu device;
    for (int const channels : {1, 300, 512}) {
        auto visits = lab::on_device(device, std::vector<int>(static_cast<std::size_t>(2 * channels + 1)));
        along_channels<float>(device.context.stream(), 2, channels, note_channel{visits.data() + 1},
                              {visits.data() + 1});
        along_channels<float>(device.context.stream(), 2, channels, note_channel{visits.data()},
                              {visits.data(), nullptr});
        auto const found = lab::from_device(device, visits);
        for (int i = 1; i < 2 * channels; ++i)
            CHECK(found[static_cast<std::size_t>(i)] == 2000 + i % channels + (i - 1) % channels);
    }
}
