// SPDX-License-Identifier: Apache-2.0
#pragma once
// Optimizer updates on the cpu: LARS, SGD, Adam, and the moving average of parameters.
//
// Ranges are cut into chunks of 16384 elements, whatever the number of threads. LARS takes two passes: norms of every
// chunk, summed per range in order, then the update; the others take one.

#include <cmath>
#include <cstdint>
#include <span>

#include <tempera/cpu/cpu.hpp>
#include <tempera/cpu/vector.hpp>
#include <tempera/cpu/verbose.hpp>
#include <tempera/device/optimizers.hpp>

namespace tempera {
namespace cpu_kernels {

/// v = momentum v + into g';  w -= rate (carry v + look_ahead g')      g' = g + weight_decay w
struct momentum_step {
    float weight_decay, momentum, into, carry, look_ahead, rate;
};
struct adam_step {
    float weight_decay, beta1, beta2, epsilon, rate;
};
struct optimizer_kernels {
    void (*square_sums)(float weight_decay, float gradient_part, float momentum_part, std::int64_t n, float const* w,
                        float const* g, float const* v, double* sums);
    void (*momentum_update)(momentum_step const&, std::int64_t n, float* w, float const* g, float* v);
    void (*adam_update)(adam_step const&, std::int64_t n, float* w, float const* g, float* first, float* second);
    void (*average_update)(float decay, std::int64_t n, float const* w, float* average);
};

/// A piece of one range. sums: |w|^2 and |x|^2 of the piece; trust: of its whole range.
struct optimizer_chunk {
    std::int64_t begin;
    std::int64_t count;
    std::size_t range;
    double sums[2];
    float trust;
};

}  // namespace cpu_kernels
}  // namespace tempera

#define TEMPERA_KERNEL_FILE <tempera/cpu/kernels/optimizers.hpp>
#include <tempera/cpu/each_target.hpp>

namespace tempera {
namespace cpu_kernels {

inline constexpr std::int64_t optimizer_chunk_size = 16384;

template <class Table = optimizer_kernels>
Table const& optimizers_for(isa level) TEMPERA_TABLE(optimizer_table);

inline std::int64_t elements_of(std::span<update_range const> ranges) {
    std::int64_t all = 0;
    for (update_range const& r : ranges) all += r.count;
    return all;
}

/// The chunks of all ranges in order, in the caller's scratch memory; the caller holds device.exclusive().
inline std::span<optimizer_chunk> optimizer_chunks(cpu& device, std::span<update_range const> ranges) {
    std::size_t count = 0;
    for (update_range const& r : ranges)
        count += static_cast<std::size_t>((r.count + optimizer_chunk_size - 1) / optimizer_chunk_size);
    auto* const chunks = static_cast<optimizer_chunk*>(
        device.scratch(device.caller(), scratch_slot::outer, count * sizeof(optimizer_chunk)));
    std::size_t next = 0;
    for (std::size_t r = 0; r < ranges.size(); ++r) {
        for (std::int64_t done = 0; done < ranges[r].count; done += optimizer_chunk_size) {
            std::int64_t const left = ranges[r].count - done;
            chunks[next++] = {
                ranges[r].offset + done, left < optimizer_chunk_size ? left : optimizer_chunk_size, r, {0, 0}, 1};
        }
    }
    return {chunks, count};
}

/// Sets every chunk's trust to eta |w| / |x| of its range, 1 where a norm is 0 or the range does not adapt.
inline void set_trust(std::span<optimizer_chunk> chunks, std::span<update_range const> ranges, float eta) {
    for (std::size_t begin = 0; begin < chunks.size();) {
        double ww = 0;
        double xx = 0;
        std::size_t end = begin;
        for (; end < chunks.size() && chunks[end].range == chunks[begin].range; ++end) {
            ww += chunks[end].sums[0];
            xx += chunks[end].sums[1];
        }
        if (ranges[chunks[begin].range].adapt && ww > 0 && xx > 0) {
            auto const trust = static_cast<float>(static_cast<double>(eta) * std::sqrt(ww) / std::sqrt(xx));
            for (std::size_t i = begin; i < end; ++i) chunks[i].trust = trust;
        }
        begin = end;
    }
}

}  // namespace cpu_kernels

inline void apply_lars(cpu& device, lars_update const& u, std::span<update_range const> ranges, float* w,
                       float const* g, float* momentum) {
    using namespace cpu_kernels;
    verbose_scope scope(device, "apply_lars", 0);
    auto const& kernels = optimizers_for(device.level());
    auto const turn = device.exclusive();
    auto const chunks = optimizer_chunks(device, ranges);
    auto const count = static_cast<std::int64_t>(chunks.size());

    // The trust ratio is taken of g' (classic), or of the update carry (m v + g') + look_ahead g'.
    float const carry = u.nesterov ? u.momentum : 1.0F;
    float const gradient_part = u.classic_momentum || !u.nesterov ? 1.0F : 1.0F + carry;
    float const momentum_part = u.classic_momentum ? 0.0F : carry * u.momentum;
    for (update_range const& r : ranges)
        scope.moves(bytes_of<float>(((r.adapt ? momentum_part == 0 ? 2 : 3 : 0) + 5) * r.count));
    device.for_chunks(count, [&](std::int64_t i, int) {
        optimizer_chunk& c = chunks[static_cast<std::size_t>(i)];
        update_range const& r = ranges[c.range];
        if (!r.adapt) return;
        kernels.square_sums(r.weight_decay, gradient_part, momentum_part, c.count, w + c.begin, g + c.begin,
                            momentum + c.begin, c.sums);
    });
    set_trust(chunks, ranges, u.eta);
    device.for_chunks(count, [&](std::int64_t i, int) {
        optimizer_chunk const& c = chunks[static_cast<std::size_t>(i)];
        float const rate = u.learning_rate * c.trust;
        float const into = u.classic_momentum ? rate : 1.0F;
        momentum_step const step{ranges[c.range].weight_decay,    u.momentum, into, carry, u.nesterov ? into : 0.0F,
                                 u.classic_momentum ? 1.0F : rate};
        kernels.momentum_update(step, c.count, w + c.begin, g + c.begin, momentum + c.begin);
    });
}

inline void apply_sgd(cpu& device, sgd_update const& u, std::span<update_range const> ranges, float* w, float const* g,
                      float* momentum) {
    using namespace cpu_kernels;
    verbose_scope const scope(device, "apply_sgd", bytes_of<float>(5 * elements_of(ranges)));
    auto const& kernels = optimizers_for(device.level());
    auto const turn = device.exclusive();
    auto const chunks = optimizer_chunks(device, ranges);
    float const into = u.classic_momentum ? u.learning_rate : 1.0F;
    device.for_chunks(static_cast<std::int64_t>(chunks.size()), [&](std::int64_t i, int) {
        optimizer_chunk const& c = chunks[static_cast<std::size_t>(i)];
        momentum_step const step{ranges[c.range].weight_decay,
                                 u.momentum,
                                 into,
                                 u.nesterov ? u.momentum : 1.0F,
                                 u.nesterov ? into : 0.0F,
                                 u.classic_momentum ? 1.0F : u.learning_rate};
        kernels.momentum_update(step, c.count, w + c.begin, g + c.begin, momentum + c.begin);
    });
}

inline void apply_adam(cpu& device, adam_update const& u, std::span<update_range const> ranges, float* w,
                       float const* g, float* first, float* second) {
    using namespace cpu_kernels;
    verbose_scope const scope(device, "apply_adam", bytes_of<float>(7 * elements_of(ranges)));
    auto const& kernels = optimizers_for(device.level());
    auto const turn = device.exclusive();
    auto const chunks = optimizer_chunks(device, ranges);
    auto const t = static_cast<double>(u.step);
    auto const rate = static_cast<float>(static_cast<double>(u.learning_rate) *
                                         std::sqrt(1 - std::pow(static_cast<double>(u.beta2), t)) /
                                         (1 - std::pow(static_cast<double>(u.beta1), t)));
    device.for_chunks(static_cast<std::int64_t>(chunks.size()), [&](std::int64_t i, int) {
        optimizer_chunk const& c = chunks[static_cast<std::size_t>(i)];
        adam_step const step{ranges[c.range].weight_decay, u.beta1, u.beta2, u.epsilon, rate};
        kernels.adam_update(step, c.count, w + c.begin, g + c.begin, first + c.begin, second + c.begin);
    });
}

inline void apply_ema(cpu& device, std::int64_t n, float decay, float const* w, float* average) {
    using namespace cpu_kernels;
    verbose_scope const scope(device, "apply_ema", bytes_of<float>(3 * n));
    auto const& kernels = optimizers_for(device.level());
    device.for_chunks((n + optimizer_chunk_size - 1) / optimizer_chunk_size, [&](std::int64_t i, int) {
        std::int64_t const begin = i * optimizer_chunk_size;
        std::int64_t const left = n - begin;
        kernels.average_update(decay, left < optimizer_chunk_size ? left : optimizer_chunk_size, w + begin,
                               average + begin);
    });
}

}  // namespace tempera
