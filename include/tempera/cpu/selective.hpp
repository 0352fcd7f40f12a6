// SPDX-License-Identifier: Apache-2.0
#pragma once
// The selective-kernel merge on the CPU (formulas: device/selective.hpp), one pass over the maps forward and one
// backward. The gradient of the two logits of a channel is the same number with opposite signs.

#include <cstdint>

#include <tempera/cpu/column_sums.hpp>
#include <tempera/cpu/row_blocks.hpp>
#include <tempera/cpu/verbose.hpp>
#include <tempera/cpu/walk.hpp>
#include <tempera/device/selective.hpp>

namespace tempera {
namespace cpu_kernels {

template <class T>
struct selective_kernels {
    void (*weights)(float const* logits, int filters, float* a0, float* a1);
    void (*slopes)(float const* logits, int filters, float const* sums, float* dlogits, bool accumulate);
    void (*merge)(T const* x, T* y, std::int64_t count, int filters, float const* a0, float const* a1);
    void (*split)(T const* x, T const* dy, T* dx, std::int64_t count, int filters, float const* a0, float const* a1,
                  float* sums, bool accumulate);
};

}  // namespace cpu_kernels
}  // namespace tempera

#define TEMPERA_KERNEL_FILE <tempera/cpu/kernels/selective.hpp>
#include <tempera/cpu/each_target.hpp>

namespace tempera {
namespace cpu_kernels {

template <class T>
selective_kernels<T> const& selective_for(isa level) TEMPERA_TABLE(selective_table<T>);

}  // namespace cpu_kernels

template <class T>
void selective_merge_forward(cpu& device, selective_geometry const& g, T const* x, float const* logits, T* y) {
    verbose_scope const scope(device, "selective_merge_forward", bytes_of<T>(3 * g.batch * g.positions * g.filters));
    row_blocks const cut(g.batch, g.positions, g.filters, false);
    auto const& kernels = cpu_kernels::selective_for<T>(device.level());
    auto const lock = device.exclusive();
    std::size_t const bytes = 2 * static_cast<std::size_t>(g.filters) * sizeof(float);
    device.reserve(scratch_slot::own, bytes);
    device.for_chunks(cut.chunks, [&](std::int64_t chunk, int worker) {
        auto* const a0 = static_cast<float*>(device.scratch(worker, scratch_slot::own, bytes));
        cut.each_block(chunk, [&](std::int64_t, std::int64_t sample, std::int64_t first, std::int64_t count) {
            kernels.weights(logits + sample * 2 * g.filters, g.filters, a0, a0 + g.filters);
            kernels.merge(x + 2 * first, y + first, count, g.filters, a0, a0 + g.filters);
        });
    });
}

/// dx or dlogits may be null: not wanted.
template <class T>
void selective_merge_backward(cpu& device, selective_geometry const& g, T const* x, float const* logits, T const* dy,
                              T* dx, store dx_store, float* dlogits, store dlogits_store) {
    verbose_scope const scope(
        device, "selective_merge_backward",
        bytes_of<T>((3 + (dx == nullptr ? 0 : 2 * passes_of(dx_store))) * g.batch * g.positions * g.filters));
    row_blocks const cut(g.batch, g.positions, g.filters, false);
    auto const& kernels = cpu_kernels::selective_for<T>(device.level());
    sum_columns(
        device, cut, 1, 2,
        [&](std::int64_t sample, std::int64_t first, std::int64_t count, float* columns, float* a0) {
            kernels.weights(logits + sample * 2 * g.filters, g.filters, a0, a0 + g.filters);
            kernels.split(x + 2 * first, dy + first, dx == nullptr ? nullptr : dx + 2 * first, count, g.filters, a0,
                          a0 + g.filters, dlogits == nullptr ? nullptr : columns, dx_store == store::accumulate);
        },
        [&](std::int64_t sample, float const* totals) {
            if (dlogits == nullptr) return;
            kernels.slopes(logits + sample * 2 * g.filters, g.filters, totals, dlogits + sample * 2 * g.filters,
                           dlogits_store == store::accumulate);
        });
}

}  // namespace tempera
