// SPDX-License-Identifier: Apache-2.0
#pragma once
// conv: two-dimensional convolution with the padding of SimCLRv2's code: output ceil(size / stride),
// (kernel - 1) / 2 zeros before, the rest of kernel - 1 after.

#include <tempera/graph/value.hpp>

namespace tempera {

/// {h, w, c} to {ceil(h / stride), ceil(w / stride), filters}. Weights {filters, kernel, kernel, c}, LeCun-normal at the start.
struct conv {
    int filters = 0;    ///< output channels: to be given
    int kernel = 3;     ///< height and width of the window
    int stride = 1;
    bool bias = false;  ///< starts at 0; of no use before a batch norm

    constexpr value operator()(value x) const {
        trace& t = x.graph();
        shape const in = x.shape();
        op o{};
        o.kind = op_kind::conv;
        o.kernel = t.positive(kernel, o.kind);
        o.stride = t.positive(stride, o.kind);
        o.pad_top = o.pad_left = (o.kernel - 1) / 2;
        o.flag = bias;
        int const smallest = in.height < in.width ? in.height : in.width;
        o.scope = t.open_layer(o.kind);
        if (o.pad_top > smallest) {
            t.here = o.scope;
            t.fail(fault::kernel_larger_than_input, o.kind, in, shape{o.pad_top, o.pad_top, in.channels});
            t.here = t.scopes[o.scope].parent;
        }
        shape const out{(in.height - 1) / o.stride + 1, (in.width - 1) / o.stride + 1, t.positive(filters, o.kind)};

        tensor weight{};
        weight.role = role::weight;
        weight.start = initializer::lecun_normal;
        weight.number = static_cast<float>(o.kernel * o.kernel * in.channels);
        weight.dims = std::array<int, 4>{out.channels, o.kernel, o.kernel, in.channels};
        weight.rank = 4;
        o.multiply_adds = weight.count() * out.positions();
        t.declare(o, weight);
        if (bias) {
            tensor b{};
            b.role = role::bias;
            b.dims = std::array<int, 4>{out.channels, 1, 1, 1};
            t.declare(o, b);
        }
        return x.emit(o, out);
    }
};

}  // namespace tempera
