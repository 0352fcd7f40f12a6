// SPDX-License-Identifier: Apache-2.0
#pragma once
// Layers without parameters that keep positions: relu, sigmoid, l2_normalize, stop_gradient, dropout,
// drop_block, slice, concat.

#include <tempera/graph/value.hpp>

namespace tempera {

template <op_kind Kind>
struct pointwise_layer {
    constexpr value operator()(value x) const {
        op o{};
        o.kind = Kind;
        return x.emit(o, x.shape());
    }
};

/// max(x, 0)
inline constexpr pointwise_layer<op_kind::relu> relu{};
/// 1 / (1 + exp(-x))
inline constexpr pointwise_layer<op_kind::sigmoid> sigmoid{};
/// x / max(|x|, 1e-6) along the channels of every position
inline constexpr pointwise_layer<op_kind::l2_normalize> l2_normalize{};
/// The identity; no gradient passes.
inline constexpr pointwise_layer<op_kind::stop_gradient> stop_gradient{};

namespace detail {
/// `number` is what the user gave, `nearest` the nearest legal one.
constexpr value random_mask(value x, op_kind kind, float number, bool legal, float nearest, int block) {
    x.graph().require(legal, fault::rate_out_of_range, kind, number, nearest);
    op o{};
    o.kind = kind;
    o.number = number;
    o.kernel = x.graph().positive(block, kind);
    return x.emit(o, x.shape());
}
}  // namespace detail

/// Zeroes elements with probability `rate` and scales the others by 1 / (1 - rate); identity when predicting.
struct dropout {
    float rate = 0.5F;
    constexpr value operator()(value x) const {
        return detail::random_mask(x, op_kind::dropout, rate, rate >= 0 && rate < 1, rate < 0 ? 0 : 0.99F, 1);
    }
};

/// Zeroes square blocks of the map, in each channel others (DropBlock, Ghiasi et al. 2018); identity when predicting.
struct drop_block {
    float keep = 0.9F;
    int size = 7;
    constexpr value operator()(value x) const {
        bool const legal = keep > 0 && keep <= 1;
        return keep == 1 ? x : detail::random_mask(x, op_kind::drop_block, keep, legal, keep > 1 ? 1 : 0.01F, size);
    }
};

/// Channels begin .. begin + count - 1.
struct slice {
    int begin = 0;
    int count = 0;
    constexpr value operator()(value x) const {
        shape const in = x.shape();
        op o{};
        o.kind = op_kind::slice;
        o.begin = begin;
        bool const inside = begin >= 0 && count >= 1 && begin <= in.channels && count <= in.channels - begin;
        if (!inside) {
            bool const countable = begin < (1 << 30) && count < (1 << 30);
            x.graph().fail_number(fault::channels_out_of_range, o.kind, countable ? begin + count : 1 << 30, in.channels);
            o.begin = 0;
        }
        return x.emit(o, shape{in.height, in.width, inside ? count : in.channels});
    }
};

/// Side by side in the channels.
constexpr value concat(value a, value b) {
    shape const l = a.shape(), r = b.shape();
    op o{};
    o.kind = op_kind::concat;
    o.in1 = b.id();
    if (l.height != r.height || l.width != r.width)
        a.graph().fail(fault::operands_differ, o.kind, r, shape{l.height, l.width, r.channels});
    return a.emit(o, shape{l.height, l.width, l.channels + r.channels});
}
template <class... Values>
constexpr value concat(value a, value b, value c, Values... rest) {
    return concat(concat(a, b), c, rest...);
}

}  // namespace tempera
