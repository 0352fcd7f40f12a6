// SPDX-License-Identifier: Apache-2.0
#pragma once
// Gates on the CPU: y[b, p, c] = x[b, p, c] gate[b, c], and both gradients in one pass over the maps.

#include <cstdint>
#include <cstring>

#include <tempera/cpu/column_sums.hpp>
#include <tempera/cpu/row_blocks.hpp>
#include <tempera/cpu/verbose.hpp>
#include <tempera/cpu/walk.hpp>
#include <tempera/device/pointwise.hpp>

namespace tempera {
namespace cpu_kernels {

template <class T>
struct gate_kernels {
    void (*walk)(T const* x, T const* dy, T* dx, std::int64_t count, int wide, float const* gate, float* sums,
                 bool accumulate);
};

}  // namespace cpu_kernels
}  // namespace tempera

#define TEMPERA_KERNEL_FILE <tempera/cpu/kernels/gate.hpp>
#include <tempera/cpu/each_target.hpp>

namespace tempera {
namespace cpu_kernels {

template <class T>
gate_kernels<T> const& gate_for(isa level) TEMPERA_TABLE(gate_table<T>);

/// The gate of one sample as a wide row: itself, or repeated in `spare`.
inline float const* wide_gate(row_blocks const& cut, float const* gate, float* spare) {
    if (cut.fold == 1) return gate;
    std::memcpy(spare, gate, static_cast<std::size_t>(cut.channels) * sizeof(float));
    repeat_columns(spare, cut.channels, cut.fold);
    return spare;
}

/// y (+)= x gate.
template <class T>
void spread_gate(cpu& device, gate_geometry const& g, T const* x, float const* gate, T* y, bool accumulate) {
    row_blocks const cut(g.batch, g.positions, g.channels);
    auto const kernel = gate_for<T>(device.level()).walk;
    auto const lock = device.exclusive();
    std::size_t const bytes = static_cast<std::size_t>(cut.wide) * sizeof(float);
    device.reserve(scratch_slot::own, bytes);
    device.for_chunks(cut.chunks, [&](std::int64_t chunk, int worker) {
        auto* const spare = static_cast<float*>(device.scratch(worker, scratch_slot::own, bytes));
        cut.each_block(chunk, [&](std::int64_t, std::int64_t sample, std::int64_t first, std::int64_t count) {
            kernel(nullptr, x + first, y + first, count, cut.wide, wide_gate(cut, gate + sample * g.channels, spare),
                   nullptr, accumulate);
        });
    });
}

}  // namespace cpu_kernels

template <class T>
void gate_forward(cpu& device, gate_geometry const& g, T const* x, float const* gate, T* y) {
    verbose_scope const scope(device, "gate_forward", bytes_of<T>(2 * g.batch * g.positions * g.channels));
    cpu_kernels::spread_gate(device, g, x, gate, y, false);
}

template <class T>
void gate_backward(cpu& device, gate_geometry const& g, T const* x, float const* gate, T const* dy, T* dx,
                   store dx_store, float* dgate, store dgate_store) {
    verbose_scope const scope(device, "gate_backward",
                              bytes_of<T>(((dgate == nullptr ? 1 : 2) + (dx == nullptr ? 0 : passes_of(dx_store))) *
                                          g.batch * g.positions * g.channels));
    if (dgate == nullptr) {
        if (dx != nullptr) cpu_kernels::spread_gate(device, g, dy, gate, dx, dx_store == store::accumulate);
        return;
    }
    row_blocks const cut(g.batch, g.positions, g.channels);
    auto const kernel = cpu_kernels::gate_for<T>(device.level()).walk;
    sum_columns(
        device, cut, 1, 1,
        [&](std::int64_t sample, std::int64_t first, std::int64_t count, float* columns, float* spare) {
            float const* const factor =
                dx == nullptr ? nullptr : cpu_kernels::wide_gate(cut, gate + sample * g.channels, spare);
            kernel(x + first, dy + first, dx == nullptr ? nullptr : dx + first, count, cut.wide, factor, columns,
                   dx_store == store::accumulate);
        },
        [&](std::int64_t sample, float const* totals) {
            float* const out = dgate + sample * g.channels;
            for (int c = 0; c < g.channels; ++c)
                out[c] = dgate_store == store::accumulate ? out[c] + totals[c] : totals[c];
        });
}

}  // namespace tempera
