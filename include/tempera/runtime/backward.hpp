// SPDX-License-Identifier: Apache-2.0
#pragma once
// One backward step: the catalogue calls that turn the gradient of an op's result into those of its inputs and
// parameters.

#include <tempera/runtime/forward.hpp>

namespace tempera::detail {

constexpr store store_of(bool accumulate) { return accumulate ? store::accumulate : store::write; }

template <class E, class Device>
void backward_batch_norm(Device& device, binding const& b, schedule_step const& s, op const& o, E const* dy) {
    bool const trained = s.trained;
    batch_norm_gradients<E> const to{.dx = b.at<E>(s.d_in0),
                                     .dx_store = store_of(s.accumulate0),
                                     .dresidual = b.at<E>(s.d_in1),
                                     .dresidual_store = store_of(s.accumulate1),
                                     .dscale = trained && o.flag ? b.gradient_of(o, 0) : nullptr,
                                     .doffset = trained && o.flag2 ? b.gradient_of(o, o.flag ? 1 : 0) : nullptr,
                                     .parameter_store = store_of(b.accumulate),
                                     .by_x = s.relu && !s.residual};
    if (s.d_average != no_slot) {  // its readers have applied it
        normalized_branches_backward(device, selective_of(b.plan, o, b.batch), branches_of<E>(b, o, s),
                                     s.mode != bn::moving, static_cast<float const*>(b.at<float>(s.in1)), dy,
                                     static_cast<float const*>(b.at<float>(s.d_average)),
                                     static_cast<float const*>(b.at<float>(s.sums)), to);
        return;
    }
    batch_norm_backward(device, batch_norm_of(b.plan, o, b.batch), state_of(b, o, s), s.mode != bn::moving,
                        static_cast<E const*>(b.at<E>(s.in0)), static_cast<E const*>(b.at<E>(s.out)), dy, to);
}

template <class E, class Device>
void backward_convolution(Device& device, binding const& b, schedule_step const& s, op const& o, E const* dy) {
    convolution_geometry const g = convolution_of(b.plan, o, b.batch);
    if (s.trained)
        convolution_backward_weights(device, g, static_cast<E const*>(b.at<E>(s.in0)), dy, b.gradient_of(o, 0),
                                     o.flag ? b.gradient_of(o, 1) : nullptr, store_of(b.accumulate));
    if (s.d_in0 != no_slot)
        convolution_backward_data(device, g, dy, b.tensor_of(o, 0), b.at<E>(s.d_in0), store_of(s.accumulate0));
}

/// Of the average: the same for every position of both branches. Where they are normalized, their batch_norm reads it.
template <class E, class Device>
void backward_selective_average(Device& device, binding const& b, schedule_step const& s, op const& o, E* dx) {
    selective_geometry const g = selective_of(b.plan, o, b.batch);
    int const f = g.filters;
    float const* const dy = b.at<float>(s.d_out);
    float* const both = b.at<float>(s.sums);
    copy_channels(device, channel_copy{g.batch, f, 0, 2 * f, 0, f}, dy, both, store::write);
    copy_channels(device, channel_copy{g.batch, f, 0, 2 * f, f, f}, dy, both, store::write);
    global_average_pool_backward(device, g.batch, g.positions, 2 * f, static_cast<float const*>(both), dx,
                                 store_of(s.accumulate0));
}

template <class E, class Device>
void backward_selective_merge(Device& device, binding const& b, schedule_step const& s, op const& o, E const* dy) {
    selective_geometry const g = selective_of(b.plan, o, b.batch);
    float const* const logits = b.at<float>(s.in1);
    float* const dlogits = b.at<float>(s.d_in1);
    if (s.norm == no_value)
        selective_merge_backward(device, g, static_cast<E const*>(b.at<E>(s.in0)), logits, dy, b.at<E>(s.d_in0),
                                 store_of(s.accumulate0), dlogits, store_of(s.accumulate1));
    else
        normalized_merge_backward(device, g, branches_of<E>(b, b.plan.ops[s.norm], s), logits, dy, b.at<float>(s.sums),
                                  dlogits, store_of(s.accumulate1));
}

template <class E, class Device>
void backward_elements(Device& device, binding const& b, schedule_step const& s, op const& o) {
    shape const in = b.plan.values[o.in0];
    shape const out = b.plan.values[o.out];
    std::int64_t const n = in.size() * b.batch;
    std::int64_t const rows = in.positions() * b.batch;
    E const* x = b.at<E>(s.in0);
    E const* y = b.at<E>(s.out);
    E const* dy = b.at<E>(s.d_out);
    if (s.staging != no_slot) {
        convert(device, out.size() * b.batch, static_cast<float const*>(b.at<float>(s.d_out)), b.at<E>(s.staging));
        dy = b.at<E>(s.staging);
    }
    E* const dx = b.at<E>(s.d_in0);
    store const mode = store_of(s.accumulate0);
    store const mode1 = store_of(s.accumulate1);
    switch (o.kind) {
        case op_kind::conv:
        case op_kind::dense: backward_convolution<E>(device, b, s, o, dy); break;
        case op_kind::batch_norm: backward_batch_norm<E>(device, b, s, o, dy); break;
        case op_kind::relu: relu_backward(device, n, y, dy, dx, mode); break;
        case op_kind::sigmoid: sigmoid_backward(device, n, y, dy, dx, mode); break;
        case op_kind::multiply:
            if (dx != nullptr) multiply_backward(device, n, static_cast<E const*>(b.at<E>(s.in1)), dy, dx, mode);
            if (s.d_in1 != no_slot) multiply_backward(device, n, x, dy, b.at<E>(s.d_in1), mode1);
            break;
        case op_kind::gate:
            gate_backward(device, gate_of(b.plan, o, b.batch), x, static_cast<float const*>(b.at<float>(s.in1)), dy, dx,
                          mode, b.at<float>(s.d_in1), mode1);
            break;
        case op_kind::max_pool:
            max_pool_backward(device, pool_of(b.plan, o, b.batch),
                              static_cast<std::uint8_t const*>(b.at<std::uint8_t>(s.saved)), dy, dx, mode);
            break;
        case op_kind::average_pool: average_pool_backward(device, pool_of(b.plan, o, b.batch), dy, dx, mode); break;
        case op_kind::global_average_pool:
            global_average_pool_backward(device, b.batch, in.positions(), in.channels,
                                         static_cast<float const*>(b.at<float>(s.d_out)), dx, mode);
            break;
        case op_kind::concat: {
            int const second = out.channels - in.channels;
            if (dx != nullptr)
                copy_channels(device, channel_copy{rows, out.channels, 0, in.channels, 0, in.channels}, dy, dx, mode);
            if (s.d_in1 != no_slot)
                copy_channels(device, channel_copy{rows, out.channels, in.channels, second, 0, second}, dy,
                              b.at<E>(s.d_in1), mode1);
            break;
        }
        case op_kind::slice:
            if (!s.accumulate0 && out.channels < in.channels) fill(device, n, 0.0F, dx);
            copy_channels(device, channel_copy{rows, out.channels, 0, in.channels, o.begin, out.channels}, dy, dx,
                          mode);
            break;
        case op_kind::dropout: apply_dropout(device, n, o.number, random_of(b, o), dy, dx, mode); break;
        case op_kind::drop_block:
            mask_elements(device, n, static_cast<float const*>(b.at<float>(s.saved)), dy, dx, mode);
            break;
        case op_kind::l2_normalize:
            l2_normalize_backward(device, rows, in.channels, y, static_cast<float const*>(b.at<float>(s.saved)), dy, dx,
                                  mode);
            break;
        case op_kind::selective_average: backward_selective_average<E>(device, b, s, o, dx); break;
        case op_kind::selective_merge: backward_selective_merge<E>(device, b, s, o, dy); break;
        default: break;  // input, stop_gradient: no gradient; add: copy steps; custom: backward_step
    }
}

/// A custom op writes its input gradients; the schedule gives it slots of its own where the value has one already.
template <class T, precision P, class Device>
void backward_custom(Device& device, binding const& b, schedule_step const& s, op const& o) {
    op_call c = call_of(b, o, s, P, Device::kind, context_of(device));
    c.output_gradient_data = b.at<char>(s.d_out);
    c.input_gradient_data[0] = b.at<char>(s.d_in0);
    c.input_gradient_data[1] = b.at<char>(s.d_in1);
    if (!b.accumulate)
        for (int k = 0; k < o.tensors; ++k)
            fill(device, b.plan.tensors[o.tensor + k].count(), 0.0F, b.gradient_of(o, k));
    b.plan.customs[o.custom].table.backward(c);
}

template <class T, precision P, class Device>
void backward_step(Device& device, binding const& b, schedule_step const& s) {
    if (s.kind == step_kind::recompute) return forward_step<T, P>(device, b, s);
    if (s.kind == step_kind::copy || s.kind == step_kind::narrow) {
        std::int64_t const n = b.plan.values[s.op].size() * b.batch;
        if (s.kind == step_kind::narrow) {
            T* const narrowed = b.at<T>(s.accumulate0 ? s.staging : s.d_in0);
            convert(device, n, static_cast<float const*>(b.at<float>(s.d_out)), narrowed);
            if (s.accumulate0) copy(device, n, static_cast<T const*>(narrowed), b.at<T>(s.d_in0), store::accumulate);
            return;
        }
        with_element<T>(b.plan.values[s.op], [&](auto* element) {
            using E = std::remove_pointer_t<decltype(element)>;
            copy(device, n, static_cast<E const*>(b.at<E>(s.d_out)), b.at<E>(s.d_in0), store_of(s.accumulate0));
        });
        return;
    }
    op const& o = b.plan.ops[s.op];
    if (o.kind == op_kind::custom) return backward_custom<T, P>(device, b, s, o);
    with_element<T>(b.plan.values[o.in0], [&](auto* element) {
        backward_elements<std::remove_pointer_t<decltype(element)>>(device, b, s, o);
    });
}

}  // namespace tempera::detail
