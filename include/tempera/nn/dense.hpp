// SPDX-License-Identifier: Apache-2.0
#pragma once
// dense: y = W x + b on vectors {1,1,c}. A map is a fault: pool it first.

#include <tempera/graph/value.hpp>

namespace tempera {

/// {1, 1, c} to {1, 1, units}. Weights {units, c}, normal with deviation 0.01 at the start.
struct dense {
    int units = 0;            ///< outputs: to be given
    bool bias = true;         ///< starts at 0
    bool classifies = false;  ///< the supervised classifier: LARS decays its kernel, but does not adapt its rate

    constexpr value operator()(value x) const {
        trace& t = x.graph();
        shape const in = x.shape();
        op o{};
        o.kind = op_kind::dense;
        o.flag = bias;
        o.scope = t.open_layer(o.kind);
        if (!in.is_vector()) {
            t.here = o.scope;
            t.fail(fault::expects_a_vector, o.kind, in, shape{1, 1, in.channels});
            t.here = t.scopes[o.scope].parent;
        }
        int const out = t.positive(units, o.kind);

        tensor weight{};
        weight.role = classifies ? role::classifier_weight : role::weight;
        weight.start = initializer::normal;
        weight.number = 0.01F;
        weight.dims = std::array<int, 4>{out, 1, 1, in.channels};
        weight.rank = 2;
        o.multiply_adds = weight.count();
        t.declare(o, weight);
        if (bias) {
            tensor b{};
            b.role = classifies ? role::classifier_bias : role::bias;
            b.dims = std::array<int, 4>{out, 1, 1, 1};
            t.declare(o, b);
        }
        return x.emit(o, shape{1, 1, out});
    }
};

}  // namespace tempera
