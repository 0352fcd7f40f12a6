// SPDX-License-Identifier: Apache-2.0
#pragma once
// Catalogue: the losses on the device (formulas in device/losses.hpp). Values come back to the host: these functions
// wait for the stream, but not in a captured step, whose losses add to its tally.

#include <algorithm>
#include <cstdint>

#include <tempera/cuda/launch.hpp>
#include <tempera/cuda/matmul.hpp>

namespace tempera::cuda_kernels {

/// The sums that a loss left at the beginning of its scratch memory.
inline loss_sums fetch_sums(gpu& device, float const* scratch) {
    static_assert(sizeof(loss_sums) == 5 * sizeof(float));
    return device.context.fetch(reinterpret_cast<loss_sums const*>(scratch));
}

/// Throws error when rows had labels that no class has.
inline void require_labels(float bad, char const* where, phrase const& expected) {
    if (bad > 0)
        throw error(where, expected, {"others in ", static_cast<std::int64_t>(bad), " rows"},
                    "check the labels and the number of classes");
}
inline void require_labels(loss_sums const& sums, char const* where, int classes) {
    require_labels(sums.bad, where, {"labels from -1 (none) to ", classes - 1});
}

/// The sums of a loss over `rows` rows (0: over the labeled ones), as means. They also go to the tally of a running step,
/// with the factor by which the value counts there; in a captured step they go nowhere else, and zeros come back.
inline loss_value deliver(gpu& device, char const* where, int classes, float const* scratch, float rows, float factor) {
    running_step& step = device.context.step;
    if (step.tally != nullptr)
        add_to_tally(device.context.stream(), reinterpret_cast<loss_sums const*>(scratch), rows, factor,
                     step.losses++ == 0, step.tally);
    if (device.context.capturing) return {};
    auto const sums = fetch_sums(device, scratch);
    require_labels(sums, where, classes);
    float const counted = rows > 0 ? rows : sums.labeled;
    if (!(counted > 0)) return {};
    return {sums.loss / counted, sums.correct / counted, sums.entropy / counted};
}

}  // namespace tempera::cuda_kernels

namespace tempera {

inline loss_value softmax_cross_entropy(gpu& device, int rows, int classes, float const* logits,
                                        std::int32_t const* labels, float smoothing, float weight, float* dlogits,
                                        store mode) {
    float* const scratch = device.context.float_scratch(cuda_kernels::loss_floats(rows));
    cuda_kernels::softmax_cross_entropy(device.context.stream(), rows, classes, logits, labels, smoothing, weight,
                                        dlogits, mode, scratch);
    return cuda_kernels::deliver(device, "softmax_cross_entropy", classes, scratch, 0, weight);
}

inline loss_value distillation_cross_entropy(gpu& device, distillation_geometry const& g, float const* student,
                                             float const* teacher, std::int32_t const* labels, float weight,
                                             float* dstudent, store mode) {
    if (g.rows == 0) return {};
    float* const scratch = device.context.float_scratch(cuda_kernels::loss_floats(g.rows));
    float const share = g.alpha * (g.scale_t2 ? g.temperature * g.temperature : 1.0F);
    auto const rows = static_cast<float>(g.rows);
    float const factor = weight * share / (g.temperature * rows);
    cuda_kernels::distillation_term(device.context.stream(), g, student, teacher, factor, dstudent, mode, scratch);
    auto value = cuda_kernels::deliver(device, "distillation_cross_entropy", g.classes, scratch, rows, weight * share);
    value.loss *= share;
    if (g.alpha < 1) {
        auto const labeled = softmax_cross_entropy(device, g.rows, g.classes, student, labels, 0,
                                                   weight * (1 - g.alpha), dstudent, store::accumulate);
        value.loss += (1 - g.alpha) * labeled.loss;
    }
    return value;
}

/// Needs scratch memory for two copies of h and a tile of rows of 2N similarities (context.tile_bytes, at least one row).
inline loss_value contrastive_cross_entropy(gpu& device, contrastive_geometry const& g, float const* h, float weight,
                                            float* dh, store mode) {
    if (g.pairs == 0) return {};
    int const rows = 2 * g.pairs;
    std::int64_t const row_bytes = std::int64_t{4} * rows;
    auto const tile_rows = static_cast<int>(std::clamp<std::int64_t>(device.context.tile_bytes / row_bytes, 1, rows));
    std::int64_t const size = std::int64_t{rows} * g.channels;

    float* const scratch = device.context.float_scratch(cuda_kernels::loss_floats(rows) + 3 * rows + 2 * size +
                                                        std::int64_t{tile_rows} * rows);
    float* const terms = scratch + 8;
    float* const log_sums = terms + std::int64_t{5} * rows;
    float* const pull = log_sums + rows;
    float* const inverse = pull + rows;
    float* const normalized = inverse + rows;
    float* const du = normalized + size;
    float* const tile = du + size;

    cudaStream_t const stream = device.context.stream();
    float const* u = h;
    if (g.normalize) {
        cuda_kernels::l2_normalize_forward(stream, rows, g.channels, h, normalized, inverse);
        u = normalized;
    }
    auto const each_tile = [&](auto const& function) {
        for (int first = 0; first < rows; first += tile_rows) {
            int const count = std::min(tile_rows, rows - first);
            matmul_geometry const tile_product{.m = count, .n = rows, .k = g.channels, .transpose_b = true};
            cuda_kernels::multiply_matrices(device, tile_product, u + std::int64_t{first} * g.channels, u, tile,
                                            store::write, cuda_kernels::product::exact);
            function(first, count);
        }
    };
    each_tile([&](int first, int count) {
        cuda_kernels::contrastive_rows(stream, g, first, count, tile, log_sums, pull, terms);
    });
    cuda_kernels::sum_row_terms(stream, rows, terms, scratch);
    if (dh != nullptr) {
        float const factor = weight / (static_cast<float>(g.pairs) * g.temperature);
        each_tile([&](int first, int count) {
            cuda_kernels::contrastive_weights(stream, g, first, count, factor, log_sums, pull, tile);
            matmul_geometry const tile_product{.m = count, .n = g.channels, .k = rows};
            float* const to = (g.normalize ? du : dh) + std::int64_t{first} * g.channels;
            cuda_kernels::multiply_matrices(device, tile_product, static_cast<float const*>(tile), u, to,
                                            g.normalize ? store::write : mode, cuda_kernels::product::exact);
        });
        if (g.normalize)
            cuda_kernels::l2_normalize_backward(stream, rows, g.channels, u, inverse, static_cast<float const*>(du), dh,
                                                mode);
    }
    return cuda_kernels::deliver(device, "contrastive_cross_entropy", 0, scratch, static_cast<float>(g.pairs), weight);
}

inline std::int64_t count_correct(gpu& device, int rows, int classes, float const* logits, std::int32_t const* labels,
                                  int top) {
    float* const scratch = device.context.float_scratch(cuda_kernels::loss_floats(rows));
    cuda_kernels::count_correct(device.context.stream(), rows, classes, logits, labels, top, scratch);
    auto const sums = cuda_kernels::fetch_sums(device, scratch);
    cuda_kernels::require_labels(sums, "count_correct", classes);
    return static_cast<std::int64_t>(sums.correct);
}

inline bool all_finite(gpu& device, std::int64_t n, float const* x) {
    float* const scratch = device.context.float_scratch(cuda_kernels::loss_floats(cuda_kernels::finite_blocks));
    cuda_kernels::find_not_finite(device.context.stream(), n, x, scratch);
    return !(cuda_kernels::fetch_sums(device, scratch).bad > 0);
}

}  // namespace tempera
