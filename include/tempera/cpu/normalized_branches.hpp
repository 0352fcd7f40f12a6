// SPDX-License-Identifier: Apache-2.0
#pragma once
// Selective kernels that normalize their branches as they read them, on the CPU (formulas:
// device/normalized_branches.hpp): two passes over the maps forward, two backward; between them sums of each sample.

#include <cstdint>
#include <cstring>

#include <tempera/cpu/batch_norm.hpp>
#include <tempera/cpu/column_sums.hpp>
#include <tempera/cpu/past_caches.hpp>
#include <tempera/cpu/row_blocks.hpp>
#include <tempera/cpu/selective.hpp>
#include <tempera/cpu/verbose.hpp>
#include <tempera/cpu/walk.hpp>
#include <tempera/device/normalized_branches.hpp>

namespace tempera {
namespace cpu_kernels {

/// Rows of one sample, and for each of the 2 filters channels what normalizes it.
template <class T>
struct branch_rows {
    T const* x;
    std::int64_t rows;
    int filters;
    std::ptrdiff_t ahead;  ///< how far before they are needed maps are called for
    float const* mean;
    float const* gain;
    float const* offset;

    branch_rows at(std::int64_t first, std::int64_t count) const {
        return {x + first, count / (2 * filters), filters, ahead, mean, gain, offset};
    }
};

/// For each channel of a sample, besides: a0 and a1, ds (of both branches alike), and the line of batch norm's gradient.
struct branch_slopes {
    float const* weights;
    float const* share;
    float const* slope;
    float const* constant;
};

template <class T>
struct normalized_branches_kernels {
    void (*deviations)(branch_rows<T> const& b, float* sums);
    void (*average)(branch_rows<T> const& b, float const* count, float const* deviation, std::int64_t positions,
                    float* average);
    void (*merge)(branch_rows<T> const& b, float const* weights, T* y);
    void (*products)(branch_rows<T> const& b, T const* dy, float* sums);
    void (*difference)(branch_rows<T> const& b, float const* slope, float const* product, float* difference);
    void (*mix)(float const* weights, float const* share, float const* const* sums, int filters, float* mixed);
    void (*gradient)(branch_rows<T> const& b, branch_slopes const& s, T const* dy, T* dx, bool accumulate, bool stream);
};

}  // namespace cpu_kernels
}  // namespace tempera

#define TEMPERA_KERNEL_FILE <tempera/cpu/kernels/normalized_branches.hpp>
#include <tempera/cpu/each_target.hpp>

namespace tempera {
namespace cpu_kernels {

template <class T>
normalized_branches_kernels<T> const& normalized_branches_for(isa level) TEMPERA_TABLE(normalized_branches_table<T>);

/// What the functions below share: how the maps are cut, and the coefficients of the channels. Hold device.exclusive().
template <class T>
struct branch_work {
    row_blocks cut;
    normalized_branches_kernels<T> const& kernels;
    selective_kernels<T> const& merge_kernels;
    float* coefficients;  ///< mean, gain, slope, constant, offset, as batch norm's kernels have them; 2 filters each
    branch_rows<T> all;

    branch_work(cpu& device, selective_geometry const& g, normalized_branches<T> const& from)
        : cut(g.batch, g.positions, 2 * g.filters, false),
          kernels(normalized_branches_for<T>(device.level())),
          merge_kernels(selective_for<T>(device.level())),
          coefficients(static_cast<float*>(device.scratch(device.caller(), scratch_slot::outer,
                                                          10 * static_cast<std::size_t>(g.filters) * sizeof(float)))),
          all{from.x,
              g.batch * g.positions,
              g.filters,
              distance_to_call<T>(2 * g.batch * g.positions * g.filters),
              coefficients,
              coefficients + 2 * g.filters,
              coefficients + 8 * g.filters} {
        batch_norm_state const& n = from.norm;
        batch_norm_for<T>(device.level())
            .coefficients(n.mean, n.variance, n.scale, n.offset, from.epsilon, 2 * g.filters, 2 * g.filters,
                          coefficients);
        std::memcpy(coefficients + 8 * g.filters, coefficients + 4 * g.filters,
                    2 * static_cast<std::size_t>(g.filters) * sizeof(float));  // the slope's place is the offset's
    }
};

/// Where one kind of sums of a sample lies in {kinds, batch, 2 filters}.
template <class Float>
Float* branch_sums(Float* sums, selective_geometry const& g, int kind, std::int64_t sample) {
    return sums + (std::int64_t{kind} * g.batch + sample) * 2 * g.filters;
}

}  // namespace cpu_kernels

template <class T>
void normalized_average(cpu& device, selective_geometry const& g, normalized_branches<T> const& from, float* sums,
                        float* average) {
    verbose_scope const scope(device, "normalized_average", bytes_of<T>(2 * g.batch * g.positions * g.filters));
    auto const lock = device.exclusive();
    cpu_kernels::branch_work<T> const work(device, g, from);
    std::size_t const row = 2 * static_cast<std::size_t>(g.filters);
    sum_columns(
        device, work.cut, 2, 0,
        [&](std::int64_t, std::int64_t first, std::int64_t count, float* columns, float*) {
            work.kernels.deviations(work.all.at(first, count), columns);
        },
        [&](std::int64_t sample, float const* totals) {
            for (int k = 0; k < 2; ++k)
                std::memcpy(cpu_kernels::branch_sums(sums, g, k, sample), totals + static_cast<std::size_t>(k) * row,
                            row * sizeof(float));
            work.kernels.average(work.all, totals, totals + row, g.positions, average + sample * g.filters);
        });
}

template <class T>
void normalized_merge(cpu& device, selective_geometry const& g, normalized_branches<T> const& from, float const* logits,
                      T* y) {
    verbose_scope const scope(device, "normalized_merge", bytes_of<T>(3 * g.batch * g.positions * g.filters));
    auto const lock = device.exclusive();
    cpu_kernels::branch_work<T> const work(device, g, from);
    std::int64_t const row = std::int64_t{2} * g.filters;
    std::size_t const bytes = static_cast<std::size_t>(row) * sizeof(float);
    device.reserve(scratch_slot::own, bytes);
    device.for_chunks(work.cut.chunks, [&](std::int64_t chunk, int worker) {
        auto* const weights = static_cast<float*>(device.scratch(worker, scratch_slot::own, bytes));
        work.cut.each_block(work.cut.chunks - 1 - chunk, [&](std::int64_t, std::int64_t sample, std::int64_t first,
                                                             std::int64_t count) {
            work.merge_kernels.weights(logits + sample * row, g.filters, weights, weights + g.filters);
            work.kernels.merge(work.all.at(first, count), weights, y + first / 2);
        });
    });
}

template <class T>
void normalized_merge_backward(cpu& device, selective_geometry const& g, normalized_branches<T> const& from,
                               float const* logits, T const* dy, float* sums, float* dlogits, store dlogits_store) {
    verbose_scope const scope(device, "normalized_merge_backward", bytes_of<T>(3 * g.batch * g.positions * g.filters));
    auto const lock = device.exclusive();
    cpu_kernels::branch_work<T> const work(device, g, from);
    std::int64_t const row = std::int64_t{2} * g.filters;
    sum_columns(
        device, work.cut, 2, 0,
        [&](std::int64_t, std::int64_t first, std::int64_t count, float* columns, float*) {
            work.kernels.products(work.all.at(first, count), dy + first / 2, columns);
        },
        [&](std::int64_t sample, float const* totals) {
            float* const slope = cpu_kernels::branch_sums(sums, g, 2, sample);
            float* const product = cpu_kernels::branch_sums(sums, g, 3, sample);
            // dlogits is added to at the end only, and the product's place is free until then
            work.kernels.difference(work.all, totals, totals + row, product);
            work.merge_kernels.slopes(logits + sample * row, g.filters, product, dlogits + sample * row,
                                      dlogits_store == store::accumulate);
            std::memcpy(slope, totals, static_cast<std::size_t>(row) * sizeof(float));
            std::memcpy(product, totals + row, static_cast<std::size_t>(row) * sizeof(float));
        });
}

template <class T>
void normalized_branches_backward(cpu& device, selective_geometry const& g, normalized_branches<T> const& from,
                                  bool batch_statistics, float const* logits, T const* dy, float const* daverage,
                                  float const* sums, batch_norm_gradients<T> const& out) {
    bool const wants_dx = out.dx != nullptr;
    verbose_scope const scope(
        device, "normalized_branches_backward",
        wants_dx ? bytes_of<T>((3 + 2 * passes_of(out.dx_store)) * g.batch * g.positions * g.filters) : 0);
    auto const lock = device.exclusive();
    cpu_kernels::branch_work<T> const work(device, g, from);
    if (work.cut.chunks == 0) return;
    int const channels = 2 * g.filters;
    float* const slope = work.coefficients + 2 * channels;
    std::size_t const row = static_cast<std::size_t>(channels);
    // of a sample: a0 and a1, ds
    auto const load_sample = [&](std::int64_t sample, float* weights) {
        work.merge_kernels.weights(logits + sample * channels, g.filters, weights, weights + g.filters);
        for (int f = 0; f < g.filters; ++f)
            weights[channels + f] = daverage[sample * g.filters + f] / static_cast<float>(g.positions);
    };
    std::size_t const sample_bytes = (row + static_cast<std::size_t>(g.filters)) * sizeof(float);
    device.reserve(scratch_slot::own, sample_bytes);

    if (out.dscale != nullptr || out.doffset != nullptr || (batch_statistics && wants_dx)) {
        auto* const mixed = static_cast<float*>(device.scratch(
            device.caller(), scratch_slot::shared, static_cast<std::size_t>(g.batch) * 2 * row * sizeof(float)));
        device.for_chunks(g.batch, [&](std::int64_t sample, int worker) {
            auto* const weights = static_cast<float*>(device.scratch(worker, scratch_slot::own, sample_bytes));
            load_sample(sample, weights);
            float const* kinds[4];
            for (int k = 0; k < 4; ++k) kinds[k] = cpu_kernels::branch_sums(sums, g, k, sample);
            work.kernels.mix(weights, weights + channels, kinds, g.filters, mixed + sample * 2 * channels);
        });
        cpu_kernels::batch_norm_finish_blocks(device, mixed, g.batch, channels, channels, g.batch * g.positions,
                                              from.norm.variance, from.epsilon, batch_statistics, work.coefficients,
                                              out.dscale, out.doffset, out.parameter_store == store::accumulate);
    }
    if (!wants_dx) return;
    if (!batch_statistics) std::memset(slope, 0, 2 * row * sizeof(float));
    bool const stream =
        out.dx_store == store::write && cpu_kernels::past_caches(out.dx, 2 * g.batch * g.positions, g.filters);
    device.for_chunks(work.cut.chunks, [&](std::int64_t chunk, int worker) {
        auto* const weights = static_cast<float*>(device.scratch(worker, scratch_slot::own, sample_bytes));
        work.cut.each_block(work.cut.chunks - 1 - chunk, [&](std::int64_t, std::int64_t sample, std::int64_t first,
                                                             std::int64_t count) {
            load_sample(sample, weights);
            cpu_kernels::branch_slopes const slopes{weights, weights + channels, slope, slope + channels};
            work.kernels.gradient(work.all.at(first, count), slopes, dy + first / 2, out.dx + first,
                                  out.dx_store == store::accumulate, stream);
        });
    });
}

}  // namespace tempera
