// SPDX-License-Identifier: Apache-2.0
#pragma once
// Catalogue: the losses on the device (formulas in device/losses.hpp), NT-Xent in contrastive.hpp. Values come back to
// the host: these functions wait for the stream, but not in a captured step, whose losses add to its tally.

#include <cstdint>

#include <tempera/cuda/gpu.hpp>
#include <tempera/cuda/launch_losses.hpp>

namespace tempera::cuda_kernels {

/// The sums that a loss left at the beginning of its scratch memory.
inline loss_sums fetch_sums(gpu& device, float const* scratch) {
    static_assert(sizeof(loss_sums) == 5 * sizeof(float));
    return device.context.fetch(reinterpret_cast<loss_sums const*>(scratch));
}

/// Throws error when rows had labels that no class has.
inline void require_labels(double bad, char const* where, phrase const& expected) {
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
                     step.losses++ == 0, step.replay, step.tally);
    if (device.context.capturing) return {};
    auto const sums = fetch_sums(device, scratch);
    require_labels(sums, where, classes);
    float const counted = rows > 0 ? rows : sums.labeled;
    if (!(counted > 0)) return {};
    return {sums.loss / counted, sums.correct / counted, sums.entropy / counted};
}

/// The mean over `mean_over` rows (0: over the labeled ones) of their cross entropy with the labels.
inline loss_value cross_entropy(gpu& device, char const* where, int rows, int classes, float const* logits,
                                std::int32_t const* labels, float smoothing, float mean_over, float weight,
                                float* dlogits, store mode) {
    float* const scratch = device.context.float_scratch(loss_floats(rows));
    softmax_cross_entropy(device.context.stream(), rows, classes, logits, labels, smoothing, mean_over, weight, dlogits,
                          mode, scratch);
    return deliver(device, where, classes, scratch, mean_over, weight);
}

}  // namespace tempera::cuda_kernels

namespace tempera {

inline loss_value softmax_cross_entropy(gpu& device, int rows, int classes, float const* logits,
                                        std::int32_t const* labels, float smoothing, float weight, float* dlogits,
                                        store mode) {
    return cuda_kernels::cross_entropy(device, "softmax_cross_entropy", rows, classes, logits, labels, smoothing, 0,
                                       weight, dlogits, mode);
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
        float const rest = 1 - g.alpha;
        value.loss +=
            rest * cuda_kernels::cross_entropy(device, "distillation_cross_entropy", g.rows, g.classes, student, labels,
                                               0, rows, weight * rest, dstudent, store::accumulate)
                       .loss;
    }
    return value;
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
