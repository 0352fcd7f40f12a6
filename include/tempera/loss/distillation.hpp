// SPDX-License-Identifier: Apache-2.0
#pragma once
// distillation: cross entropy with a fixed teacher's distribution (SimCLRv2 eq. 2), mixed with that of the labels
// where there are some (eq. 3):
//
//   loss = 1/rows (alpha sum_i -sum_y P_T log P_S + (1 - alpha) sum_labeled -log softmax(z_i)_label)
//   P = softmax(z / temperature)

#include <tempera/device/losses.hpp>
#include <tempera/loss/loss_concept.hpp>
#include <tempera/loss/selected_output.hpp>

namespace tempera {

/// Reads targets.teacher_logits, and targets.labels when alpha < 1. accuracy: fraction of rows whose largest logit
/// is also the teacher's; entropy: of the student at this temperature.
struct distillation {
    float temperature = 1;  ///< of teacher and student alike
    float alpha = 1;        ///< 1: the distillation term alone
    bool scale_t2 = false;  ///< multiply the distillation term by temperature^2 (Hinton et al. 2015; not in SimCLRv2)
    name_text output{};     ///< name of the output to read; empty: the last one

    /// Throws error for a temperature that is not positive, alpha outside [0, 1], teacher logits of another shape than
    /// the student's, or labels that are wanted and missing or out of range.
    template <class Device>
    loss_value operator()(Device& device, output_views const& outputs, targets const& target,
                          gradient_views const& gradients, float weight = 1, store mode = store::write) const {
        if (!(temperature > 0)) {
            throw error("distillation", "a temperature above 0", temperature,
                        "published values are 1 (into a smaller network) and 0.1 (self-distillation)");
        }
        if (!(alpha >= 0 && alpha <= 1)) {
            throw error("distillation", "alpha from 0 to 1", alpha, "1 is the distillation term alone");
        }
        auto const logits = select_output(device, "distillation", output, outputs, gradients, mode);
        if (target.teacher_logits.data == nullptr || !(target.teacher_logits.dims == logits.values.dims)) {
            throw error("distillation", {"teacher logits ", text_of(logits.values.dims)},
                        target.teacher_logits.data == nullptr ? "none" : text_of(target.teacher_logits.dims),
                        "teacher and student need the same rows and classes");
        }
        if (alpha < 1) check_labels("distillation", target.labels, logits.rows());
        distillation_geometry const g{logits.rows(), logits.channels(), temperature, alpha, scale_t2};
        return distillation_cross_entropy(device, g, logits.values.data, target.teacher_logits.data,
                                          alpha < 1 ? target.labels.data : nullptr, weight, logits.gradient.data, mode);
    }

    bool reads(output_views const& outputs, std::size_t i) const {
        return index_of_output("distillation", output, outputs) == i;
    }
};

template <>
inline constexpr bool has_loss_operators<distillation> = true;

}  // namespace tempera
