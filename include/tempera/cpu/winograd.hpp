// SPDX-License-Identifier: Apache-2.0
#pragma once
// 3x3 convolutions of stride 1 by Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray, arXiv 1509.09308):
//
//   y  = A' [ sum over channels (G g G') * (B' d B) ] A      d a 6x6 piece of the map, y its 4x4 results
//   dd = the same of dy with filters turned by half a turn
//   dg = G' [ sum over tiles (A dy A') * (B' d B) ] G
//
// 36 products of matrices {tiles, channels} x {channels, filters} take the place of 144: a quarter of the multiply-adds.
// Blocks of tiles are transformed into a worker's scratch memory, multiplied by the tiles of the matrix product and
// transformed back. The error is about ten times that of direct sums (tests/cpu/winograd.test.cpp); cpu{.winograd = false}
// switches it off.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <tempera/cpu/gemm.hpp>
#include <tempera/device/convolution.hpp>
#include <tempera/device/store.hpp>

namespace tempera::cpu_kernels {

/// Where a tile of 4 x 4 results lies.
struct winograd_place {
    std::int64_t image;
    int row, column;
};

/// A map {batch, in_height, in_width, channels} and its results {batch, out_height, out_width, filters}.
struct winograd_map {
    int in_height, in_width, channels;
    int out_height, out_width, filters;
    int pad_top, pad_left;

    int across() const { return (out_width + 3) / 4; }
    int down() const { return (out_height + 3) / 4; }
    winograd_place place(std::int64_t tile) const {
        std::int64_t const per_image = std::int64_t{1} * across() * down();
        int const within = static_cast<int>(tile % per_image);
        return {tile / per_image, within / across(), within % across()};
    }
};

struct winograd_kernels {
    int width;  ///< channels and filters are multiples of it
    void (*gather)(winograd_map const&, float const* x, std::int64_t first, int count, float* v, std::ptrdiff_t plane,
                   std::ptrdiff_t line);
    void (*scatter)(winograd_map const&, float const* m, std::ptrdiff_t plane, std::ptrdiff_t line, std::int64_t first,
                    int count, gemm_epilogue<float> const& epilogue, bool accumulate, float* y);
    void (*filters)(float const* w, int filters, int channels, int first, int last, bool turned, float* u,
                    std::ptrdiff_t plane, std::ptrdiff_t line);
    void (*slopes)(winograd_map const&, float const* dy, std::int64_t first, int count, int begin, int end, float* s,
                   std::ptrdiff_t plane, std::ptrdiff_t line);
    void (*collect)(float const* u, int channels, std::ptrdiff_t plane, int parts, std::ptrdiff_t part, bool accumulate,
                    float* dw);
};

}  // namespace tempera::cpu_kernels

#define TEMPERA_KERNEL_FILE <tempera/cpu/kernels/winograd.hpp>
#include <tempera/cpu/each_target.hpp>

namespace tempera::cpu_kernels {

template <class Table = winograd_kernels>
Table const& winograd_for(isa level) TEMPERA_TABLE(winograd_table);

constexpr int winograd_points = 36;
constexpr int winograd_tiles = 56;  ///< of a block: whole register tiles of 14 rows

/// Whether the method fits a convolution, and saves more than the transformed filters cost.
inline bool winograd_fits(cpu const& device, convolution_geometry const& g) {
    int const width = winograd_for(device.level()).width;
    std::int64_t const tiles = std::int64_t{g.batch} * ((g.out_height + 3) / 4) * ((g.out_width + 3) / 4);
    std::int64_t const results = std::int64_t{g.batch} * g.out_height * g.out_width;
    return device.winograd && g.kernel == 3 && g.stride == 1 && g.in_channels % width == 0 &&
           g.out_channels % width == 0 && std::min(g.in_channels, g.out_channels) >= 16 && tiles >= 64 &&
           results >= 7 * tiles;
}

/// The transformed filters of all 36 points in panels: {point, panel, depth, tile_columns}. Forward, depth runs along the
/// input's channels and columns along the filters; turned, the other way round.
inline float* winograd_panels(cpu& device, gemm_tiles const& gemm, winograd_kernels const& k, int filters, int channels,
                              float const* w, bool turned) {
    std::int64_t const tc = gemm.tile_columns;
    int const depth = turned ? filters : channels;
    std::int64_t const panels = ceil_divide(turned ? channels : filters, tc);
    std::int64_t const point = panels * tc * depth;
    auto* const packed = static_cast<float*>(device.scratch(
        device.caller(), slot_panels, static_cast<std::size_t>(winograd_points * point) * sizeof(float)));
    constexpr int piece = 32;  // channels at a time: 36 x 32 x 32 floats fit the second-level cache
    std::int64_t const plane = piece * piece;
    device.reserve(slot_rows, static_cast<std::size_t>(winograd_points * plane) * sizeof(float));
    std::int64_t const down = ceil_divide(filters, piece);
    device.for_chunks(down * ceil_divide(channels, piece), [&](std::int64_t chunk, int worker) {
        auto* const u = static_cast<float*>(
            device.scratch(worker, slot_rows, static_cast<std::size_t>(winograd_points * plane) * sizeof(float)));
        int const f = static_cast<int>(chunk % down) * piece;
        int const c = static_cast<int>(chunk / down) * piece;
        int const rows = std::min(piece, filters - f);
        int const columns = std::min(piece, channels - c);
        k.filters(w + std::int64_t{f} * 9 * channels, rows, channels, c, c + columns, turned, u, plane, piece);
        for (int xi = 0; xi < winograd_points; ++xi) {
            float* const to = packed + xi * point;
            if (turned) gemm.pack(u + xi * plane, piece, 1, rows, columns, to + c * depth + f * tc, tc * depth);
            else gemm.pack(u + xi * plane, 1, piece, columns, rows, to + f * depth + c * tc, tc * depth);
        }
    });
    return packed;
}

/// y (+)= the convolution of x, then the epilogue; the filters are w {filters, 3, 3, channels}, or turned those of a gradient.
inline void winograd_convolution(cpu& device, winograd_map const& map, int batch, float const* x, float const* w,
                                 bool turned, gemm_epilogue<float> epilogue, bool accumulate, float* y) {
    gemm_tiles const& gemm = gemm_kernels_of<float>(device.level());
    winograd_kernels const& k = winograd_for(device.level());
    auto const turn = device.exclusive();
    int const rows = turned ? map.channels : map.filters;
    int const columns = turned ? map.filters : map.channels;
    float const* const panels = winograd_panels(device, gemm, k, rows, columns, w, turned);
    std::int64_t const point = ceil_divide(map.filters, gemm.tile_columns) * gemm.tile_columns * map.channels;

    std::int64_t const tiles = std::int64_t{batch} * map.across() * map.down();
    std::int64_t const line_v = line_of(map.channels);
    std::int64_t const line_m = line_of(map.filters);
    std::int64_t const plane_v = winograd_tiles * line_v + 16;
    std::int64_t const plane_m = winograd_tiles * line_m + 16;
    auto const bytes = [](std::int64_t floats) { return static_cast<std::size_t>(floats) * sizeof(float); };
    device.reserve(slot_rows, bytes(winograd_points * plane_v));
    device.reserve(slot_sums, bytes(winograd_points * plane_m));
    epilogue.stream = !accumulate && past_caches(y, std::int64_t{batch} * map.out_height * map.out_width, map.filters);
    std::ptrdiff_t lines[winograd_tiles];
    for (int i = 0; i < winograd_tiles; ++i) lines[i] = i * line_m;

    device.for_chunks(ceil_divide(tiles, winograd_tiles), [&](std::int64_t chunk, int worker) {
        auto* const v = static_cast<float*>(device.scratch(worker, slot_rows, bytes(winograd_points * plane_v)));
        auto* const m = static_cast<float*>(device.scratch(worker, slot_sums, bytes(winograd_points * plane_m)));
        std::int64_t const first = chunk * winograd_tiles;
        int const count = static_cast<int>(std::min<std::int64_t>(winograd_tiles, tiles - first));
        k.gather(map, x, first, count, v, plane_v, line_v);
        for (int xi = 0; xi < winograd_points; ++xi) {
            gemm_block g{};
            g.rows = count;
            g.columns = map.filters;
            g.depth = map.channels;
            g.a = v + xi * plane_v;
            g.a_group = gemm.tile_rows * line_v;
            g.a_row = line_v;
            g.a_step = 1;
            g.b = panels + xi * point;
            g.b_panel = std::ptrdiff_t{gemm.tile_columns} * map.channels;
            g.b_step = gemm.tile_columns;
            g.c = m + xi * plane_m;
            g.c_rows = lines;
            gemm.multiply(g);
        }
        k.scatter(map, m, plane_m, line_m, first, count, epilogue, accumulate, y);
    });
}

/// dw (+)= the gradient of the filters. Chunks are splits of the tiles with sums of their own, times groups of filters.
inline void winograd_weights(cpu& device, winograd_map const& map, int batch, float const* x, float const* dy,
                             float* dw, bool accumulate) {
    gemm_tiles const& gemm = gemm_kernels_of<float>(device.level());
    winograd_kernels const& k = winograd_for(device.level());
    auto const turn = device.exclusive();
    std::int64_t const tiles = std::int64_t{batch} * map.across() * map.down();
    std::int64_t const blocks = ceil_divide(tiles, winograd_tiles);
    std::int64_t const plane_u = std::int64_t{map.filters} * map.channels;
    std::int64_t const part = winograd_points * plane_u;
    std::int64_t const room = std::max<std::int64_t>((std::int64_t{1} << 23) / part, 1);  // 32 MB of sums
    std::int64_t const split = ceil_divide(blocks, std::min({blocks, room, std::int64_t{16}}));
    std::int64_t const splits = ceil_divide(blocks, split);  // none of them empty
    std::int64_t const groups = std::min(ceil_divide(16, splits), ceil_divide(map.filters, 64));
    int const group = static_cast<int>(round_up(ceil_divide(map.filters, groups), k.width));

    std::int64_t const line_v = line_of(map.channels);
    std::int64_t const line_s = line_of(group);
    std::int64_t const plane_v = winograd_tiles * line_v + 16;
    std::int64_t const plane_s = winograd_tiles * line_s + 16;
    auto const bytes = [](std::int64_t floats) { return static_cast<std::size_t>(floats) * sizeof(float); };
    device.reserve(slot_rows, bytes(winograd_points * plane_v + 64));
    device.reserve(slot_sums, bytes(winograd_points * plane_s + 64));
    auto* const parts = static_cast<float*>(device.scratch(device.caller(), slot_parts, bytes(splits * part)));
    auto* const lines = static_cast<std::ptrdiff_t*>(device.scratch(
        device.caller(), slot_panels, static_cast<std::size_t>(map.filters) * sizeof(std::ptrdiff_t)));
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
            std::int64_t const first = block * winograd_tiles;
            int const count = static_cast<int>(std::min<std::int64_t>(winograd_tiles, tiles - first));
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

// The three directions of a convolution that fits; see device/convolution.hpp.

inline winograd_map winograd_map_of(convolution_geometry const& g) {
    return {g.in_height, g.in_width, g.in_channels, g.out_height, g.out_width, g.out_channels, g.pad_top, g.pad_left};
}

inline void winograd_forward(cpu& device, convolution_geometry const& g, float const* x, float const* w,
                             convolution_epilogue<float> const& e, float* y) {
    winograd_convolution(device, winograd_map_of(g), g.batch, x, w, false, {e.bias, e.residual, e.relu, false}, false, y);
}

inline void winograd_backward_data(cpu& device, convolution_geometry const& g, float const* dy, float const* w,
                                   float* dx, store mode) {
    winograd_map const map{g.out_height, g.out_width,   g.out_channels, g.in_height,
                           g.in_width,   g.in_channels, 2 - g.pad_top,  2 - g.pad_left};
    winograd_convolution(device, map, g.batch, dy, w, true, {}, mode == store::accumulate, dx);
}

inline void winograd_backward_weights(cpu& device, convolution_geometry const& g, float const* x, float const* dy,
                                      float* dw, store mode) {
    winograd_weights(device, winograd_map_of(g), g.batch, x, dy, dw, mode == store::accumulate);
}

}  // namespace tempera::cpu_kernels
