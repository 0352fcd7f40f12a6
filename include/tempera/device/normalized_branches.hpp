// SPDX-License-Identifier: Apache-2.0
#pragma once
// Catalogue: the branches of a selective kernel whose batch norm is not a pass of its own. Who reads them normalizes the
// map x that the convolution left, [x0 | x1] side by side in its 2 filters channels:
//
//   z = max(0, gain (x - mean) + offset)   gain = scale / sqrt(variance + epsilon)   m = 1 where z > 0, else 0
//
// Forward, over the positions of each sample (a0, a1: device/selective.hpp):
//   count = sum m    deviation = sum m (x - mean)
//   average = sum over both branches (gain deviation + offset count) / positions
//   y = a0 z0 + a1 z1
//
// Backward, with dy of y and ds = gradient of the average / positions:
//   slope = sum m dy    product = sum m dy (x - mean)
//   dl0 = a0 a1 (gain0 product0 + offset0 slope0 - gain1 product1 - offset1 slope1)    dl1 = -dl0
//   g = m (a dy + ds)   the gradient of z before the ReLU, a = a0 or a1
//   sum g = sum over samples (a slope + ds count)    sum g (x - mean) = sum over samples (a product + ds deviation)
//   dx, dscale, doffset of g as in device/batch_norm.hpp
//
// So four sums for each sample and channel are all that is kept, z is never written, and x is read twice in each direction.

#include <cstdint>

#include <tempera/device/batch_norm.hpp>
#include <tempera/device/selective.hpp>

namespace tempera {

/// The map {batch, positions, 2 filters} and what normalizes it.
template <class T>
struct normalized_branches {
    T const* x = nullptr;
    batch_norm_state norm{};
    float epsilon = 1e-5F;
};

/// sums: float32 {4, batch, 2 filters}, in turn count, deviation, slope and product.
/// normalized_average(device, g, branches, sums, average): writes count and deviation; average is {batch, filters}.
/// normalized_merge(device, g, branches, logits, y)
/// normalized_merge_backward(device, g, branches, logits, dy, sums, dlogits, store): writes slope and product.
/// normalized_branches_backward(device, g, branches, batch_statistics, logits, dy, daverage, sums, gradients): reads all
///     four sums; of the gradients dx, dscale and doffset, by moving statistics where batch_statistics is not set.
template <class D, class T>
concept provides_normalized_branches = requires(D& device, selective_geometry const& g,
                                                normalized_branches<T> const& from, T const* dy, T* y, float const* in,
                                                float* out, batch_norm_gradients<T> const& gradients) {
    normalized_average(device, g, from, out, out);
    normalized_merge(device, g, from, in, y);
    normalized_merge_backward(device, g, from, in, dy, out, out, store::write);
    normalized_branches_backward(device, g, from, true, in, dy, in, in, gradients);
};

}  // namespace tempera
