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
// switches it off. Maps in bf16 are widened as they are transformed: filters are then not rounded, and a quarter of the
// multiply-adds takes less time than all of them as dot products of pairs, at most twice as fast.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <tempera/cpu/gemm.hpp>
#include <tempera/cpu/past_caches.hpp>
#include <tempera/device/convolution.hpp>
#include <tempera/device/store.hpp>

namespace tempera::cpu_kernels {

/// Where a tile of 4 x 4 results lies.
struct winograd_place {
    std::int64_t image;
    int row, column;  ///< counted in tiles
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
    winograd_place after(winograd_place p) const {
        if (++p.column < across()) return p;
        p.column = 0;
        if (++p.row < down()) return p;
        return {p.image + 1, 0, 0};
    }
};

/// For maps of T; everything else is in float32.
template <class T>
struct winograd_kernels {
    int width;  ///< channels and filters are multiples of it
    void (*gather)(winograd_map const&, T const* x, std::int64_t first, int count, float* v, std::ptrdiff_t plane,
                   std::ptrdiff_t line);
    void (*scatter)(winograd_map const&, float const* m, std::ptrdiff_t plane, std::ptrdiff_t line, std::int64_t first,
                    int count, gemm_epilogue<T> const& epilogue, bool accumulate, T* y);
    void (*filters)(float const* w, std::ptrdiff_t row, std::ptrdiff_t tap, bool turned, int rows, int columns,
                    float* u, std::ptrdiff_t plane, bool stream);
    void (*slopes)(winograd_map const&, T const* dy, std::int64_t first, int count, int begin, int end, float* s,
                   std::ptrdiff_t plane, std::ptrdiff_t line);
    void (*collect)(float const* u, int channels, std::ptrdiff_t plane, int parts, std::ptrdiff_t part, bool accumulate,
                    float* dw);
};

}  // namespace tempera::cpu_kernels

#define TEMPERA_KERNEL_FILE <tempera/cpu/kernels/winograd_transforms.hpp>
#include <tempera/cpu/each_target.hpp>
#define TEMPERA_KERNEL_FILE <tempera/cpu/kernels/winograd.hpp>
#include <tempera/cpu/each_target.hpp>

namespace tempera::cpu_kernels {

template <class T>
winograd_kernels<T> const& winograd_for(isa level) TEMPERA_TABLE(winograd_table<T>);

constexpr int winograd_points = 36;
/// Tiles of a block: whole register tiles of 14 rows, few enough for the second-level cache.
constexpr int winograd_tiles = 28;

/// Whether the method can take a convolution of maps of T, and it has so many tiles at least. Tiles of bf16 pairs (AMX) are
/// faster still.
template <class T>
bool winograd_takes(cpu const& device, convolution_geometry const& g, std::int64_t least_tiles) {
    if (std::is_same_v<T, bf16> && device.level() == isa::amx) return false;
    int const width = winograd_for<T>(device.level()).width;
    std::int64_t const tiles = std::int64_t{g.batch} * ((g.out_height + 3) / 4) * ((g.out_width + 3) / 4);
    std::int64_t const results = std::int64_t{g.batch} * g.out_height * g.out_width;
    return g.kernel == 3 && g.stride == 1 && g.in_channels % width == 0 && g.out_channels % width == 0 &&
           std::min(g.in_channels, g.out_channels) >= 16 && tiles >= least_tiles && results >= 7 * tiles;
}
/// And is not switched off, and saves more than transforming the filters costs.
template <class T>
bool winograd_fits(cpu const& device, convolution_geometry const& g) {
    return device.winograd && winograd_takes<T>(device, g, 64);
}
/// Whether filters are packed for it: four times as many are to be read, but nothing is to be transformed.
template <class T>
bool winograd_fits_packed(cpu const& device, convolution_geometry const& g) {
    return winograd_takes<T>(device, g, 16);
}

/// Floats of transformed filters in panels: of one point, which do not lie a power of two apart, and of all.
inline std::int64_t winograd_point(gemm_tiles const& gemm, int channels, int filters) {
    return round_up(filters, gemm.tile_columns) * channels + 16;
}
inline std::int64_t winograd_floats(gemm_tiles const& gemm, int channels, int filters) {
    return winograd_points * winograd_point(gemm, channels, filters);
}

/// The transformed filters of all 36 points in panels: {point, panel, depth, tile_columns}. Forward, depth runs along the
/// input's channels and columns along the filters; turned, the other way round.
inline void winograd_pack(cpu& device, int filters, int channels, float const* w, bool turned, float* packed) {
    gemm_tiles const& gemm = gemm_kernels_of<float>(device.level());
    auto const transform = winograd_for<float>(device.level()).filters;
    constexpr int rows = 32;  // of a panel at a time: their nine taps fit the first-level cache
    int const tc = gemm.tile_columns;
    int const depth = turned ? filters : channels, columns = turned ? channels : filters;
    std::ptrdiff_t const filter = std::ptrdiff_t{9} * channels;
    std::int64_t const point = winograd_point(gemm, depth, columns);
    std::int64_t const down = ceil_divide(depth, rows);
    std::size_t const bytes = static_cast<std::size_t>(9 * rows * tc) * sizeof(float);
    bool const stream = past_caches(packed, winograd_points, point);
    if (!turned) device.reserve(scratch_slot::rows, bytes);
    device.for_chunks(down * ceil_divide(columns, tc), [&](std::int64_t chunk, int worker) {
        int const first = static_cast<int>(chunk % down) * rows;
        int const column = static_cast<int>(chunk / down) * tc;
        int const count = std::min(rows, depth - first), wide = std::min(tc, columns - column);
        float* const to = packed + std::ptrdiff_t{column} * depth + std::ptrdiff_t{first} * tc;
        if (turned)
            return transform(w + first * filter + column, filter, channels, true, count, wide, to, point, stream);
        auto* const taps =
            static_cast<float*>(device.scratch(worker, scratch_slot::rows, bytes));  // {tap, channel, filter}
        for (int tap = 0; tap < 9; ++tap)
            gemm.pack(w + column * filter + std::ptrdiff_t{tap} * channels + first, 1, filter, count, wide,
                      taps + tap * rows * tc, 0);
        transform(taps, tc, rows * tc, false, count, wide, to, point, stream);
    });
}

/// Transformed tiles: one plane of lines of channels for each point.
struct winograd_planes {
    float* data;
    std::ptrdiff_t plane, line;

    static winograd_planes of(std::int64_t tiles, int channels, void* memory = nullptr) {
        std::int64_t const line = line_of(channels);
        return {static_cast<float*>(memory), tiles * line + 16, line};
    }
    std::size_t bytes() const { return static_cast<std::size_t>(winograd_points * plane) * sizeof(float); }
};

/// m = v u at one point, for filters [begin, end) and all tiles.
inline void winograd_product(gemm_tiles const& gemm, winograd_map const& map, float const* panels, int point,
                             winograd_planes const& v, winograd_planes const& m, int tiles, int begin, int end) {
    std::ptrdiff_t lines[winograd_tiles];
    for (int i = 0; i < winograd_tiles; ++i) lines[i] = i * m.line;
    for (int first = 0; first < tiles; first += winograd_tiles) {
        gemm_block g{};
        g.rows = std::min(winograd_tiles, tiles - first);
        g.columns = end - begin;
        g.depth = map.channels;
        g.a = v.data + point * v.plane + first * v.line;
        g.a_group = gemm.tile_rows * v.line;
        g.a_row = v.line;
        g.a_step = 1;
        g.b = panels + point * winograd_point(gemm, map.channels, map.filters) + std::ptrdiff_t{begin} * map.channels;
        g.b_panel = std::ptrdiff_t{gemm.tile_columns} * map.channels;
        g.b_step = gemm.tile_columns;
        g.c = m.data + point * m.plane + first * m.line + begin;
        g.c_rows = lines;
        gemm.multiply(g);
    }
}

/// y (+)= the convolution of x, then the epilogue; panels by winograd_pack. Where tiles are many, each chunk takes a block of
/// them through all three steps; where they are few, or filters so many that every block would fetch them anew from memory,
/// the steps follow each other and the products are divided by points. The same sums in the same order.
template <class T>
void winograd_convolution(cpu& device, winograd_map const& map, int batch, T const* x, float const* panels,
                          gemm_epilogue<T> epilogue, bool accumulate, T* y) {
    gemm_tiles const& gemm = gemm_kernels_of<float>(device.level());
    winograd_kernels<T> const& k = winograd_for<T>(device.level());
    auto const turn = device.exclusive();
    epilogue.stream = std::is_same_v<T, float> && !accumulate &&
                      past_caches(y, std::int64_t{batch} * map.out_height * map.out_width, map.filters);
    std::int64_t const tiles = std::int64_t{batch} * map.across() * map.down();
    bool const by_points = tiles < 8 * winograd_tiles || winograd_floats(gemm, map.channels, map.filters) > 1 << 23;
    int const together = static_cast<int>(std::min<std::int64_t>(tiles, (by_points ? 16 : 1) * winograd_tiles));
    winograd_planes v = winograd_planes::of(together, map.channels);
    winograd_planes m = winograd_planes::of(together, map.filters);

    if (!by_points) {
        device.reserve(scratch_slot::rows, v.bytes());
        device.reserve(scratch_slot::sums, m.bytes());
        device.for_chunks(ceil_divide(tiles, together), [&](std::int64_t chunk, int worker) {
            auto const from =
                winograd_planes::of(together, map.channels, device.scratch(worker, scratch_slot::rows, v.bytes()));
            auto const to =
                winograd_planes::of(together, map.filters, device.scratch(worker, scratch_slot::sums, m.bytes()));
            std::int64_t const first = chunk * together;
            int const count = static_cast<int>(std::min<std::int64_t>(together, tiles - first));
            k.gather(map, x, first, count, from.data, from.plane, from.line);
            for (int point = 0; point < winograd_points; ++point)
                winograd_product(gemm, map, panels, point, from, to, count, 0, map.filters);
            k.scatter(map, to.data, to.plane, to.line, first, count, epilogue, accumulate, y);
        });
        return;
    }
    v.data = static_cast<float*>(device.scratch(device.caller(), scratch_slot::rows, v.bytes()));
    m.data = static_cast<float*>(device.scratch(device.caller(), scratch_slot::sums, m.bytes()));
    constexpr int few = 4, wide = 128;  // tiles and filters of a chunk
    std::int64_t const groups = ceil_divide(map.filters, wide);
    for (std::int64_t first = 0; first < tiles; first += together) {
        int const count = static_cast<int>(std::min<std::int64_t>(together, tiles - first));
        auto const each_few = [&](auto const& step) {
            device.for_chunks(ceil_divide(count, few), [&](std::int64_t chunk, int) {
                std::int64_t const i = chunk * few;
                step(i, static_cast<int>(std::min<std::int64_t>(few, count - i)));
            });
        };
        each_few([&](std::int64_t i, int n) { k.gather(map, x, first + i, n, v.data + i * v.line, v.plane, v.line); });
        device.for_chunks(winograd_points * groups, [&](std::int64_t chunk, int) {
            int const begin = static_cast<int>(chunk % groups) * wide;
            winograd_product(gemm, map, panels, static_cast<int>(chunk / groups), v, m, count, begin,
                             std::min(begin + wide, map.filters));
        });
        each_few([&](std::int64_t i, int n) {
            k.scatter(map, m.data + i * m.line, m.plane, m.line, first + i, n, epilogue, accumulate, y);
        });
    }
}

/// With filters w {filters, 3, 3, channels} as they are, or turned those of a gradient.
template <class T>
void winograd_convolution_with(cpu& device, winograd_map const& map, int batch, T const* x, float const* w, bool turned,
                               gemm_epilogue<T> const& epilogue, bool accumulate, T* y) {
    gemm_tiles const& gemm = gemm_kernels_of<float>(device.level());
    auto const turn = device.exclusive();
    float* const panels = panels_of(device, winograd_floats(gemm, map.channels, map.filters));
    winograd_pack(device, turned ? map.channels : map.filters, turned ? map.filters : map.channels, w, turned, panels);
    winograd_convolution(device, map, batch, x, panels, epilogue, accumulate, y);
}

// The directions of a convolution that fits, see device/convolution.hpp; for its weights see winograd_weights.hpp.

inline winograd_map winograd_map_of(convolution_geometry const& g) {
    return {g.in_height, g.in_width, g.in_channels, g.out_height, g.out_width, g.out_channels, g.pad_top, g.pad_left};
}

/// packed: null, or panels by winograd_pack, which are then not made from w.
template <class T>
void winograd_forward(cpu& device, convolution_geometry const& g, T const* x, float const* w, float const* packed,
                      convolution_epilogue<T> const& e, T* y) {
    winograd_map const map = winograd_map_of(g);
    gemm_epilogue<T> const epilogue{e.bias, e.residual, e.relu, false};
    if (packed != nullptr) winograd_convolution(device, map, g.batch, x, packed, epilogue, false, y);
    else winograd_convolution_with(device, map, g.batch, x, w, false, epilogue, false, y);
}

template <class T>
void winograd_backward_data(cpu& device, convolution_geometry const& g, T const* dy, float const* w, T* dx,
                            store mode) {
    winograd_map const map{g.out_height, g.out_width,   g.out_channels, g.in_height,
                           g.in_width,   g.in_channels, 2 - g.pad_top,  2 - g.pad_left};
    winograd_convolution_with(device, map, g.batch, dy, w, true, gemm_epilogue<T>{}, mode == store::accumulate, dx);
}

}  // namespace tempera::cpu_kernels
