// SPDX-License-Identifier: Apache-2.0
#pragma once
// Softmax cross entropy with labels, and top-k accuracy, on the cpu (catalogue: device/losses.hpp).
//
//   loss_i = log sum_j e_j - (1 - s) x_label - s mean_j x_j      x = z - max z, e = exp x
//   d loss_i / d z = e / sum e - (1 - s) one_hot - s / classes
//
// Rows are cut into chunks by the number of classes only; sums over rows are in double and in order.

#include <cmath>
#include <cstdint>

#include <tempera/core/error.hpp>
#include <tempera/cpu/cpu.hpp>
#include <tempera/cpu/vector.hpp>
#include <tempera/cpu/verbose.hpp>
#include <tempera/device/losses.hpp>

namespace tempera::cpu_kernels {

/// Of one row: the largest logit; sums of e, of (z - largest) / temperature times e, and of z.
struct softmax_sums {
    float largest, sum, moment, plain;
};
struct softmax_kernels {
    softmax_sums (*exponentials)(int n, float const* z, float inverse_temperature, float* e);
    float (*expected_logit)(int n, float const* p, float const* z, float shift);
    void (*combine)(int n, float a, float const* x, float b, float const* y, float c, float* out, store mode);
    int (*rank_of)(int n, float const* z, int label);
    int (*first_largest)(int n, float const* z);
};

}  // namespace tempera::cpu_kernels

#define TEMPERA_KERNEL_FILE <tempera/cpu/kernels/softmax.hpp>
#include <tempera/cpu/each_target.hpp>

namespace tempera {
namespace cpu_kernels {

template <class Table = softmax_kernels>
Table const& softmax_for(isa level) TEMPERA_TABLE(softmax_table);

/// What a chunk of rows adds to a loss.
struct row_totals {
    double loss = 0;
    double entropy = 0;
    std::int64_t correct = 0;
};

/// Entropy in nats of the distribution e / sum e.
inline double entropy_of(softmax_sums const& s) {
    return std::log(static_cast<double>(s.sum)) - static_cast<double>(s.moment) / static_cast<double>(s.sum);
}

/// Number of rows with a label. Throws error for a label outside -1 .. classes - 1.
inline int count_labels(char const* where, int rows, int classes, std::int32_t const* labels) {
    int labeled = 0;
    for (int i = 0; i < rows; ++i) {
        if (labels[i] < -1 || labels[i] >= classes) {
            throw error(where, {"labels from -1 (none) to ", classes - 1}, {labels[i], " in row ", i},
                        "check the labels and the number of classes");
        }
        labeled += labels[i] >= 0;
    }
    return labeled;
}

/// f(row, e, totals) for every row, with room for 2 x `classes` floats at e; the sums of all chunks in order.
template <class F>
row_totals sum_rows(cpu& device, int rows, int classes, F const& f) {
    int const step = classes < 16384 ? 16384 / classes : 1;
    int const chunks = (rows + step - 1) / step;
    auto const turn = device.exclusive();
    auto* const totals = static_cast<row_totals*>(
        device.scratch(device.caller(), scratch_slot::outer, static_cast<std::size_t>(chunks) * sizeof(row_totals)));
    std::size_t const bytes = 2 * static_cast<std::size_t>(classes) * sizeof(float);
    device.reserve(scratch_slot::outer_own, bytes);
    device.for_chunks(chunks, [&](std::int64_t chunk, int worker) {
        auto* const e = static_cast<float*>(device.scratch(worker, scratch_slot::outer_own, bytes));
        int const begin = static_cast<int>(chunk) * step;
        int const end = begin + step < rows ? begin + step : rows;
        row_totals mine;
        for (int i = begin; i < end; ++i) f(i, e, mine);
        totals[chunk] = mine;
    });
    row_totals all;
    for (int c = 0; c < chunks; ++c) {
        all.loss += totals[c].loss;
        all.entropy += totals[c].entropy;
        all.correct += totals[c].correct;
    }
    return all;
}

/// Cross entropy of one row that has a label; d (+)= c times its gradient where d is not null.
inline double cross_entropy_row(softmax_kernels const& k, int classes, float const* z, int label, float smoothing,
                                float* e, float c, float* d, store mode, row_totals& totals) {
    softmax_sums const s = k.exponentials(classes, z, 1, e);
    auto const largest = static_cast<double>(s.largest);
    double const target = static_cast<double>(z[label]) - largest;
    double loss = std::log(static_cast<double>(s.sum)) - target;
    if (smoothing > 0) {
        loss += static_cast<double>(smoothing) * (target - (static_cast<double>(s.plain) / classes - largest));
    }
    if (d != nullptr) {
        k.combine(classes, c / s.sum, e, 0, nullptr, -c * smoothing / static_cast<float>(classes), d, mode);
        d[label] -= c * (1 - smoothing);
    }
    totals.entropy += entropy_of(s);
    totals.correct += k.rank_of(classes, z, label) == 0;
    return loss;
}

}  // namespace cpu_kernels

inline loss_value softmax_cross_entropy(cpu& device, int rows, int classes, float const* logits,
                                        std::int32_t const* labels, float smoothing, float weight, float* dlogits,
                                        store mode) {
    using namespace cpu_kernels;
    verbose_scope const scope(
        device, "softmax_cross_entropy",
        bytes_of<float>((1 + (dlogits == nullptr ? 0 : passes_of(mode))) * std::int64_t{1} * rows * classes));
    auto const& k = softmax_for(device.level());
    int const labeled = count_labels("softmax_cross_entropy", rows, classes, labels);
    double const share = labeled > 0 ? 1.0 / labeled : 0.0;
    float const c = static_cast<float>(static_cast<double>(weight) * share);
    row_totals const all = sum_rows(device, rows, classes, [&](int i, float* e, row_totals& totals) {
        std::int64_t const at = std::int64_t{1} * i * classes;
        float* const d = dlogits == nullptr ? nullptr : dlogits + at;
        if (labels[i] >= 0) {
            totals.loss += cross_entropy_row(k, classes, logits + at, labels[i], smoothing, e, c, d, mode, totals);
        } else if (d != nullptr && mode == store::write) {
            for (int j = 0; j < classes; ++j) d[j] = 0;
        }
    });
    return {static_cast<float>(all.loss * share), static_cast<float>(static_cast<double>(all.correct) * share),
            static_cast<float>(all.entropy * share)};
}

inline std::int64_t count_correct(cpu& device, int rows, int classes, float const* logits, std::int32_t const* labels,
                                  int top) {
    using namespace cpu_kernels;
    verbose_scope const scope(device, "count_correct", bytes_of<float>(std::int64_t{1} * rows * classes));
    auto const& k = softmax_for(device.level());
    count_labels("count_correct", rows, classes, labels);
    return sum_rows(device, rows, classes,
                    [&](int i, float*, row_totals& totals) {
                        if (labels[i] < 0) return;
                        totals.correct += k.rank_of(classes, logits + std::int64_t{1} * i * classes, labels[i]) < top;
                    })
        .correct;
}

}  // namespace tempera
