// SPDX-License-Identifier: Apache-2.0
// The cpu device: threads, nesting, exceptions, scratch memory, copies, and the choice of instruction set.

#include "../catch.hpp"

#include <cstdlib>
#include <tempera/cpu/cpu.hpp>
#include <tempera/device/device.hpp>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

using namespace tempera;

static_assert(has_memory<cpu>);
static_assert(!std::is_copy_constructible_v<cpu> && !std::is_move_constructible_v<cpu>);

TEST_CASE("every chunk runs once, on a worker of the device", "[cpu][pool]") {
    for (int const threads : {1, 2, 3, 5}) {
        cpu device{.threads = threads};
        CHECK(device.thread_count() == threads);
        for (int const chunks : {0, 1, 2, 7, 1000}) {
            std::vector<std::atomic<int>> runs(static_cast<std::size_t>(chunks));
            std::atomic<bool> strange = false;
            device.for_chunks(chunks, [&](std::int64_t chunk, int worker) {
                ++runs[static_cast<std::size_t>(chunk)];
                if (worker < 0 || worker >= threads || worker != device.caller()) strange = true;
            });
            CHECK_FALSE(strange);
            for (auto const& r : runs) REQUIRE(r == 1);
        }
    }
}

TEST_CASE("no two chunks run on one worker at a time", "[cpu][pool]") {
    cpu device{.threads = 3};
    std::atomic<int> inside[3] = {0, 0, 0};
    std::atomic<bool> clash = false;
    device.for_chunks(200, [&](std::int64_t, int worker) {
        if (inside[worker].fetch_add(1) != 0) clash = true;
        std::this_thread::yield();
        inside[worker].fetch_sub(1);
    });
    CHECK_FALSE(clash);
}

TEST_CASE("a call from inside a chunk runs in the same worker", "[cpu][pool]") {
    cpu device{.threads = 2};
    std::atomic<int> sum = 0;
    std::atomic<bool> moved = false;
    device.for_chunks(8, [&](std::int64_t, int worker) {
        device.for_chunks(5, [&](std::int64_t chunk, int inner) {
            sum += static_cast<int>(chunk);
            if (inner != worker) moved = true;
        });
    });
    CHECK(sum == 8 * 10);
    CHECK_FALSE(moved);
}

TEST_CASE("the exception of the lowest chunk reaches the caller", "[cpu][pool]") {
    for (int const threads : {1, 2, 5}) {
        cpu device{.threads = threads};
        for (int round = 0; round < 20; ++round) {
            std::string what;
            try {
                device.for_chunks(100, [](std::int64_t chunk, int) {
                    if (chunk >= 40) throw std::runtime_error(std::to_string(chunk));
                });
            } catch (std::runtime_error const& e) {
                what = e.what();
            }
            REQUIRE(what == "40");
        }
        std::atomic<int> runs = 0;
        device.for_chunks(10, [&](std::int64_t, int) { ++runs; });
        CHECK(runs == 10);
    }
}

TEST_CASE("threads of the program take turns on one device", "[cpu][pool]") {
    cpu device{.threads = 2};
    std::atomic<int> runs = 0;
    std::vector<std::thread> callers;
    for (int t = 0; t < 4; ++t) {
        callers.emplace_back([&] {
            for (int i = 0; i < 50; ++i) device.for_chunks(6, [&](std::int64_t, int) { ++runs; });
        });
    }
    for (std::thread& t : callers) t.join();
    CHECK(runs == 4 * 50 * 6);
}

TEST_CASE("the host's executor does the work in place of own threads", "[cpu][pool]") {
    int calls = 0;
    auto const in_reverse = [](void* context, int workers, void (*body)(void*, int), void* argument) {
        ++*static_cast<int*>(context);
        for (int w = workers - 1; w >= 0; --w) body(argument, w);
    };
    cpu device{.threads = 4, .executor = {in_reverse, &calls}};
    int runs = 0;
    int worker_seen = -1;
    device.for_chunks(9, [&](std::int64_t, int worker) {
        ++runs;
        worker_seen = worker;
    });
    CHECK(calls == 1);
    CHECK(runs == 9);
    CHECK(worker_seen == 3);
}

TEST_CASE("threads: all cores by default, an error beyond the limits", "[cpu]") {
    CHECK(cpu{}.thread_count() >= 1);
    CHECK(cpu{}.thread_count() == available_threads());
    CHECK_THROWS_AS(cpu{.threads = -1}, error);
    CHECK_THROWS_AS(cpu{.threads = 1025}, error);
    CHECK(cores_of_quota("max 100000") == 0);
    CHECK(cores_of_quota("150000 100000") == 2);
    CHECK(cores_of_quota("50000 100000") == 1);
    CHECK(cores_of_quota("nonsense") == 0);
    CHECK(cores_of_quota("100 0") == 0);
}

TEST_CASE("scratch memory stays, grows and is aligned", "[cpu]") {
    cpu device{.threads = 2};
    void* const p = device.scratch(1, scratch_slot::shared, 100);
    CHECK(reinterpret_cast<std::uintptr_t>(p) % 64 == 0);
    CHECK(device.scratch(1, scratch_slot::shared, 60) == p);
    CHECK(device.scratch(0, scratch_slot::shared, 60) != p);
    auto* const grown = static_cast<char*>(device.scratch(1, scratch_slot::shared, 100'000));
    grown[99'999] = 1;
    CHECK(reinterpret_cast<std::uintptr_t>(grown) % 64 == 0);
    device.reserve(scratch_slot::own, 1000);
    void* const reserved = device.scratch(1, scratch_slot::own, 1000);
    CHECK(device.scratch(1, scratch_slot::own, 1) == reserved);
}

TEST_CASE("upload and download copy, and check the room", "[cpu]") {
    cpu device{.threads = 1};
    float const source[4] = {1, 2, 3, 4};
    buffer<float> memory(device, 3);
    device.upload(view<float const>{source, {3, 1, 1, 1}}, memory);
    float target[4] = {};
    device.download(memory.view(), view<float>{target, {3, 1, 1, 1}});
    device.synchronize();
    CHECK(target[2] == 3);
    CHECK_THROWS_AS(device.upload(view<float const>{source, {4, 1, 1, 1}}, memory), error);
    CHECK_THROWS_AS(device.download(memory.view(), view<float>{target, {2, 1, 1, 1}}), error);
    CHECK_THROWS_AS(device.allocate(~std::size_t{0} - 8), error);
}

TEST_CASE("an instruction set by name", "[cpu][isa]") {
    CHECK(isa_named("portable", isa::avx512) == isa::portable);
    CHECK(isa_named("avx2", isa::avx512) == isa::avx2);
    CHECK(isa_named("avx512", isa::avx512) == isa::avx512);
    auto const message = [](char const* word, isa machine) {
        try {
            return std::string(name_of(isa_named(word, machine)));
        } catch (error const& e) {
            return std::string(e.what());
        }
    };
    CHECK(message("avx512", isa::avx2) ==
          "TEMPERA_ISA: expected an instruction set of this machine (at most avx2), "
          "found avx512; unset it to use the best one");
    CHECK(message("AVX2", isa::avx512) ==
          "TEMPERA_ISA: expected portable, avx2, avx512, avx512_bf16 or amx, found 'AVX2'; "
          "unset it to use the best one of this machine");
    CHECK(isa_named("avx512_bf16", isa::avx512_bf16) == isa::avx512_bf16);
    CHECK(fastest_isa(isa::avx2) == isa::avx2);
    CHECK(isa_named("amx", isa::amx) == isa::amx);
    CHECK(message("amx", isa::avx512_bf16) ==
          "TEMPERA_ISA: expected an instruction set of this machine (at most avx512_bf16), "
          "found amx; unset it to use the best one");
    CHECK(fastest_isa(isa::amx) == isa::amx);

    char const* const given = std::getenv("TEMPERA_ISA");
    std::string const before = given == nullptr ? "" : given;
    setenv("TEMPERA_ISA", "portable", 1);
    CHECK(cpu{}.level() == isa::portable);
    setenv("TEMPERA_ISA", "", 1);
    CHECK(cpu{}.level() == fastest_isa(detected_isa()));  // a system that knows of tiles lends them
    setenv("TEMPERA_ISA", before.c_str(), 1);
}

TEST_CASE("memory is aligned for vectors, and large memory for large pages", "[cpu]") {
    constexpr std::size_t large = std::size_t{4} << 20;
    for (std::size_t const bytes : {std::size_t{0}, std::size_t{1}, std::size_t{65}, large - 1, large, large + 1}) {
        INFO(bytes);
        void* const p = allocate_aligned(bytes);
        CHECK(reinterpret_cast<std::uintptr_t>(p) % (bytes < large ? 64 : large / 2) == 0);
        std::memset(p, 1, bytes);
        std::free(p);
    }
}
