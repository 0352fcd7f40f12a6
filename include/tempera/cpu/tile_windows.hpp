// SPDX-License-Identifier: Apache-2.0
#pragma once
// Products of the windows of a map by tiles (AMX), without copies of windows. A block's lines of the map are copied once, one
// after the other with zeros around them. A line of a window is then so many elements side by side, and lies `step` pixels
// further with each position: rows of a tile may overlap. With steps, every step-th line goes to a copy of its own.
//
// Tiles read 32 elements at a time: what follows a window's line there, of the next sample too, meets filters of zero. An
// infinite number becomes NaN so.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <tempera/cpu/gemm_job.hpp>
#include <tempera/cpu/tap_axis.hpp>

namespace tempera::cpu_kernels {

/// Elements of a window's line as tiles read it.
constexpr int padded_line(window_walk const& w) { return (w.window_width * w.channels + 31) / 32 * 32; }

/// A map as lines of `room` positions, `vertical.room` lines to a sample.
struct window_lines {
    window_walk w;
    bf16 const* map;
    std::int64_t samples;
    tap_axis vertical;
    std::int64_t before, room;  ///< pixels of zero that lines begin with; windows of the line above may end in them
    std::int64_t length;        ///< elements of a line

    window_lines(window_walk const& walk, void const* source, std::int64_t count)
        : w(walk),
          map(static_cast<bf16 const*>(source)),
          samples(count),
          vertical(w.in_height, w.out_height, w.window_height, w.step, w.top),
          before(std::max(-w.left, 0)) {
        std::int64_t const windows_end = std::int64_t{w.out_width - 1} * w.step + w.window_width;
        std::int64_t const pixels = std::max<std::int64_t>(w.in_width - w.left, windows_end - before);
        room = std::max<std::int64_t>(ceil_divide(pixels, w.step), w.out_width);
        length = room * w.step * w.channels;
    }
    position_count lines() const { return {room, vertical.room}; }
    /// Those between lines and samples, which have no result, too.
    std::int64_t positions() const { return samples * vertical.room * room; }
    /// 256 KB of copied lines, and those that reach beyond.
    std::int64_t positions_of_block() const {
        return std::clamp<std::int64_t>(65536 / (phases() * position_step()), 128, 2048);
    }
    /// Floats from one position's window to the next's.
    std::int64_t position_step() const { return std::int64_t{w.step} * w.channels / 2; }
    int phases() const { return std::min(w.step, w.window_height); }
    /// Elements of the copies that windows of `count` positions need.
    std::int64_t copied(std::int64_t count) const {
        std::int64_t const lines = (count + room - 2) / room + 1 + (w.window_height - 1) / w.step;
        return phases() * lines * length + padded_line(w);
    }

    /// Copies line `at` of a phase.
    void copy_line(std::int64_t at, int phase, bf16* to) const {
        std::int64_t const sample = at >= 0 ? at / vertical.room : -1;
        std::int64_t const y = (at - sample * vertical.room) * w.step + phase;
        bool const inside = sample >= 0 && sample < samples && y < w.in_height;
        std::int64_t const skipped = std::max(w.left, 0);
        std::int64_t const pixels = inside ? std::max<std::int64_t>(w.in_width - skipped, 0) : 0;
        std::int64_t const begin = before * w.channels, end = begin + pixels * w.channels;
        std::int64_t const from = ((sample * w.in_height + y) * w.in_width + skipped) * w.channels;
        std::fill(to, to + begin, bf16{});
        if (pixels > 0) std::memcpy(to + begin, map + from, static_cast<std::size_t>(end - begin) * sizeof(bf16));
        std::fill(to + end, to + length, bf16{});
    }
    /// Copies what windows of positions [begin, begin + count) need; taps: in floats, where in it each of their lines begins for
    /// the first position of begin's line.
    void copy(std::int64_t begin, std::int64_t count, bf16* to, std::ptrdiff_t* taps) const {
        bf16 const* const start = to;
        std::int64_t const first = begin / room, last = (begin + count - 1) / room;
        for (int p = 0; p < phases(); ++p) {
            std::int64_t const nearest = vertical.distance(p);
            std::int64_t farthest = nearest;
            for (int r = p; r < w.window_height; r += w.step) {
                farthest = vertical.distance(r);
                taps[r] = (to - start + (farthest - nearest) * length) / 2;
            }
            for (std::int64_t at = first + nearest; at <= last + farthest; ++at, to += length)
                copy_line(at, vertical.phase(p), to);
        }
        std::fill(to, to + padded_line(w), bf16{});
    }
};

/// Whether products of these windows go by tiles, filters being packed line by line: tiles address pairs, at least half of all
/// positions should have a result, and a block hold a line. Any batch gives the same answer.
template <class T>
bool tile_windows_fit(gemm_kernels<T> const& kernels, window_walk const& w) {
    if (kernels.weights == nullptr || w.window_height * w.window_width <= 1 || w.step * w.channels % 2 != 0)
        return false;
    window_lines const sample(w, nullptr, 1);
    return sample.positions() <= std::int64_t{2} * w.out_height * w.out_width &&
           sample.room <= sample.positions_of_block();
}

/// What gemm_job describes by walk and source. Depth is that of lines filled up.
inline void multiply_tile_windows(cpu& device, gemm_kernels<bf16> const& kernels, gemm_job<bf16> const& job) {
    if (job.rows == 0 || job.columns == 0) return;
    window_lines const from(job.walk, job.source, job.rows / (job.out.height * job.out.width));
    std::int64_t const tr = kernels.tile_rows, tc = kernels.tile_columns;
    std::int64_t const positions = from.positions(), panels = ceil_divide(job.columns, tc);

    // Blocks and groups of panels, so that there are 16 chunks.
    std::int64_t const wanted = std::max<std::int64_t>(ceil_divide(positions * panels, 16), 128);
    std::int64_t const block = round_up(std::min(from.positions_of_block(), wanted), tr);
    std::int64_t const blocks = ceil_divide(positions, block);
    std::int64_t const groups = column_groups(blocks, panels);
    std::int64_t const group_columns = ceil_divide(panels, groups) * tc;

    auto const bytes = [](std::int64_t count, std::size_t each) { return static_cast<std::size_t>(count) * each; };
    std::size_t const copied_bytes = bytes(from.copied(block), sizeof(bf16));
    std::size_t const offset_bytes = bytes(block, sizeof(std::ptrdiff_t));
    std::size_t const tap_bytes = bytes(job.walk.window_height, sizeof(std::ptrdiff_t));
    device.reserve(scratch_slot::rows, copied_bytes);
    device.reserve(scratch_slot::sums, offset_bytes + tap_bytes);

    device.for_chunks(blocks * groups, [&](std::int64_t chunk, int worker) {
        std::int64_t const m0 = chunk / groups * block;
        std::int64_t const n0 = chunk % groups * group_columns;
        int const rows = static_cast<int>(std::min(block, positions - m0));
        int const columns = static_cast<int>(std::min(group_columns, job.columns - n0));
        if (columns <= 0) return;
        auto* const copies = static_cast<bf16*>(device.scratch(worker, scratch_slot::rows, copied_bytes));
        auto* const offsets =
            static_cast<std::ptrdiff_t*>(device.scratch(worker, scratch_slot::sums, offset_bytes + tap_bytes));
        std::ptrdiff_t* const taps = offsets + block;
        from.copy(m0, rows, copies, taps);

        place_rows(job.out, from.lines(), m0, rows, n0, offsets);

        gemm_epilogue<bf16> epilogue = job.epilogue.from(n0);
        epilogue.stream = !job.accumulate && past_caches(job.c, job.rows, job.columns);
        std::int64_t const later = m0 + device.thread_count() * block;
        gemm_operands g{};
        g.rows = rows;
        g.columns = columns;
        g.depth = job.depth;
        g.a_row = from.position_step();
        g.a = reinterpret_cast<float const*>(copies) + m0 % from.room * g.a_row;
        g.a_group = tr * g.a_row;
        g.a_step = 1;
        g.b = job.panels + n0 * job.depth;
        g.b_panel = tc * job.depth;
        g.b_step = tc;
        g.soon[0] =
            memory_of(job.walk, from.lines(), job.source, sizeof(bf16), later, std::min(later + block, positions));
        g.soon_addends = addends_of(job, offsets, static_cast<int>(tr), rows, columns);
        g.taps = job.walk.window_height;
        g.tap = taps;
        kernels.multiply_to({g, job.c, offsets, job.accumulate, epilogue});
    });
}

}  // namespace tempera::cpu_kernels
