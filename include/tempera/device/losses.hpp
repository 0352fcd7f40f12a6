// SPDX-License-Identifier: Apache-2.0
#pragma once
// Catalogue: the losses, float32, value and gradient in one call. The gradient is multiplied by weight;
// the value returned is not. Gradient pointers may be null: value only. A label is -1 (none) or below classes;
// where no row has a label the value and the gradient are 0.
//
//   softmax_cross_entropy     mean over labeled rows of -sum_y q_y log softmax(z)_y, q smoothed one-hot
//   distillation_cross_entropy
//       -sum_y P_T log P_S of every row, P = softmax(z / tau) (SimCLRv2 eq. 2), times alpha, plus (1 - alpha) times the
//       cross entropy of every row that has a label (SimCLRv2 eq. 3), both divided by the number of all rows: a label
//       weighs the same however few there are in a batch. alpha = 1 ignores labels, which may then be null. Its
//       accuracy is the agreement with the teacher's largest logit
//   contrastive_cross_entropy NT-Xent of SimCLR eq. 1 over rows [view a | view b], as mean_i CE_a + mean_i CE_b
//       (twice the paper's mean); never stores the 2N x 2N matrix

#include <cstdint>

#include <tempera/core/loss_value.hpp>
#include <tempera/device/store.hpp>

namespace tempera {

struct distillation_geometry {
    int rows = 0;
    int classes = 0;
    float temperature = 1;
    float alpha = 1;
    bool scale_t2 = false;  ///< multiply the distillation term by temperature^2 (not in the paper)
};

struct contrastive_geometry {
    int pairs = 0;     ///< N: rows i and i + N are two views of one image
    int channels = 0;  ///< d
    float temperature = 0.1F;
    bool normalize = true;  ///< compare u = h rsqrt(max(|h|^2, 1e-12)) instead of h
};

/// softmax_cross_entropy(device, rows, classes, logits, labels, smoothing, weight, dlogits, store) -> loss_value
/// distillation_cross_entropy(device, g, student, teacher, labels, weight, dstudent, store) -> loss_value
/// contrastive_cross_entropy(device, g, h, weight, dh, store) -> loss_value
/// count_correct(device, rows, classes, logits, labels, top) -> rows whose label is among the `top` largest logits
///     (a tie counts for the label with the smaller index)
/// all_finite(device, n, x) -> bool
template <class D>
concept provides_losses = requires(D& device, float const* z, std::int32_t const* labels, float* dz, store mode,
                                   distillation_geometry const& d, contrastive_geometry const& c) {
    { softmax_cross_entropy(device, 1, 1, z, labels, 0.0F, 1.0F, dz, mode) };
    { distillation_cross_entropy(device, d, z, z, labels, 1.0F, dz, mode) };
    { contrastive_cross_entropy(device, c, z, 1.0F, dz, mode) };
    { count_correct(device, 1, 1, z, labels, 1) };
    { all_finite(device, std::int64_t{1}, z) };
};

}  // namespace tempera
