// SPDX-License-Identifier: Apache-2.0
#pragma once
// The gradient of the filters by Winograd's method (cpu/winograd.hpp).

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <tempera/cpu/winograd.hpp>

namespace tempera::cpu_kernels {

constexpr int winograd_steps = 56;  ///< tiles of a block, which are the steps of its products

/// dw (+)= the gradient of the filters. Chunks are splits of the tiles with sums of their own, times groups of filters.
inline void winograd_weights(cpu& device, winograd_map const& map, int batch, float const* x, float const* dy,
                             float* dw, bool accumulate) {
    gemm_tiles const& gemm = gemm_kernels_of<float>(device.level());
    winograd_kernels const& k = winograd_for(device.level());
    auto const turn = device.exclusive();
    std::int64_t const tiles = std::int64_t{batch} * map.across() * map.down();
    std::int64_t const blocks = ceil_divide(tiles, winograd_steps);
    std::int64_t const plane_u = std::int64_t{map.filters} * map.channels;
    std::int64_t const part = winograd_points * plane_u;
    std::int64_t const room = std::max<std::int64_t>((std::int64_t{1} << 23) / part, 1);  // 32 MB of sums
    std::int64_t const split = ceil_divide(blocks, std::min({blocks, room, std::int64_t{16}}));
    std::int64_t const splits = ceil_divide(blocks, split);  // none of them empty
    std::int64_t const groups = std::min(ceil_divide(16, splits), ceil_divide(map.filters, 64));
    int const group = static_cast<int>(round_up(ceil_divide(map.filters, groups), k.width));

    std::int64_t const line_v = line_of(map.channels);
    std::int64_t const line_s = line_of(group);
    std::int64_t const plane_v = winograd_steps * line_v + 16;
    std::int64_t const plane_s = winograd_steps * line_s + 16;
    auto const bytes = [](std::int64_t floats) { return static_cast<std::size_t>(floats) * sizeof(float); };
    device.reserve(slot_rows, bytes(winograd_points * plane_v + 64));
    device.reserve(slot_sums, bytes(winograd_points * plane_s + 64));
    auto* const parts = static_cast<float*>(device.scratch(device.caller(), slot_parts, bytes(splits * part)));
    auto* const lines = static_cast<std::ptrdiff_t*>(
        device.scratch(device.caller(), slot_panels, static_cast<std::size_t>(map.filters) * sizeof(std::ptrdiff_t)));
    for (int o = 0; o < map.filters; ++o) lines[o] = std::ptrdiff_t{o} * map.channels;

    device.for_chunks(splits * groups, [&](std::int64_t chunk, int worker) {
        std::int64_t const s = chunk / groups;
        int const begin = static_cast<int>(chunk % groups) * group;
        int const end = std::min(begin + group, map.filters);
        if (begin >= end) return;
        auto* const v = static_cast<float*>(device.scratch(worker, slot_rows, bytes(winograd_points * plane_v + 64)));
        auto* const d = static_cast<float*>(device.scratch(worker, slot_sums, bytes(winograd_points * plane_s + 64)));
        std::int64_t const last = std::min(blocks, (s + 1) * split);
        for (std::int64_t block = s * split; block < last; ++block) {
            std::int64_t const first = block * winograd_steps;
            int const count = static_cast<int>(std::min<std::int64_t>(winograd_steps, tiles - first));
            k.gather(map, x, first, count, v, plane_v, line_v);
            k.slopes(map, dy, first, count, begin, end, d, plane_s, line_s);
            for (int xi = 0; xi < winograd_points; ++xi) {
                gemm_block g{};
                g.rows = end - begin;
                g.columns = map.channels;
                g.depth = count;
                g.a = d + xi * plane_s;
                g.a_group = gemm.tile_rows;
                g.a_row = 1;
                g.a_step = line_s;
                g.b = v + xi * plane_v;
                g.b_panel = gemm.tile_columns;
                g.b_step = line_v;
                g.c = parts + s * part + xi * plane_u;
                g.c_rows = lines + begin;
                g.accumulate = block > s * split;
                gemm.multiply(g);
            }
        }
    });
    device.for_chunks(map.filters, [&](std::int64_t o, int) {
        k.collect(parts + o * map.channels, map.channels, plane_u, static_cast<int>(splits), part, accumulate,
                  dw + o * 9 * map.channels);
    });
}

inline void winograd_backward_weights(cpu& device, convolution_geometry const& g, float const* x, float const* dy,
                                      float* dw, store mode) {
    winograd_weights(device, winograd_map_of(g), g.batch, x, dy, dw, mode == store::accumulate);
}

}  // namespace tempera::cpu_kernels
