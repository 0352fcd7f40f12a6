// SPDX-License-Identifier: Apache-2.0
#pragma once
// nt_xent: the contrastive loss (SimCLR eq. 1, SimCLRv2 eq. 1) over rows [view a | view b], rows i and i + N being
// two views of one image:
//
//   S_ij = u_i . u_j / temperature        u = h / |h|
//   loss = mean_i CE_a + mean_i CE_b,     CE of row i: -log(exp S_i,pos / sum_{j != i} exp S_ij)

#include <tempera/device/losses.hpp>
#include <tempera/loss/loss_concept.hpp>
#include <tempera/loss/selected_output.hpp>

namespace tempera {

/// The sum of two means, as in the authors' code: twice the mean over 2N rows that the papers write. accuracy: fraction
/// of rows of view a whose nearest row of view b is their own; entropy: of their softmax over view b, in nats (without
/// the 1e-8 that the authors' code adds inside the logarithm). Reads no targets.
struct nt_xent {
    float temperature = 0.1F;
    bool normalize = true;  ///< compare directions (cosine), not the raw embeddings
    name_text output{};     ///< name of the output to read; empty: the last one

    /// Throws error for an odd number of rows, a temperature that is not positive, an output that is no matrix.
    template <class Device>
    loss_value operator()(Device& device, output_views const& outputs, targets const&, gradient_views const& gradients,
                          float weight = 1, store mode = store::write) const {
        if (!(temperature > 0)) {
            throw error("nt_xent", "a temperature above 0", temperature, "the published value is 0.1");
        }
        auto const embedding = select_output(device, "nt_xent", output, outputs, gradients, mode);
        if (embedding.rows() % 2 != 0) {
            throw error("nt_xent", "an even number of rows, view a then view b", embedding.rows(),
                        "pass both views of every image in one batch");
        }
        contrastive_geometry const g{embedding.rows() / 2, embedding.channels(), temperature, normalize};
        return contrastive_cross_entropy(device, g, embedding.values.data, weight, embedding.gradient.data, mode);
    }

    bool reads(output_views const& outputs, std::size_t i) const {
        return index_of_output("nt_xent", output, outputs) == i;
    }
};

template <>
inline constexpr bool has_loss_operators<nt_xent> = true;

}  // namespace tempera
