// SPDX-License-Identifier: Apache-2.0
#pragma once
// Cross entropy with a teacher's distribution on the cpu (catalogue: device/losses.hpp).
//
//   loss_i = -sum_y P_T log P_S = log sum_y e_S - sum_y P_T (z_S - max z_S) / tau      e = exp((z - max z) / tau)
//   d loss_i / d z_S = (P_S - P_T) / tau

#include <tempera/cpu/softmax.hpp>

namespace tempera {

inline loss_value distillation_cross_entropy(cpu& device, distillation_geometry const& g, float const* student,
                                             float const* teacher, std::int32_t const* labels, float weight,
                                             float* dstudent, store mode) {
    using namespace cpu_kernels;
    verbose_scope const scope(
        device, "distillation_cross_entropy",
        bytes_of<float>((2 + (dstudent == nullptr ? 0 : passes_of(mode))) * std::int64_t{1} * g.rows * g.classes));
    auto const& k = softmax_for(device.level());
    bool const uses_labels = g.alpha < 1;
    if (uses_labels) count_labels("distillation_cross_entropy", g.rows, g.classes, labels);
    auto const tau = static_cast<double>(g.temperature);
    auto const alpha = static_cast<double>(g.alpha);
    double const soft = alpha * (g.scale_t2 ? tau * tau : 1.0) / g.rows;
    double const hard = (1 - alpha) / g.rows;
    auto const inverse = static_cast<float>(1 / tau);
    auto const soft_slope = static_cast<float>(static_cast<double>(weight) * soft / tau);
    auto const hard_slope = static_cast<float>(static_cast<double>(weight) * hard);

    row_totals const all = sum_rows(device, g.rows, g.classes, [&](int i, float* e, row_totals& totals) {
        std::int64_t const at = std::int64_t{1} * i * g.classes;
        float const* const z = student + at;
        float const* const t = teacher + at;
        float* const d = dstudent == nullptr ? nullptr : dstudent + at;
        float* const e_teacher = e + g.classes;
        softmax_sums const s = k.exponentials(g.classes, z, inverse, e);
        softmax_sums const st = k.exponentials(g.classes, t, inverse, e_teacher);
        double const agreement = static_cast<double>(k.expected_logit(g.classes, e_teacher, z, s.largest)) /
                                 static_cast<double>(st.sum) / tau;
        totals.loss += soft * (std::log(static_cast<double>(s.sum)) - agreement);
        totals.entropy += entropy_of(s);
        totals.correct += k.rank_of(g.classes, z, k.first_largest(g.classes, t)) == 0;
        if (d != nullptr) k.combine(g.classes, soft_slope / s.sum, e, -soft_slope / st.sum, e_teacher, 0, d, mode);
        if (uses_labels && labels[i] >= 0) {
            row_totals of_labels;  // only its loss counts here
            totals.loss +=
                hard * cross_entropy_row(k, g.classes, z, labels[i], 0, e, hard_slope, d, store::accumulate, of_labels);
        }
    });
    return {static_cast<float>(all.loss), static_cast<float>(static_cast<double>(all.correct) / g.rows),
            static_cast<float>(all.entropy / g.rows)};
}

}  // namespace tempera
