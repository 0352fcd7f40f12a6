// SPDX-License-Identifier: Apache-2.0
#pragma once
// all_finite on the cpu: whether an array holds neither infinities nor NaN (catalogue: device/losses.hpp).

#include <atomic>
#include <cstdint>

#include <tempera/cpu/cpu.hpp>
#include <tempera/cpu/vector.hpp>
#include <tempera/cpu/verbose.hpp>

namespace tempera::cpu_kernels {

struct finite_kernels {
    bool (*none_infinite)(std::int64_t n, float const* x);
};

}  // namespace tempera::cpu_kernels

#define TEMPERA_KERNEL_FILE <tempera/cpu/kernels/finite.hpp>
#include <tempera/cpu/each_target.hpp>

namespace tempera {
namespace cpu_kernels {

template <class Table = finite_kernels>
Table const& finite_for(isa level) TEMPERA_TABLE(finite_table);

}  // namespace cpu_kernels

inline bool all_finite(cpu& device, std::int64_t n, float const* x) {
    verbose_scope const scope(device, "all_finite", bytes_of<float>(n));
    using namespace cpu_kernels;
    auto const& k = finite_for(device.level());
    constexpr std::int64_t step = 65536;
    std::atomic<bool> good{true};
    device.for_chunks((n + step - 1) / step, [&](std::int64_t chunk, int) {
        std::int64_t const begin = chunk * step;
        if (!k.none_infinite(begin + step < n ? step : n - begin, x + begin))
            good.store(false, std::memory_order_relaxed);
    });
    return good.load(std::memory_order_relaxed);
}

}  // namespace tempera
