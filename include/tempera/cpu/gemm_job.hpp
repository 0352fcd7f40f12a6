// SPDX-License-Identifier: Apache-2.0
#pragma once
// A whole matrix product (gemm.hpp): cut into blocks, each block's rows copied to a worker's scratch memory and multiplied.
//
// The rows of a are read in place, or copied; for a convolution they are windows of a map, so that the matrix of all
// windows never exists. Blocks depend on the sizes only, and each element of c is summed by one worker in the order of k:
// the same bits for any number of threads.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <tempera/cpu/gemm.hpp>
#include <tempera/cpu/past_caches.hpp>

namespace tempera::cpu_kernels {

/// Where row m of c begins: the distances of samples, lines and columns of height x width positions per sample.
struct output_rows {
    std::int64_t height = 1, width = 1;
    std::ptrdiff_t image = 0, line = 0, column = 0;
};

template <class T>
struct gemm_job {
    std::int64_t rows = 0;
    int columns = 0;
    int depth = 0;
    float const* a = nullptr;  ///< rows of a in place, a_row floats apart; null: gather `source` through `walk`
    std::ptrdiff_t a_row = 0;
    bool a_transposed = false;  ///< a[m, k] = a[k * a_row + m]
    window_walk walk{};
    void const* source = nullptr;
    gather_function gather = nullptr;
    float const* panels = nullptr;  ///< b, packed: depth * tile_columns floats a panel
    T* c = nullptr;
    output_rows out{};
    bool accumulate = false;
    gemm_epilogue<T> epilogue{};

    /// Rows [begin, end) of a in place, as many as there are.
    memory_range rows_of_a(std::int64_t begin, std::int64_t end) const {
        end = std::min(end, rows);
        if (begin >= end) return {};
        return {reinterpret_cast<char const*>(a + begin * a_row), reinterpret_cast<char const*>(a + end * a_row)};
    }
};

/// Rows of c that one chunk makes: 256 KB of copied rows at most, 16 blocks if there are rows enough for 16 tiles in each.
inline std::int64_t rows_per_block(gemm_tiles const& kernels, std::int64_t rows, std::int64_t line) {
    std::int64_t const tr = kernels.tile_rows;
    std::int64_t const block =
        std::min({std::int64_t{512}, 65536 / std::max<std::int64_t>(line, 1), ceil_divide(rows, 16)});
    return std::min(round_up(std::max(block, std::min<std::int64_t>(16 * tr, 128)), tr), round_up(rows, tr));
}

/// How the depth of a product is cut.
struct depth_cut {
    int stretch;
    std::int64_t stretches, line;  ///< line: floats from one copied row of a stretch to the next

    depth_cut(gemm_tiles const& kernels, int depth)
        : stretches(depth > kernels.depth_block ? ceil_divide(depth, kernels.depth_block) : 1) {
        stretch = static_cast<int>(round_up(ceil_divide(depth, stretches), 8));
        line = line_of(stretch);
    }
};

/// Groups of panels of columns that make 16 chunks of few blocks of rows.
inline std::int64_t column_groups(std::int64_t blocks, std::int64_t panels) {
    return blocks >= 16 ? 1 : std::min(panels, ceil_divide(16, blocks));
}

/// Where in c the rows of positions [begin, begin + rows) begin, from column n0 on; -1 for those without a result.
inline void place_rows(output_rows const& out, position_count lines, std::int64_t begin, int rows, std::int64_t n0,
                       std::ptrdiff_t* offsets) {
    std::int64_t sample = begin / lines.of_line / lines.of_sample;
    std::int64_t y = begin / lines.of_line % lines.of_sample, x = begin % lines.of_line;
    for (int i = 0; i < rows; ++i) {
        bool const inside = y < out.height && x < out.width;
        offsets[i] = inside ? sample * out.image + y * out.line + x * out.column + n0 : -1;
        if (++x < lines.of_line) continue;
        x = 0;
        if (++y < lines.of_sample) continue;
        y = 0;
        ++sample;
    }
}

/// Where what is added to rows [begin, end) of a block lies, the residual or c itself, if it leaves no gaps to speak of. Rows
/// without a place are left out.
template <class T>
memory_range addends_of(gemm_job<T> const& job, std::ptrdiff_t const* offsets, int begin, int end, int columns) {
    T const* const from = job.epilogue.residual != nullptr ? job.epilogue.residual : job.accumulate ? job.c : nullptr;
    if (from == nullptr) return {};
    while (begin < end && offsets[begin] < 0) ++begin;
    while (begin < end && offsets[end - 1] < 0) --end;
    if (begin >= end) return {};
    std::ptrdiff_t const count = offsets[end - 1] + columns - offsets[begin];
    if (count > std::ptrdiff_t{2} * (end - begin) * columns) return {};
    auto const* const first = reinterpret_cast<char const*>(from + offsets[begin]);
    return {first, first + count * static_cast<std::ptrdiff_t>(sizeof(T))};
}

/// Results are written in place; where the depth is cut or the kernels cannot, those that are no floats by `scatter` from a
/// worker's block of sums.
template <class T>
void run_gemm(cpu& device, gemm_kernels<T> const& kernels, gemm_job<T> const& job) {
    if (job.rows == 0 || job.columns == 0) return;
    std::int64_t const tr = kernels.tile_rows;
    std::int64_t const tc = kernels.tile_columns;
    depth_cut const cut(kernels, job.depth);
    std::int64_t const line = cut.line;
    std::int64_t const block = rows_per_block(kernels, job.rows, line);
    std::int64_t const blocks = ceil_divide(job.rows, block);
    std::int64_t const panels = ceil_divide(job.columns, tc);
    std::int64_t const groups = column_groups(blocks, panels);
    std::int64_t const panels_per_group = ceil_divide(panels, groups);

    bool const copies = job.a == nullptr || job.a_transposed;
    bool const direct = std::is_same_v<T, float> || (kernels.multiply_to != nullptr && cut.stretches == 1);
    std::int64_t const group_columns = panels_per_group * tc;
    std::size_t const row_floats = static_cast<std::size_t>(copies ? block * line + 64 : 0);
    std::size_t const sum_floats = static_cast<std::size_t>(direct ? 0 : block * group_columns);
    std::size_t const offsets_bytes = static_cast<std::size_t>(2 * block) * sizeof(std::ptrdiff_t);
    device.reserve(scratch_slot::rows, row_floats * sizeof(float));
    device.reserve(scratch_slot::sums, sum_floats * sizeof(float) + offsets_bytes);

    device.for_chunks(blocks * groups, [&](std::int64_t chunk, int worker) {
        std::int64_t const m0 = chunk / groups * block;
        int const rows = static_cast<int>(std::min(block, job.rows - m0));
        std::int64_t const n0 = chunk % groups * group_columns;
        int const columns = static_cast<int>(std::min(group_columns, job.columns - n0));
        if (columns <= 0) return;
        auto* const copied =
            static_cast<float*>(device.scratch(worker, scratch_slot::rows, row_floats * sizeof(float)));
        auto* const offsets = static_cast<std::ptrdiff_t*>(
            device.scratch(worker, scratch_slot::sums, sum_floats * sizeof(float) + offsets_bytes));
        std::ptrdiff_t* const sum_rows = offsets + block;
        auto* const sums = reinterpret_cast<float*>(offsets + 2 * block);

        place_rows(job.out, {job.out.width, job.out.height}, m0, rows, n0, offsets);
        for (int i = 0; i < rows; ++i) sum_rows[i] = i * group_columns;

        gemm_epilogue<T> epilogue = job.epilogue.from(n0);
        if (epilogue.moments != nullptr) epilogue.moments += chunk / groups * 3 * epilogue.moments_line;
        epilogue.stream =
            !job.accumulate && (!direct || cut.stretches == 1) && past_caches(job.c, job.rows, job.columns);
        std::int64_t const later = m0 + device.thread_count() * block;  // what this worker is likely to take next
        int k0 = 0;
        do {
            int const depth = std::min(cut.stretch, job.depth - k0);
            gemm_operands g{};
            g.rows = rows;
            g.columns = columns;
            g.depth = depth;
            if (!copies) {
                g.a = job.a + m0 * job.a_row + k0;
                g.a_row = job.a_row;
                g.a_group = tr * job.a_row;
                g.a_step = 1;
                if (k0 == 0) {
                    g.soon[0] = job.rows_of_a(m0 + tr, m0 + rows);
                    g.soon[1] = job.rows_of_a(later, later + tr);
                }
            } else if (job.a_transposed) {
                kernels.interleave_floats(job.a + k0 * job.a_row + m0, job.a_row, depth, rows, copied);
                g.a = copied;
                g.a_row = 1;
                g.a_group = tr * depth;
                g.a_step = tr;
            } else {
                if (depth > 0) {
                    job.gather(job.walk, job.source, m0, rows, k0, k0 + depth, copied, line);
                }
                g.a = copied;
                g.a_row = line;
                g.a_group = tr * line;
                g.a_step = 1;
                if (k0 == 0)
                    g.soon[0] = memory_of(job.walk, job.source, sizeof(T), later, std::min(later + block, job.rows));
            }
            if (k0 == 0) g.soon_addends = addends_of(job, offsets, static_cast<int>(tr), rows, columns);
            g.b = job.panels + n0 * job.depth + k0 * tc;
            g.b_panel = tc * job.depth;
            g.b_step = tc;
            bool const last = k0 + depth == job.depth;
            if (direct)
                kernels.multiply_to(
                    {g, job.c, offsets, k0 > 0 || job.accumulate, last ? epilogue : gemm_epilogue<T>{}});
            else kernels.multiply({g, sums, sum_rows, k0 > 0, {}});
            k0 += depth;
        } while (k0 < job.depth);
        if (!direct) kernels.scatter(sums, group_columns, rows, columns, job.c, offsets, job.accumulate, epilogue);
    });
}

}  // namespace tempera::cpu_kernels
