// SPDX-License-Identifier: Apache-2.0
#pragma once
// Batch normalization on the CPU (formulas: device/batch_norm.hpp). Every function reads its maps once:
//
//   statistics   per block: sums relative to the mean of the block's first rows; the blocks are then merged in
//                double (Chan, Golub & LeVeque 1979), so a large mean costs no digits
//   apply        residual and ReLU in the same pass
//   backward     one pass for the two sums, in which a wanted dresidual is written, and one for dx; with moving
//                statistics and no parameter gradients the second pass alone
//
// Where the cpu is one of several processes, each has as many rows, and statistics and sums are those of all of them.
//
// A second pass goes through the blocks from the last to the first: what the first pass read last is still in a cache.

#include <cstdint>
#include <cstring>

#include <tempera/core/error.hpp>
#include <tempera/cpu/column_sums.hpp>
#include <tempera/cpu/past_caches.hpp>
#include <tempera/cpu/row_blocks.hpp>
#include <tempera/cpu/verbose.hpp>
#include <tempera/cpu/walk.hpp>
#include <tempera/device/batch_norm.hpp>

namespace tempera {
namespace cpu_kernels {

/// Maps of a backward pass. x null: not needed. y null: no ReLU, or by_x. dx, dresidual null: not wanted.
template <class T>
struct batch_norm_passage {
    T const* x;
    T const* y;
    T const* dy;
    T* dx;
    T* dresidual;
    bool accumulate_dx;
    bool accumulate_dresidual;
    bool stream;           ///< what is written alone, not added, is written past the caches
    std::ptrdiff_t ahead;  ///< how far before they are needed maps are called for
    bool by_x;
    bool batch_statistics;

    batch_norm_passage at(std::int64_t i) const {
        auto moved = [i](auto* p) { return p == nullptr ? p : p + i; };
        return {moved(x), moved(y), dy + i, moved(dx),       moved(dresidual), accumulate_dx, accumulate_dresidual,
                stream,   ahead,    by_x,   batch_statistics};
    }
    /// How often a map passes the memory bus.
    int passes() const {
        return 1 + (x != nullptr) + (y != nullptr) + (dx != nullptr) * (1 + accumulate_dx) +
               (dresidual != nullptr) * (1 + accumulate_dresidual);
    }
};

template <class T>
struct batch_norm_kernels {
    void (*coefficients)(float const* mean, float const* variance, float const* scale, float const* offset,
                         float epsilon, int channels, int wide, float* out);
    void (*shift)(T const* x, std::int64_t rows, int channels, float* shift);
    void (*moments)(T const* x, std::int64_t count, int wide, float const* shift, float* first, float* second,
                    std::ptrdiff_t ahead);
    void (*merge)(float const* partial, std::int64_t blocks, std::int64_t channels, double rows, double last_rows,
                  int begin, int end, float* mean, float* variance);
    void (*normalize)(T const* x, T const* residual, T* y, std::int64_t count, int wide, float const* coefficients,
                      bool relu, bool stream, std::ptrdiff_t ahead);
    void (*add)(float const* partial, std::int64_t rows, std::int64_t pitch, int begin, int end, float* sums);
    void (*reduce)(batch_norm_passage<T> const& maps, std::int64_t count, int wide, float const* coefficients,
                   float* first, float* second);
    void (*finish)(float const* partial, std::int64_t blocks, int channels, int wide, double rows,
                   float const* variance, float epsilon, int begin, int end, float* coefficients, float* dscale,
                   float* doffset, bool accumulate);
    void (*propagate)(batch_norm_passage<T> const& maps, std::int64_t count, int wide, float const* coefficients);
};

}  // namespace cpu_kernels
}  // namespace tempera

#define TEMPERA_KERNEL_FILE <tempera/cpu/kernels/batch_norm.hpp>
#include <tempera/cpu/each_target.hpp>

namespace tempera {
namespace cpu_kernels {

template <class T>
batch_norm_kernels<T> const& batch_norm_for(isa level) TEMPERA_TABLE(batch_norm_table<T>);

/// Mean and variance of `rows` rows from {shift, sum (x - shift), sum (x - shift)^2} of each block of `block` rows.
inline void batch_norm_merge_blocks(cpu& device, float const* partial, std::int64_t block, std::int64_t rows,
                                    int channels, float* mean, float* variance) {
    std::int64_t const blocks = (rows + block - 1) / block;
    auto const merge = batch_norm_for<float>(device.level()).merge;
    for_channels(device, channels, blocks * channels, [&](int begin, int end) {
        merge(partial, blocks, channels, static_cast<double>(block), static_cast<double>(rows - (blocks - 1) * block),
              begin, end, mean, variance);
    });
    if (device.processes.alone()) return;
    // What each process found is one block of as many rows.
    int const processes = device.processes.size(), width = 3 * channels + 1;
    auto* const mine = static_cast<float*>(device.scratch(
        device.caller(), scratch_slot::own, static_cast<std::size_t>((1 + processes) * width) * sizeof(float)));
    float* const all = mine + width;
    for (int c = 0; c < channels; ++c) {
        mine[c] = mean[c];
        mine[channels + c] = 0;
        mine[2 * channels + c] = variance[c] * static_cast<float>(rows);
    }
    mine[3 * channels] = static_cast<float>(rows);
    device.processes.all_gather(device, view<float const>{mine, {width}}, view<float>{all, {processes * width}});
    for (int r = 0; r < processes; ++r) {
        if (float const other = all[(r + 1) * width - 1]; other < mine[width - 1] || other > mine[width - 1])
            throw error("batch norm", "as many rows in every process", {other, " in process ", r, ", here ", rows},
                        "give each process batches of the same size");
        std::memmove(all + r * (width - 1), all + r * width, static_cast<std::size_t>(width - 1) * sizeof(float));
    }
    auto const n = static_cast<double>(rows);
    merge(all, processes, channels, n, n, 0, channels, mean, variance);
}

/// Parameter gradients from the sums of blocks, and the line of the second pass: where statistics are the batch's, from the
/// sums of all processes. Their parameter gradients are added up with all others.
inline void batch_norm_finish_blocks(cpu& device, float const* partial, std::int64_t blocks, int channels, int wide,
                                     std::int64_t rows, float const* variance, float epsilon, bool batch_statistics,
                                     float* coefficients, float* dscale, float* doffset, bool accumulate) {
    auto const& kernels = batch_norm_for<float>(device.level());
    auto const n = static_cast<double>(rows);
    for_channels(device, channels, blocks * channels, [&](int begin, int end) {
        kernels.finish(partial, blocks, channels, wide, n, variance, epsilon, begin, end, coefficients, dscale, doffset,
                       accumulate);
    });
    if (device.processes.alone() || !batch_statistics) return;
    int const sums = 2 * channels;
    auto* const totals = static_cast<float*>(
        device.scratch(device.caller(), scratch_slot::own, static_cast<std::size_t>(sums) * sizeof(float)));
    for_channels(device, sums, blocks * sums,
                 [&](int begin, int end) { kernels.add(partial, blocks, sums, begin, end, totals); });
    device.processes.all_reduce_sum(device, view<float>{totals, {sums}});
    kernels.finish(totals, 1, channels, wide, n * device.processes.size(), variance, epsilon, 0, channels, coefficients,
                   nullptr, nullptr, false);
}

}  // namespace cpu_kernels

template <class T>
void batch_norm_statistics(cpu& device, batch_norm_geometry const& g, T const* x, float* mean, float* variance) {
    verbose_scope const scope(device, "batch_norm_statistics", bytes_of<T>(g.rows * g.channels));
    row_blocks const cut(1, g.rows, g.channels);
    if (cut.chunks == 0) return;
    auto const& kernels = cpu_kernels::batch_norm_for<T>(device.level());
    auto const lock = device.exclusive();
    std::int64_t const c = g.channels;
    std::size_t const wide = static_cast<std::size_t>(cut.wide);
    // of every block: shift, sum (x - shift), sum (x - shift)^2
    auto* const partial = static_cast<float*>(device.scratch(
        device.caller(), scratch_slot::shared, static_cast<std::size_t>(cut.blocks() * 3 * c) * sizeof(float)));
    if (cut.fold > 1) device.reserve(scratch_slot::own, 3 * wide * sizeof(float));
    std::ptrdiff_t const ahead = cpu_kernels::distance_to_call<T>(g.rows * g.channels);

    device.for_chunks(cut.chunks, [&](std::int64_t chunk, int worker) {
        cut.each_block(chunk, [&](std::int64_t block, std::int64_t, std::int64_t first, std::int64_t count) {
            float* const out = partial + block * 3 * c;
            kernels.shift(x + first, std::min<std::int64_t>(count / c, c < 256 ? 32 : 8), g.channels, out);
            if (cut.fold == 1) {
                std::memset(out + c, 0, 2 * wide * sizeof(float));
                kernels.moments(x + first, count, cut.wide, out, out + c, out + 2 * c, ahead);
            } else {
                auto* const local =
                    static_cast<float*>(device.scratch(worker, scratch_slot::own, 3 * wide * sizeof(float)));
                std::memcpy(local, out, static_cast<std::size_t>(c) * sizeof(float));
                repeat_columns(local, g.channels, cut.fold);
                std::memset(local + wide, 0, 2 * wide * sizeof(float));
                kernels.moments(x + first, count, cut.wide, local, local + wide, local + 2 * wide, ahead);
                fold_columns(local + wide, g.channels, cut.fold, out + c);
                fold_columns(local + 2 * wide, g.channels, cut.fold, out + 2 * c);
            }
        });
    });

    cpu_kernels::batch_norm_merge_blocks(device, partial, cut.rows_per_block, g.rows, g.channels, mean, variance);
}

inline void batch_norm_moving(cpu& device, int channels, float decay, float factor, float const* mean,
                              float const* variance, float* moving_mean, float* moving_variance) {
    verbose_scope const scope(device, "batch_norm_moving", bytes_of<float>(6 * channels));
    for (int c = 0; c < channels; ++c) {
        moving_mean[c] = decay * moving_mean[c] + (1 - decay) * mean[c];
        moving_variance[c] = decay * moving_variance[c] + (1 - decay) * (factor * variance[c]);
    }
}

template <class T>
void batch_norm_apply(cpu& device, batch_norm_geometry const& g, batch_norm_state const& s, T const* x,
                      T const* residual, bool rectified, T* y) {
    verbose_scope const scope(device, "batch_norm_apply",
                              bytes_of<T>((residual == nullptr ? 2 : 3) * g.rows * g.channels));
    row_blocks const cut(1, g.rows, g.channels);
    if (cut.chunks == 0) return;
    auto const& kernels = cpu_kernels::batch_norm_for<T>(device.level());
    auto const lock = device.exclusive();
    auto* const coefficients = static_cast<float*>(
        device.scratch(device.caller(), scratch_slot::shared, 3 * static_cast<std::size_t>(cut.wide) * sizeof(float)));
    kernels.coefficients(s.mean, s.variance, s.scale, s.offset, g.epsilon, g.channels, cut.wide, coefficients);
    for (int k = 0; k < 3; ++k) repeat_columns(coefficients + k * cut.wide, g.channels, cut.fold);
    bool const stream = cpu_kernels::past_caches(y, g.rows, g.channels);
    std::ptrdiff_t const ahead = cpu_kernels::distance_to_call<T>(g.rows * g.channels);
    device.for_chunks(cut.chunks, [&](std::int64_t chunk, int) {
        cut.each_block(cut.chunks - 1 - chunk, [&](std::int64_t, std::int64_t, std::int64_t first, std::int64_t count) {
            kernels.normalize(x + first, residual == nullptr ? nullptr : residual + first, y + first, count, cut.wide,
                              coefficients, rectified, stream, ahead);
        });
    });
}

template <class T>
void batch_norm_backward(cpu& device, batch_norm_geometry const& g, batch_norm_state const& s, bool batch_statistics,
                         T const* x, T const* y, T const* dy, batch_norm_gradients<T> const& out) {
    verbose_scope scope(device, "batch_norm_backward", 0);
    row_blocks const cut(1, g.rows, g.channels);
    if (cut.chunks == 0) return;
    auto const& kernels = cpu_kernels::batch_norm_for<T>(device.level());
    auto const lock = device.exclusive();
    std::int64_t const c = g.channels;
    std::size_t const wide = static_cast<std::size_t>(cut.wide);
    auto* const coefficients = static_cast<float*>(
        device.scratch(device.caller(), scratch_slot::shared,
                       (5 * wide + static_cast<std::size_t>(cut.blocks() * 2 * c)) * sizeof(float)));
    // Mean, factor, slope, constant, offset; the third is the offset until the sums are known.
    kernels.coefficients(s.mean, s.variance, s.scale, s.offset, g.epsilon, g.channels, cut.wide, coefficients);
    std::memcpy(coefficients + 4 * wide, coefficients + 2 * wide, static_cast<std::size_t>(c) * sizeof(float));
    for (int k : {0, 1, 4}) repeat_columns(coefficients + k * cut.wide, g.channels, cut.fold);

    cpu_kernels::batch_norm_passage<T> maps{
        batch_statistics || out.by_x ? x : nullptr,
        y,
        dy,
        out.dx,
        out.dresidual,
        out.dx_store == store::accumulate,
        out.dresidual_store == store::accumulate,
        out.dx != nullptr && out.dx_store == store::write && cpu_kernels::past_caches(out.dx, g.rows, g.channels),
        cpu_kernels::distance_to_call<T>(g.rows * g.channels),
        out.by_x,
        batch_statistics};

    if (out.dscale != nullptr || out.doffset != nullptr || (batch_statistics && out.dx != nullptr)) {
        float* const partial = coefficients + 5 * wide;  // of every block: sum g, sum g (x - mean)
        T* const early = maps.accumulate_dresidual ? nullptr : out.dresidual;
        bool const stream = early != nullptr && cpu_kernels::past_caches(early, g.rows, g.channels);
        cpu_kernels::batch_norm_passage<T> const read{x,     y,      dy,         nullptr,  early, false,
                                                      false, stream, maps.ahead, out.by_x, true};
        scope.moves(bytes_of<T>((2 + (y != nullptr) + (early != nullptr)) * g.rows * g.channels));
        if (cut.fold > 1) device.reserve(scratch_slot::own, 2 * wide * sizeof(float));
        device.for_chunks(cut.chunks, [&](std::int64_t chunk, int worker) {
            cut.each_block(chunk, [&](std::int64_t block, std::int64_t, std::int64_t first, std::int64_t count) {
                float* const result = partial + block * 2 * c;
                float* const sums =
                    cut.fold == 1
                        ? result
                        : static_cast<float*>(device.scratch(worker, scratch_slot::own, 2 * wide * sizeof(float)));
                std::memset(sums, 0, 2 * wide * sizeof(float));
                kernels.reduce(read.at(first), count, cut.wide, coefficients, sums, sums + wide);
                if (cut.fold == 1) return;
                fold_columns(sums, g.channels, cut.fold, result);
                fold_columns(sums + wide, g.channels, cut.fold, result + c);
            });
        });
        if (early != nullptr) {  // it holds g now
            maps.dy = early;
            maps.y = nullptr;
            maps.by_x = false;
            maps.dresidual = nullptr;
        }

        cpu_kernels::batch_norm_finish_blocks(device, partial, cut.blocks(), g.channels, cut.wide, g.rows, s.variance,
                                              g.epsilon, batch_statistics, coefficients, out.dscale, out.doffset,
                                              out.parameter_store == store::accumulate);
    }

    if (maps.dx == nullptr && maps.dresidual == nullptr) return;
    scope.moves(bytes_of<T>(maps.passes() * g.rows * g.channels));
    for (int k : {2, 3}) repeat_columns(coefficients + k * cut.wide, g.channels, cut.fold);
    device.for_chunks(cut.chunks, [&](std::int64_t chunk, int) {
        cut.each_block(cut.chunks - 1 - chunk, [&](std::int64_t, std::int64_t, std::int64_t first, std::int64_t count) {
            kernels.propagate(maps.at(first), count, cut.wide, coefficients);
        });
    });
}

}  // namespace tempera
