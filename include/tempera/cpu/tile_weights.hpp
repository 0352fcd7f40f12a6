// SPDX-License-Identifier: Apache-2.0
#pragma once
// The gradient of the filters by tiles (AMX), without copies of windows:
//
//   dw[o, tap, c] = sum over positions p of dy[p, o] x[p + distance of the tap, c]
//
// Results are numbered so that a tap is one distance for all of them: samples and lines lie further apart than they are
// long where windows reach beyond them, and what lies between is zero. dy is turned into lines of positions; x is paired once
// for even distances and once for odd ones, and each tap begins somewhere in it. With strides a map falls into phases of
// every stride-th line and column, each with taps of its own. Chunks are groups of filters and of channels, whose sums stay in
// the second-level cache, times parts of the positions.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <tempera/cpu/gemm.hpp>
#include <tempera/cpu/tap_axis.hpp>
#include <tempera/device/convolution.hpp>

namespace tempera::cpu_kernels {

/// Channels of every step-th line and column of a map, from (top, left) on.
struct map_phase {
    bf16 const* data;
    int height, width, channels;  ///< of the whole map
    int step, top, left;
};

/// Positions of results, and of what windows meet there: sample * sample_step + row * row_step + column.
struct position_line {
    std::int64_t samples, sample_step, row_step;

    /// Where the channels of positions [begin, begin + count) lie; `zeros` outside the map.
    void point(map_phase const& m, std::int64_t begin, std::int64_t count, bf16 const* zeros,
               bf16 const** lines) const {
        std::int64_t sample = begin >= 0 ? begin / sample_step : -ceil_divide(-begin, sample_step);
        std::int64_t row = (begin - sample * sample_step) / row_step;
        std::int64_t column = (begin - sample * sample_step) % row_step;
        for (bf16 const** const end = lines + count; lines < end; column = 0) {
            std::int64_t const y = m.top + row * m.step;
            bool const inside = sample >= 0 && sample < samples && y < m.height;
            std::int64_t const columns = inside ? ceil_divide(m.width - m.left, m.step) : 0;
            bf16 const* const line = m.data + ((sample * m.height + y) * m.width + m.left) * m.channels;
            for (; column < row_step && lines < end; ++column)
                *lines++ = column < columns ? line + column * m.step * m.channels : zeros;
            if (++row * row_step == sample_step) {
                row = 0;
                ++sample;
            }
        }
    }
};

/// The taps of a filter, and the copies of x that they read.
struct tile_taps {
    static constexpr int most = 49;
    struct tap {
        int copy;
        std::int64_t distance;
    };
    struct copy {
        int top, left;
        std::int64_t first, last;  ///< the least and the largest distance, both even or both odd
    };
    tap taps[most];
    copy copies[most];
    int count = 0, copy_count = 0;
    position_line line;

    explicit tile_taps(convolution_geometry const& g) {
        tap_axis const v(g.in_height, g.out_height, g.kernel, g.stride, -g.pad_top);
        tap_axis const h(g.in_width, g.out_width, g.kernel, g.stride, -g.pad_left);
        line = {g.batch, v.room * h.room, h.room};
        for (int r = 0; r < g.kernel; ++r) {
            for (int s = 0; s < g.kernel; ++s) add(v.phase(r), h.phase(s), v.distance(r) * h.room + h.distance(s));
        }
    }
    std::int64_t positions() const { return line.samples * line.sample_step; }

private:
    void add(int top, int left, std::int64_t distance) {
        int i = 0;
        while (i < copy_count &&
               (copies[i].top != top || copies[i].left != left || (copies[i].first - distance) % 2 != 0))
            ++i;
        if (i == copy_count) copies[copy_count++] = {top, left, distance, distance};
        copies[i].first = std::min(copies[i].first, distance);
        copies[i].last = std::max(copies[i].last, distance);
        taps[count++] = {i, distance};
    }
};

inline bool tile_weights_fit(convolution_geometry const& g) {
    return g.in_channels % tile_panel::columns == 0 && g.out_channels % 2 == 0 &&
           g.kernel * g.kernel <= tile_taps::most;
}

/// A worker's memory: dy turned, copies of x paired one after the other, and where the lines of either begin.
struct tile_scratch {
    static constexpr std::int64_t positions = 512;                     ///< of a block
    static constexpr std::ptrdiff_t turned_line = positions / 2 + 16;  ///< no power of two
    std::size_t turned = 0, paired = 0, lines = 0, zeros = 0;          ///< bytes

    tile_scratch(tile_taps const& t, int filters, int channels) {
        std::int64_t pairs = 0, longest = 0;
        for (int i = 0; i < t.copy_count; ++i) {
            pairs += pairs_of(t.copies[i]);
            longest = std::max(longest, 2 * pairs_of(t.copies[i]));
        }
        turned = static_cast<std::size_t>(filters * turned_line) * sizeof(float);
        paired = static_cast<std::size_t>(pairs * channels) * sizeof(float);
        lines = static_cast<std::size_t>(round_up(longest, 8)) * sizeof(bf16 const*);
        zeros = static_cast<std::size_t>(round_up(std::max(filters, channels), 32)) * sizeof(bf16);
    }
    std::size_t rest() const { return turned + lines + zeros; }
    static std::int64_t pairs_of(tile_taps::copy const& c) { return (positions + c.last - c.first) / 2; }
    static std::ptrdiff_t panel_of(tile_taps::copy const& c) { return tile_panel::columns * pairs_of(c); }
};

/// What a chunk makes: so many filters and channels, from so many positions.
struct tile_cut {
    static constexpr int columns = tile_panel::columns, most_panels = 64;
    int filters, channels;
    std::int64_t part;
    std::int64_t filter_groups, channel_groups, parts;

    /// Sums of 640 KB, nearly square, since what is turned and paired is so once for each group of the other kind; and parts
    /// of the positions as make 16 chunks of them, if they take 8 MB at most.
    tile_cut(convolution_geometry const& g, tile_taps const& t) {
        constexpr int sums = 163840;
        int side = 32;
        while (2 * side * side * t.count <= sums / 2) side *= 2;
        filter_groups = ceil_divide(g.out_channels, side);
        filters = static_cast<int>(round_up(ceil_divide(g.out_channels, filter_groups), columns));
        int const most = std::min(sums / (t.count * filters), columns * most_panels / t.count) / columns * columns;
        channel_groups = ceil_divide(g.in_channels, std::max(most, columns));
        channels = static_cast<int>(round_up(ceil_divide(g.in_channels, channel_groups), columns));
        parts =
            std::min({ceil_divide(16, filter_groups * channel_groups),
                      ceil_divide(t.positions(), tile_scratch::positions), (std::int64_t{1} << 21) / g.weight_size()});
        parts = std::max<std::int64_t>(parts, 1);
        part = round_up(ceil_divide(t.positions(), parts), 32);
    }
};

/// dw (+)= the gradient of the filters.
inline void tile_weights(cpu& device, gemm_kernels<bf16> const& kernels, convolution_geometry const& g, bf16 const* x,
                         bf16 const* dy, float* dw, bool accumulate) {
    auto const turn = device.exclusive();
    tile_taps const t(g);
    tile_cut const cut(g, t);
    tile_scratch const memory(t, cut.filters, cut.channels);
    device.reserve(scratch_slot::rows, memory.paired);
    device.reserve(scratch_slot::sums, memory.rest());
    float* const sums = cut.parts == 1 ? dw : parts_of(device, cut.parts * g.weight_size());
    device.for_chunks(cut.parts * cut.filter_groups * cut.channel_groups, [&](std::int64_t chunk, int worker) {
        std::int64_t const s = chunk / (cut.filter_groups * cut.channel_groups);
        int const o0 = static_cast<int>(chunk / cut.channel_groups % cut.filter_groups) * cut.filters;
        int const c0 = static_cast<int>(chunk % cut.channel_groups) * cut.channels;
        int const filters = std::min(cut.filters, g.out_channels - o0);
        int const channels = std::min(cut.channels, g.in_channels - c0);
        if (filters <= 0 || channels <= 0) return;
        auto* const paired = static_cast<float*>(device.scratch(worker, scratch_slot::rows, memory.paired));
        auto* const rest = static_cast<char*>(device.scratch(worker, scratch_slot::sums, memory.rest()));
        auto* const turned = reinterpret_cast<float*>(rest);
        auto* const lines = reinterpret_cast<bf16 const**>(rest + memory.turned);
        auto* const zeros = reinterpret_cast<bf16*>(rest + memory.turned + memory.lines);
        std::fill_n(zeros, memory.zeros / sizeof(bf16), bf16{});

        tile_panel panels[tile_cut::most_panels];
        tile_products m{};
        m.a = turned;
        m.a_row = tile_scratch::turned_line;
        m.rows = filters;
        m.panel = panels;
        m.c_row = std::ptrdiff_t{t.count} * g.in_channels;
        m.c = sums + (cut.parts == 1 ? 0 : s * g.weight_size()) + o0 * m.c_row;
        m.accumulate = cut.parts == 1 && accumulate;
        std::int64_t const end = std::min((s + 1) * cut.part, t.positions());
        std::int64_t p = std::min(s * cut.part, end);
        do {
            std::int64_t const count = std::min(tile_scratch::positions, end - p), whole = round_up(count, 32);
            map_phase const results{dy + o0, g.out_height, g.out_width, g.out_channels, 1, 0, 0};
            t.line.point(results, p, count, zeros, lines);
            std::fill(lines + count, lines + whole, zeros);
            kernels.weights->turn(lines, static_cast<int>(whole), filters, turned, tile_scratch::turned_line);

            float const* begin[tile_taps::most];
            float* to = paired;
            for (int i = 0; i < t.copy_count; ++i) {
                tile_taps::copy const& c = t.copies[i];
                std::int64_t const positions = whole + c.last - c.first;
                map_phase const phase{x + c0, g.in_height, g.in_width, g.in_channels, g.stride, c.top, c.left};
                t.line.point(phase, p + c.first, positions, zeros, lines);
                kernels.weights->pair(lines, static_cast<int>(positions / 2), channels, to, tile_scratch::panel_of(c));
                begin[i] = to;
                to += tile_scratch::pairs_of(c) * cut.channels;
            }
            m.panels = 0;
            for (int i = 0; i < t.count; ++i) {
                tile_taps::tap const& tap = t.taps[i];
                tile_taps::copy const& c = t.copies[tap.copy];
                float const* from = begin[tap.copy] + (tap.distance - c.first) / 2 * tile_cut::columns;
                for (int j = 0; j < channels; j += tile_cut::columns, from += tile_scratch::panel_of(c))
                    panels[m.panels++] = {from, std::ptrdiff_t{i} * g.in_channels + c0 + j};
            }
            m.depth = static_cast<int>(whole / 2);
            kernels.weights->multiply(m);
            m.accumulate = true;
            p += count;
        } while (p < end);
    });
    if (cut.parts > 1)
        add_parts_of(device, kernels, sums, static_cast<int>(cut.parts), g.weight_size(), dw, accumulate);
}

}  // namespace tempera::cpu_kernels
