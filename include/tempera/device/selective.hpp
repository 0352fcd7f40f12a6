// SPDX-License-Identifier: Apache-2.0
#pragma once
// Catalogue: the merge of selective kernels (SimCLRv2 section 2; Li et al. 2019). Two branches lie side
// by side in the channels of x = [x0 | x1]; a softmax over the two logits of each channel weighs them.
//
//   a0 = 1 / (1 + exp(l1 - l0))    y = a0 x0 + (1 - a0) x1

#include <cstdint>

#include <tempera/device/store.hpp>

namespace tempera {

struct selective_geometry {
    int batch = 0;
    std::int64_t positions = 1;
    int filters = 1;  ///< channels of y; x and the logits have twice as many
};

/// selective_merge_forward(device, g, x, logits, y): logits float32 {batch, 2 filters}.
/// selective_merge_backward(device, g, x, logits, dy, dx, dx_store, dlogits, dlogits_store)
template <class D, class T>
concept provides_selective = requires(D& device, selective_geometry const& g, T const* x, T* y, float const* logits,
                                      float* dlogits, store mode) {
    selective_merge_forward(device, g, x, logits, y);
    selective_merge_backward(device, g, x, logits, x, y, mode, dlogits, mode);
};

}  // namespace tempera
