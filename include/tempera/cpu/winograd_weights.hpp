// SPDX-License-Identifier: Apache-2.0
#pragma once
// The gradient of the filters by Winograd's method (cpu/winograd.hpp).

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <tempera/cpu/winograd.hpp>

namespace tempera::cpu_kernels {

constexpr int winograd_steps = 56;  ///< tiles of a block, which are the steps of its products

/// Sums u {point, filter, channel} that become dw, in `parts` parts, and where the filters of a part begin.
struct winograd_sums {
    float* data;
    std::ptrdiff_t const* lines;
    std::int64_t parts, plane;

    std::int64_t part() const { return winograd_points * plane; }
};

/// u (+)= d' v at one point, for `filters` filters from `begin` on, whose d begin at d.data.
inline void winograd_sum(gemm_tiles const& gemm, winograd_map const& map, winograd_planes const& d,
                         winograd_planes const& v, int tiles, int point, int begin, int filters, bool accumulate,
                         winograd_sums const& u, std::int64_t part) {
    gemm_block g{};
    g.rows = filters;
    g.columns = map.channels;
    g.depth = tiles;
    g.a = d.data + point * d.plane;
    g.a_group = gemm.tile_rows;
    g.a_row = 1;
    g.a_step = d.line;
    g.b = v.data + point * v.plane;
    g.b_panel = gemm.tile_columns;
    g.b_step = v.line;
    g.c = u.data + part * u.part() + point * u.plane;
    g.c_rows = u.lines + begin;
    g.accumulate = accumulate;
    gemm.multiply(g);
}

/// Chunks are parts of the tiles with sums of their own, times groups of filters; each takes block after block.
template <class T>
void winograd_sum_blocks(cpu& device, winograd_map const& map, std::int64_t tiles, T const* x, T const* dy,
                         winograd_sums const& u) {
    gemm_tiles const& gemm = gemm_kernels_of<float>(device.level());
    winograd_kernels<T> const& k = winograd_for<T>(device.level());
    std::int64_t const blocks = ceil_divide(tiles, winograd_steps);
    std::int64_t const split = ceil_divide(blocks, u.parts);
    std::int64_t const groups = std::min(ceil_divide(16, u.parts), ceil_divide(map.filters, 64));
    int const group = static_cast<int>(round_up(ceil_divide(map.filters, groups), k.width));
    winograd_planes const v = winograd_planes::of(winograd_steps, map.channels);
    winograd_planes const d = winograd_planes::of(winograd_steps, group);
    device.reserve(scratch_slot::rows, v.bytes());
    device.reserve(scratch_slot::sums, d.bytes());
    device.for_chunks(u.parts * groups, [&](std::int64_t chunk, int worker) {
        std::int64_t const s = chunk / groups;
        int const begin = static_cast<int>(chunk % groups) * group;
        int const end = std::min(begin + group, map.filters);
        if (begin >= end) return;
        auto const windows =
            winograd_planes::of(winograd_steps, map.channels, device.scratch(worker, scratch_slot::rows, v.bytes()));
        auto const slopes =
            winograd_planes::of(winograd_steps, group, device.scratch(worker, scratch_slot::sums, d.bytes()));
        std::int64_t const last = std::min(blocks, (s + 1) * split);
        for (std::int64_t block = s * split; block < last; ++block) {
            std::int64_t const first = block * winograd_steps;
            int const count = static_cast<int>(std::min<std::int64_t>(winograd_steps, tiles - first));
            k.gather(map, x, first, count, windows.data, v.plane, v.line);
            k.slopes(map, dy, first, count, begin, end, slopes.data, d.plane, d.line);
            for (int point = 0; point < winograd_points; ++point)
                winograd_sum(gemm, map, slopes, windows, count, point, begin, end - begin, block > s * split, u, s);
        }
    });
}

/// Where the sums do not fit the caches, every block would fetch them anew: all workers transform many tiles, then each
/// takes points with groups of filters.
template <class T>
void winograd_sum_points(cpu& device, winograd_map const& map, std::int64_t tiles, T const* x, T const* dy,
                         winograd_sums const& u) {
    gemm_tiles const& gemm = gemm_kernels_of<float>(device.level());
    winograd_kernels<T> const& k = winograd_for<T>(device.level());
    constexpr int few = 4, wide = 112;  // tiles and filters of a chunk
    int const together = static_cast<int>(std::min<std::int64_t>(tiles, 4 * winograd_steps));
    winograd_planes v = winograd_planes::of(together, map.channels);
    winograd_planes d = winograd_planes::of(together, map.filters);
    v.data = static_cast<float*>(device.scratch(device.caller(), scratch_slot::rows, v.bytes()));
    d.data = static_cast<float*>(device.scratch(device.caller(), scratch_slot::sums, d.bytes()));
    std::int64_t const groups = ceil_divide(map.filters, wide);
    for (std::int64_t first = 0; first < tiles; first += together) {
        int const count = static_cast<int>(std::min<std::int64_t>(together, tiles - first));
        device.for_chunks(ceil_divide(count, few), [&](std::int64_t chunk, int) {
            std::int64_t const i = chunk * few;
            int const n = static_cast<int>(std::min<std::int64_t>(few, count - i));
            k.gather(map, x, first + i, n, v.data + i * v.line, v.plane, v.line);
            k.slopes(map, dy, first + i, n, 0, map.filters, d.data + i * d.line, d.plane, d.line);
        });
        device.for_chunks(winograd_points * groups, [&](std::int64_t chunk, int) {
            int const begin = static_cast<int>(chunk % groups) * wide;
            winograd_planes from = d;
            from.data += begin;
            winograd_sum(gemm, map, from, v, count, static_cast<int>(chunk / groups), begin,
                         std::min(wide, map.filters - begin), first > 0, u, 0);
        });
    }
}

/// dw (+)= the gradient of the filters.
template <class T>
void winograd_weights(cpu& device, winograd_map const& map, int batch, T const* x, T const* dy, float* dw,
                      bool accumulate) {
    auto const turn = device.exclusive();
    std::int64_t const tiles = std::int64_t{batch} * map.across() * map.down();
    std::int64_t const blocks = ceil_divide(tiles, winograd_steps);
    winograd_sums u{nullptr, nullptr, 1, std::int64_t{map.filters} * map.channels};
    bool const by_points = u.part() > 1 << 18;  // 1 MB, a second-level cache
    if (!by_points) {
        std::int64_t const split = ceil_divide(blocks, std::min<std::int64_t>(blocks, 16));
        u.parts = ceil_divide(blocks, split);  // none of them empty
    }
    u.data = static_cast<float*>(device.scratch(device.caller(), scratch_slot::panels,
                                                static_cast<std::size_t>(u.parts * u.part()) * sizeof(float)));
    auto* const lines = static_cast<std::ptrdiff_t*>(device.scratch(
        device.caller(), scratch_slot::parts, static_cast<std::size_t>(map.filters) * sizeof(std::ptrdiff_t)));
    for (int o = 0; o < map.filters; ++o) lines[o] = std::ptrdiff_t{o} * map.channels;
    u.lines = lines;
    if (by_points) winograd_sum_points(device, map, tiles, x, dy, u);
    else winograd_sum_blocks(device, map, tiles, x, dy, u);
    auto const collect = winograd_for<T>(device.level()).collect;
    device.for_chunks(map.filters, [&](std::int64_t o, int) {
        collect(u.data + o * map.channels, map.channels, u.plane, static_cast<int>(u.parts), u.part(), accumulate,
                dw + o * 9 * map.channels);
    });
}

template <class T>
void winograd_backward_weights(cpu& device, convolution_geometry const& g, T const* x, T const* dy, float* dw,
                               store mode) {
    winograd_weights(device, winograd_map_of(g), g.batch, x, dy, dw, mode == store::accumulate);
}

}  // namespace tempera::cpu_kernels
