// SPDX-License-Identifier: Apache-2.0
#pragma once
// cross_entropy: softmax cross entropy with labels, the mean over the rows that have one (label >= 0):
//
//   loss = mean_i -sum_y q_iy log softmax(z_i)_y      q = (1 - s) one_hot(label) + s / classes
//
// s is the label smoothing of Szegedy et al. 2016; SimCLRv2 fine-tunes with s = 0.

#include <tempera/device/losses.hpp>
#include <tempera/loss/loss_concept.hpp>
#include <tempera/loss/selected_output.hpp>

namespace tempera {

/// Reads targets.labels. A batch without any label has loss 0 and gradient 0, like the weighted mean of the authors'
/// code. accuracy and entropy are means over the rows that have a label.
struct cross_entropy {
    float label_smoothing = 0;
    name_text output{};  ///< name of the output to read; empty: the last one

    /// Throws error when labels are missing, not one per row, or not in -1 .. classes - 1.
    template <class Device>
    loss_value operator()(Device& device, output_views const& outputs, targets const& target,
                          gradient_views const& gradients, float weight = 1, store mode = store::write) const {
        if (!(label_smoothing >= 0 && label_smoothing < 1)) {
            throw error("cross_entropy", "a label smoothing from 0 to below 1", label_smoothing,
                        "usual values are 0 and 0.1");
        }
        auto const logits = select_output(device, "cross_entropy", output, outputs, gradients, mode);
        check_labels("cross_entropy", target.labels, logits.rows());
        return softmax_cross_entropy(device, logits.rows(), logits.channels(), logits.values.data, target.labels.data,
                                     label_smoothing, weight, logits.gradient.data, mode);
    }

    bool reads(output_views const& outputs, std::size_t i) const {
        return index_of_output("cross_entropy", output, outputs) == i;
    }
};

template <>
inline constexpr bool has_loss_operators<cross_entropy> = true;

}  // namespace tempera
