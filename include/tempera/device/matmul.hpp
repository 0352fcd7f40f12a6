// SPDX-License-Identifier: Apache-2.0
#pragma once
// Catalogue: float32 matrix product, row-major, dense.
//
//   c[m,n] (+)= sum_k op(a)[m,k] op(b)[k,n]      op(x) = x or its transpose

#include <tempera/device/store.hpp>

namespace tempera {

struct matmul_geometry {
    int m = 0, n = 0, k = 0;
    bool transpose_a = false;  ///< a is stored {k, m}
    bool transpose_b = false;  ///< b is stored {n, k}
};

/// matmul(device, g, a, b, c, store)
template <class D>
concept provides_matmul = requires(D& device, matmul_geometry const& g, float const* a, float* c, store mode) {
    matmul(device, g, a, a, c, mode);
};

}  // namespace tempera
