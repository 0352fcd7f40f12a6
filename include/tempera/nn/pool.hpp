// SPDX-License-Identifier: Apache-2.0
#pragma once
// Pooling: max_pool and average_pool over windows with TensorFlow's SAME alignment (output ceil(size / stride),
// the odd zero of the padding at the end), and global_average_pool over the whole map.

#include <tempera/graph/value.hpp>

namespace tempera {

namespace detail {

constexpr value pool(value x, op_kind kind, int kernel, int stride, bool count_padding) {
    trace& t = x.graph();
    shape const in = x.shape();
    op o{};
    o.kind = kind;
    o.kernel = t.positive(kernel, kind);
    o.stride = t.positive(stride, kind);
    o.flag = count_padding;
    int const smallest = in.height < in.width ? in.height : in.width;
    if ((o.kernel - 1) / 2 > smallest)
        t.fail(fault::kernel_larger_than_input, kind, in, shape{(o.kernel - 1) / 2, (o.kernel - 1) / 2, in.channels});
    if (kind == op_kind::max_pool && o.kernel > 15) t.fail_number(fault::window_too_large, kind, o.kernel, 15);
    shape const out{(in.height - 1) / o.stride + 1, (in.width - 1) / o.stride + 1, in.channels};
    auto before = [&o](int size, int result) {
        int const total = (result - 1) * o.stride + o.kernel - size;
        return total > 0 ? total / 2 : 0;
    };
    // the reference pads ResNet-D's shortcut explicitly, zeros at the end only
    o.pad_top = count_padding ? 0 : before(in.height, out.height);
    o.pad_left = count_padding ? 0 : before(in.width, out.width);
    return x.emit(o, out);
}

}  // namespace detail

/// The largest value of each window; a kernel of 15 at most.
struct max_pool {
    int kernel = 2;
    int stride = 2;
    constexpr value operator()(value x) const { return detail::pool(x, op_kind::max_pool, kernel, stride, false); }
};

/// The average over the positions inside the map.
struct average_pool {
    int kernel = 2;
    int stride = 2;
    bool count_padding = false;  ///< pad with zeros at the end and divide by kernel^2 everywhere
    constexpr value operator()(value x) const {
        return detail::pool(x, op_kind::average_pool, kernel, stride, count_padding);
    }
};

struct global_average_pool_layer {
    constexpr value operator()(value x) const {
        op o{};
        o.kind = op_kind::global_average_pool;
        return x.emit(o, shape{1, 1, x.shape().channels});
    }
};
/// Mean over height and width: {h,w,c} to {1,1,c}.
inline constexpr global_average_pool_layer global_average_pool{};

}  // namespace tempera
