// SPDX-License-Identifier: Apache-2.0
// Threads that keep their channels: every element once, with the channel it has, however many threads there are.

#include <tempera/cuda/along_channels.cuh>

#include "lab.hpp"

using namespace tempera;
using namespace tempera::cuda_kernels;

namespace {

/// Adds 1000 and the channel to each element.
struct note_channel {
    static constexpr int ahead = 3;
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
    __device__ pack<int, Width> load(std::int64_t i) const {
        return load_pack<Width>(visits + i);
    }
    template <int Width>
    __device__ void operator()(std::int64_t i, pack<int, Width> values, first_channel<Width> const& first) const {
        for (int k = 0; k < Width; ++k) values.at[k] += 1000 + first.c + k;
        store_pack(visits + i, values);
    }
};

template <int Width>
void check(int rows, int channels, int rows_of_block) {
    gpu device;
    auto visits = lab::on_device(device, std::vector<int>(static_cast<std::size_t>(rows * channels)));
    channel_tiles const tiles(channels / Width, along_threads);
    auto const blocks = static_cast<unsigned>((rows + rows_of_block - 1) / rows_of_block);
    launch(along_channels_kernel<Width, note_channel>, dim3(static_cast<unsigned>(tiles.count), blocks), tiles.block(),
           device.context.stream(), std::int64_t{rows}, channels, rows_of_block, note_channel{visits.data()});
    auto const found = lab::from_device(device, visits);
    for (int i = 0; i < rows * channels; ++i) CHECK(found[static_cast<std::size_t>(i)] == 1000 + i % channels);
}

}  // namespace

TEST_CASE("gpu along channels: every element once") {
    emulation::with const machine(lab::any_order());
    check<1>(40, 33, 16);     // two tiles of 17, the second with a thread too many; a rest of rows
    check<1>(1, 5, 51);       // more threads than rows
    check<1>(1030, 1, 1024);  // several rounds, and a part of one
    check<4>(11, 24, 5);      // packs; fewer rows of a block than threads down
    check<4>(50, 64, 48);
}

TEST_CASE("gpu along channels: every channel, whatever the rows, and packs where all is aligned") {
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
