// SPDX-License-Identifier: Apache-2.0
#pragma once
// Convolution by direct sums, all three directions as products of the windows of a map. See device/convolution.hpp.
//
//   forward            y[p, o]  = sum_k window(x, p)[k] w[o, k]            p a position of y
//   backward data      dx[p, c] = sum_k window(dy, p)[k] w'[k, c]          stride^2 phases of positions of dx, each a
//                      convolution of stride 1 over dy with the taps that reach the phase, in reverse order
//   backward weights   dw[o, k] = sum_p dy[p, o] window(x, p)[k]           positions in blocks, sums in order
//
// Windows are copied a block at a time into a worker's scratch memory; 1x1 maps of stride 1 are read in place. Where
// there are tiles, most windows need no copies (tile_windows.hpp, tile_weights.hpp).

#include <type_traits>

#include <tempera/cpu/filter_panels.hpp>
#include <tempera/cpu/gemm_job.hpp>
#include <tempera/cpu/tile_weights.hpp>
#include <tempera/cpu/tile_windows.hpp>
#include <tempera/device/convolution.hpp>

namespace tempera::cpu_kernels {

template <class T>
inline constexpr bool is_float = std::is_same_v<T, float>;

/// Whether the rows of the product are the positions of the map themselves, and not worth copying.
template <class T>
bool reads_in_place(gemm_kernels<T> const& kernels, int kernel, int stride, int pad_top, int pad_left, int channels) {
    return (is_float<T> || kernels.pair == 2) && kernel == 1 && stride == 1 && pad_top == 0 && pad_left == 0 &&
           channels % kernels.pair == 0 && channels / kernels.pair % 512 != 0;
}

/// Rows of y that a chunk of the forward pass writes.
inline std::int64_t block_of(gemm_kernels<float> const& kernels, convolution_geometry const& g) {
    return rows_per_block(kernels, std::int64_t{1} * g.batch * g.out_height * g.out_width,
                          depth_cut(kernels, filter_pieces(kernels, g).depth()).line);
}

/// by_lines: the panels hold filters line by line, as tiles read windows.
template <class T>
void multiply_windows(cpu& device, gemm_kernels<T> const& kernels, gemm_job<T> const& job, bool by_lines) {
    if constexpr (!is_float<T>) {
        if (by_lines) return multiply_tile_windows(device, kernels, job);
    }
    run_gemm(device, kernels, job);
}

template <class T>
void forward_packed(cpu& device, gemm_kernels<T> const& kernels, convolution_geometry const& g, T const* x,
                    float const* packed, gemm_epilogue<T> const& epilogue, T* y) {
    auto const turn = device.exclusive();
    gemm_job<T> job;
    job.rows = std::int64_t{1} * g.batch * g.out_height * g.out_width;
    job.columns = g.out_channels;
    filter_pieces const pieces(kernels, g);
    job.depth = pieces.depth();
    if (reads_in_place(kernels, g.kernel, g.stride, g.pad_top, g.pad_left, g.in_channels)) {
        job.a = reinterpret_cast<float const*>(x);
        job.a_row = job.depth;
    } else {
        job.walk = walk_of(g);
        job.source = x;
        job.gather = kernels.gather;
    }
    job.panels = packed;
    job.c = y;
    std::ptrdiff_t const line = std::ptrdiff_t{g.out_width} * g.out_channels;
    job.out = {g.out_height, g.out_width, g.out_height * line, line, g.out_channels};
    job.epilogue = epilogue;
    multiply_windows(device, kernels, job, pieces.by_lines);
}

template <class T>
void forward_with(cpu& device, gemm_kernels<T> const& kernels, convolution_geometry const& g, T const* x,
                  float const* w, gemm_epilogue<T> const& epilogue, T* y) {
    auto const turn = device.exclusive();
    float* const packed = panels_of(device, packed_floats(kernels, g));
    pack_filters(device, kernels, g, w, packed);
    forward_packed(device, kernels, g, x, packed, epilogue, y);
}

/// Along one axis: positions phase, phase + stride, ... of dx receive the taps last, last - stride, ... of the kernel
/// (count of them); the tap `last` meets dy at (position - phase) / stride + offset.
struct data_phase {
    int positions, last, count, offset;
};

inline data_phase phase_of(int phase, int size, int kernel, int stride, int pad) {
    int const first = (phase + pad) % stride;
    int const count = first < kernel ? (kernel - 1 - first) / stride + 1 : 0;
    int const last = first + (count - 1) * stride;
    return {size > phase ? (size - phase - 1) / stride + 1 : 0, last, count, (phase + pad - last) / stride};
}

template <class T>
void backward_data_with(cpu& device, gemm_kernels<T> const& kernels, convolution_geometry const& g, T const* dy,
                        float const* w, T* dx, store mode) {
    auto const turn = device.exclusive();
    std::int64_t const tc = kernels.tile_columns;
    std::int64_t const panels = ceil_divide(g.in_channels, tc);
    std::int64_t const taps = std::int64_t{1} * g.kernel * g.kernel;
    std::int64_t const filter = taps * g.in_channels;
    int const channels = g.out_channels;
    int const pair = kernels.pair;  // channels come in pairs, where kernels take them
    float* const packed = panels_of(device, panels * tc * taps * channels / pair);

    float* block = packed;
    for (int a = 0; a < g.stride; ++a) {
        data_phase const v = phase_of(a, g.in_height, g.kernel, g.stride, g.pad_top);
        for (int b = 0; b < g.stride; ++b) {
            data_phase const h = phase_of(b, g.in_width, g.kernel, g.stride, g.pad_left);
            std::int64_t const reached = std::int64_t{1} * v.count * h.count;
            std::int64_t const depth = reached * channels / pair;
            std::int64_t const stretch = 32;  // filters at a time: their lines lie far apart in w
            std::int64_t const stretches = ceil_divide(channels, stretch);
            device.for_chunks(reached * stretches, [&](std::int64_t chunk, int) {
                std::int64_t const tap = chunk / stretches;
                std::int64_t const o = chunk % stretches * stretch;
                std::int64_t const r = v.last - tap / h.count * g.stride;
                std::int64_t const s = h.last - tap % h.count * g.stride;
                int const filters = static_cast<int>(std::min(stretch, channels - o));
                kernels.pack(w + o * filter + (r * g.kernel + s) * g.in_channels, filter, 1, filters, g.in_channels,
                             block + (tap * channels + o) / pair * tc, depth * tc);
            });

            gemm_job<T> job;
            job.rows = std::int64_t{1} * g.batch * v.positions * h.positions;
            job.columns = g.in_channels;
            job.depth = static_cast<int>(depth);
            bool by_lines = false;  // taps one after the other are lines, where those need not be filled up
            if (reads_in_place(kernels, g.kernel, g.stride, g.pad_top, g.pad_left, channels) &&
                g.in_height == g.out_height && g.in_width == g.out_width) {
                job.a = reinterpret_cast<float const*>(dy);
                job.a_row = channels / pair;
            } else {
                job.walk = {g.out_height, g.out_width, channels, v.positions, h.positions, 1,
                            v.offset,     h.offset,    v.count,  h.count};
                job.source = dy;
                job.gather = kernels.gather;
                by_lines = h.count * channels % 32 == 0 && tile_windows_fit(kernels, job.walk);
            }
            job.panels = block;
            std::ptrdiff_t const line = std::ptrdiff_t{g.in_width} * g.in_channels;
            job.c = dx + a * line + std::ptrdiff_t{b} * g.in_channels;
            job.out = {v.positions, h.positions, g.in_height * line, g.stride * line,
                       std::ptrdiff_t{g.stride} * g.in_channels};
            job.accumulate = mode == store::accumulate;
            if (depth > 0 || mode == store::write) multiply_windows(device, kernels, job, by_lines);
            block += panels * tc * depth;
        }
    }
}

/// dbias (+)= the sums of dy over its rows, in up to 32 parts added in order.
template <class T>
void add_rows_with(cpu& device, gemm_kernels<T> const& kernels, convolution_geometry const& g, T const* dy,
                   float* dbias, store mode) {
    auto const turn = device.exclusive();
    std::int64_t const rows = std::int64_t{1} * g.batch * g.out_height * g.out_width;
    int const columns = g.out_channels;
    std::int64_t const part = std::max<std::int64_t>(ceil_divide(rows, 32), 64);
    std::int64_t const parts = std::max<std::int64_t>(ceil_divide(rows, part), 1);
    float* const sums = parts_of(device, parts * columns);
    device.for_chunks(parts, [&](std::int64_t p, int) {
        kernels.add_rows(dy + p * part * columns, std::min(part, rows - p * part), columns, sums + p * columns);
    });
    kernels.add_parts(sums, columns, static_cast<int>(parts), columns, dbias, mode == store::accumulate);
}

template <class T>
void backward_weights_with(cpu& device, gemm_kernels<T> const& kernels, convolution_geometry const& g, T const* x,
                           T const* dy, float* dw, store mode) {
    if constexpr (!is_float<T>) {
        if (kernels.weights != nullptr && tile_weights_fit(g))
            return tile_weights(device, kernels, g, x, dy, dw, mode == store::accumulate);
    }
    auto const turn = device.exclusive();
    std::int64_t const rows = std::int64_t{1} * g.batch * g.out_height * g.out_width;

    // Groups of window elements of about 576, and as many splits of the rows as make 16 chunks, if the partial
    // results stay small (8 MB). A split of at least 512 rows goes through blocks of 256 KB of windows.
    int const depth = g.kernel * g.kernel * g.in_channels;
    std::int64_t const tr = kernels.tile_rows;
    std::int64_t const tc = kernels.tile_columns;
    std::int64_t const groups = ceil_divide(depth, 576);
    std::int64_t const group = round_up(ceil_divide(depth, groups), tc);
    std::int64_t const weights = g.weight_size();
    std::int64_t splits = std::min(ceil_divide(16, groups), ceil_divide(rows, 512));
    splits = std::max<std::int64_t>(std::min(splits, (std::int64_t{1} << 21) / std::max<std::int64_t>(weights, 1)), 1);
    std::int64_t const split = ceil_divide(rows, splits);
    std::int64_t const line = line_of(group);
    std::int64_t const block = std::min<std::int64_t>(
        {round_up(std::max<std::int64_t>(split, 1), 8), 256, std::max<std::int64_t>(65536 / line, 64)});
    std::int64_t const filters = round_up(g.out_channels, tr);

    auto const bytes = [](std::int64_t floats) { return static_cast<std::size_t>(floats) * sizeof(float); };
    device.reserve(scratch_slot::rows, bytes(block * line + 64));
    device.reserve(scratch_slot::sums, bytes(block * filters + 64));
    bool const accumulate = mode == store::accumulate;
    float* const parts = splits == 1 ? dw : parts_of(device, splits * weights);
    auto* const filter_rows = reinterpret_cast<std::ptrdiff_t*>(device.scratch(
        device.caller(), scratch_slot::panels, static_cast<std::size_t>(g.out_channels) * sizeof(std::ptrdiff_t)));
    for (int o = 0; o < g.out_channels; ++o) filter_rows[o] = std::ptrdiff_t{o} * depth;
    window_walk const walk = walk_of(g);

    device.for_chunks(groups * splits, [&](std::int64_t chunk, int worker) {
        std::int64_t const s = chunk / groups;
        int const k0 = static_cast<int>(chunk % groups * group);
        int const columns = static_cast<int>(std::min<std::int64_t>(group, depth - k0));
        if (columns <= 0) return;
        auto* const windows = static_cast<float*>(device.scratch(worker, scratch_slot::rows, bytes(block * line + 64)));
        auto* const slopes =
            static_cast<float*>(device.scratch(worker, scratch_slot::sums, bytes(block * filters + 64)));
        std::int64_t const last = std::min(rows, (s + 1) * split);
        std::int64_t p = std::min(s * split, last);
        bool first = true;
        while (first || p < last) {
            int const count = static_cast<int>(std::min(block, last - p));
            if (count > 0) {
                kernels.gather_steps(walk, x, p, count, k0, k0 + columns, windows, line);
                kernels.interleave(dy + p * g.out_channels, g.out_channels, count, g.out_channels, slopes);
            }
            std::int64_t const next = std::min(p + block, last), after = std::min(next + block, last);
            gemm_block m{};
            m.soon[0] = memory_of(walk, x, sizeof(T), next, after);
            if (next < after)
                m.soon[1] = {reinterpret_cast<char const*>(dy + next * g.out_channels),
                             reinterpret_cast<char const*>(dy + after * g.out_channels)};
            m.rows = g.out_channels;
            m.columns = columns;
            m.depth = static_cast<int>(ceil_divide(count, kernels.pair));
            m.a = slopes;
            m.a_group = tr * m.depth;
            m.a_row = kernels.row_major ? m.depth : 1;
            m.a_step = kernels.row_major ? 1 : tr;
            m.b = windows;
            m.b_panel = tc;
            m.b_step = line;
            m.c = parts + (splits == 1 ? 0 : s * weights) + k0;
            m.c_rows = filter_rows;
            m.accumulate = !first || (splits == 1 && accumulate);
            kernels.multiply(m);
            first = false;
            p += count;
        }
    });
    if (splits > 1) add_parts_of(device, kernels, parts, static_cast<int>(splits), weights, dw, accumulate);
}

}  // namespace tempera::cpu_kernels
