// SPDX-License-Identifier: Apache-2.0
// The device object: memory, transfers, and what it says when there is no driver, no device, no memory.

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

#include <tempera/nn.hpp>
#include <tempera/runtime/model.hpp>

#include "lab.hpp"

using namespace tempera;

namespace {

std::string message(auto const& action) {
    try {
        action();
    } catch (error const& e) {
        return e.what();
    }
    return "nothing thrown";
}

bool mentions(std::string const& text, std::initializer_list<char const*> words) {
    UNSCOPED_INFO(text);
    return std::all_of(words.begin(), words.end(), [&](char const* word) { return text.find(word) != text.npos; });
}

constexpr auto network = [](value x) { return dense{.units = 10}(global_average_pool(conv{.filters = 16, .kernel = 3}(x))); };

}  // namespace

TEST_CASE("gpu: every function of the catalogue for every precision") {
    STATIC_REQUIRE(Device<gpu, float>);
    STATIC_REQUIRE(Device<gpu, bf16>);
    STATIC_REQUIRE(Device<gpu, tempera::half>);
    STATIC_REQUIRE(gpu::kind == device_kind::gpu);
    STATIC_REQUIRE(!std::is_copy_constructible_v<gpu>);
    STATIC_REQUIRE(!std::is_move_constructible_v<gpu>);
}

TEST_CASE("gpu: what goes up comes down, and everything is given back") {
    long const before = emulation::counts().live;
    {
        gpu device{.index = 0};
        std::vector<float> const values{1, 2, 3};
        buffer<float> memory(device, 5);
        REQUIRE(reinterpret_cast<std::uintptr_t>(memory.data()) % 64 == 0);
        device.upload(view<float const>{values.data(), {3}}, memory);
        std::vector<float> back(3);
        device.download(memory.view().slice(0, 3), view<float>{back.data(), {3}});
        CHECK(back == values);
        buffer<float> const none(device, 0);
        CHECK(none.size() == 0);
        device.synchronize();
    }
    CHECK(emulation::counts().live == before);
}

TEST_CASE("gpu: the second device of two", "[emulated]") {
    emulation::machine two;
    two.devices = 2;
    emulation::with const machine(two);
    gpu first{.index = 0};
    gpu second{.index = 1};
    buffer<float> a(first, 2);
    buffer<float> b(second, 2);
    fill(first, 2, 1.0F, a.data());
    fill(second, 2, 2.0F, b.data());
    CHECK(lab::from_device(first, a) == std::vector<float>{1, 1});
    CHECK(lab::from_device(second, b) == std::vector<float>{2, 2});
}

TEST_CASE("gpu: a machine that cannot do it is told so", "[emulated]") {
    long const before = emulation::counts().live;
    emulation::machine m;
    auto const open = [](int index) { return [index] { gpu device{.index = index}; }; };

    SECTION("no driver") {
        m.driver = 0;
        emulation::with const machine(m);
        CHECK(mentions(message(open(0)), {"an NVIDIA driver", "CUDA 13.0", "use cpu"}));
    }
    SECTION("an old driver") {
        m.driver = 12040;
        emulation::with const machine(m);
        CHECK(mentions(message(open(0)), {"expected a driver for CUDA 13.0, found one for CUDA 12.4", "install a newer NVIDIA driver"}));
    }
    SECTION("no device") {
        m.devices = 0;
        emulation::with const machine(m);
        CHECK(mentions(message(open(0)), {"expected an NVIDIA GPU, found none", "nvidia-smi"}));
        CHECK(cudaGetLastError() == cudaSuccess);
    }
    SECTION("an index that no device has") {
        m.devices = 2;
        emulation::with const machine(m);
        CHECK(mentions(message(open(2)), {"gpu 2: expected an index from 0 to 1, found 2"}));
        CHECK(mentions(message(open(-1)), {"found -1"}));
    }
    SECTION("an old device") {
        m.compute_major = 7;
        m.compute_minor = 5;
        emulation::with const machine(m);
        CHECK(mentions(message(open(0)), {"expected compute capability 8.0 or newer, found 7.5"}));
    }
    CHECK(emulation::counts().live == before);
}

TEST_CASE("gpu: out of memory names the bytes and what is free", "[emulated]") {
    emulation::machine m;
    m.memory = 1000000;
    emulation::with const machine(m);
    gpu device;
    buffer<float> const some(device, 1000);
    CHECK(mentions(message([&] { buffer<float> const more(device, 1000000); }), {"expected 4000000 bytes, found 996000 free of 1000000", "lower the batch"}));
    buffer<float> const still(device, 1000);  // the failure is not remembered
    CHECK(still.data() != nullptr);
}

TEST_CASE("gpu: a model that does not fit names its bytes before it takes any", "[emulated]") {
    emulation::machine m;
    m.memory = 40'000'000;
    emulation::with const machine(m);
    gpu device;
    using wide = model<network, shape{64, 64, 3}, gpu>;
    auto const live = emulation::counts().live;
    std::string const said = message([&] { wide const never(device, {.max_batch = 512}); });
    CAPTURE(said);
    CHECK(mentions(said, {"memory of a model: expected ", " MB (weights, gradients and statistics 0, maps of 512 samples ",
                          "found 40 MB free of 40 on the device", "lower max_batch"}));
    CHECK(emulation::counts().live == live);
    wide const fits(device, {.max_batch = 4});
    CHECK(fits.allocated_bytes() < 40'000'000);
}

TEST_CASE("gpu: transfers want room") {
    gpu device;
    buffer<float> memory(device, 2);
    std::vector<float> host(3);
    CHECK(mentions(message([&] { device.upload(view<float>{host.data(), {3}}, memory); }), {"gpu 0, upload: expected room for 3 elements, found 2"}));
    CHECK(mentions(message([&] { device.download(memory.view(), view<float>{host.data(), {1}}); }), {"gpu 0, download: expected room for 2 elements, found 1"}));
}

TEST_CASE("gpu: a refused launch is an error, not silence", "[emulated]") {
    gpu device;
    buffer<float> memory(device, 4);
    emulation::machine m;
    m.launches_until_failure = 0;
    emulation::with const machine(m);
    CHECK(mentions(message([&] { fill(device, 4, 1.0F, memory.data()); }), {"launching a kernel", "cudaErrorNoKernelImageForDevice", "TEMPERA_CUDA_ARCHITECTURES"}));
    CHECK(cudaGetLastError() == cudaSuccess);
}
