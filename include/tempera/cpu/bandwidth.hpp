// SPDX-License-Identifier: Apache-2.0
#pragma once
// measured_bandwidth: what memory-bound functions are compared with, a STREAM triad a = b + s c on all threads
// (McCalpin 1995). Counted are three arrays; the read that a cache makes before it writes a line is not.

#include <algorithm>
#include <chrono>
#include <cstdint>

#include <tempera/cpu/cpu.hpp>

namespace tempera {

/// Bytes per second, the best of three rounds over arrays of 64 MiB each, more than caches hold.
inline double measured_bandwidth(cpu& device) {
    typedef float four __attribute__((vector_size(16)));
    constexpr std::int64_t count = std::int64_t{1} << 22, piece = 16384;
    buffer<float> memory(device, 12 * count);
    four* const a = reinterpret_cast<four*>(memory.data());
    four const* const b = a + count;
    four const* const c = b + count;
    auto const for_pieces = [&](auto const& body) {
        device.for_chunks(count / piece, [&](std::int64_t chunk, int) {
            for (std::int64_t i = chunk * piece; i < (chunk + 1) * piece; ++i) body(i);
        });
    };
    for_pieces([&](std::int64_t i) { a[i] = a[i + count] = a[i + 2 * count] = four{1, 1, 1, 1}; });
    double best = 0;
    for (int round = 0; round < 3; ++round) {
        auto const begin = std::chrono::steady_clock::now();
        for_pieces([&](std::int64_t i) { a[i] = b[i] + 3.0F * c[i]; });
        std::chrono::duration<double> const time = std::chrono::steady_clock::now() - begin;
        best = std::max(best, 3.0 * sizeof(four) * static_cast<double>(count) / time.count());
    }
    return best;
}

}  // namespace tempera
