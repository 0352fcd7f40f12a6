// SPDX-License-Identifier: Apache-2.0
#pragma once
// One forward step: the catalogue call of an op. Maps are stored as T, vectors ({1,1,c}) as float32.

#include <tempera/device/device.hpp>
#include <tempera/runtime/binding.hpp>
#include <tempera/runtime/geometry.hpp>

namespace tempera::detail {

/// Calls f with a null pointer of the element type of a value.
template <class T, class F>
void with_element(shape s, F const& f) {
    if (s.is_vector()) f(static_cast<float*>(nullptr));
    else f(static_cast<T*>(nullptr));
}

inline random_stream random_of(binding const& b, op const& o) {
    return {philox_key{static_cast<std::uint32_t>(b.seed), static_cast<std::uint32_t>(b.seed >> 32) ^ b.run},
            static_cast<std::uint64_t>(o.out) << 40};
}

/// The statistics that a batch_norm step uses: the batch's, kept in `saved`, or the moving ones.
inline batch_norm_state state_of(binding const& b, op const& o, schedule_step const& s) {
    int const moving = first_statistic(o);
    float const* const kept = b.at<float>(s.saved);
    int const channels = b.plan.values[o.in0].channels;
    return {.mean = s.mode == bn::moving ? b.tensor_of(o, moving) : kept,
            .variance = s.mode == bn::moving ? b.tensor_of(o, moving + 1) : kept + channels,
            .scale = o.flag ? b.tensor_of(o, 0) : nullptr,
            .offset = o.flag2 ? b.tensor_of(o, o.flag ? 1 : 0) : nullptr};
}

/// Where the batch statistics of a batch_norm go that a step keeps in `saved`: its own, or the one it takes them for.
inline batch_norm_statistics_target statistics_target(binding const& b, op const& o, schedule_step const& s) {
    batch_norm_geometry const g = batch_norm_of(b.plan, o, b.batch);
    std::int64_t const rows = g.rows * b.processes;
    require_rows(b.plan, o, rows);
    float* const kept = b.at<float>(s.saved);
    batch_norm_statistics_target target{.mean = kept, .variance = kept + g.channels};
    if (s.mode != bn::batch || b.keeps_statistics) return target;
    int const first = first_statistic(o);
    target.moving_mean = b.tensor_of(o, first);
    target.moving_variance = b.tensor_of(o, first + 1);
    target.decay = o.number2;
    if (b.unbiased_variance) target.factor = static_cast<float>(rows) / static_cast<float>(rows - 1);
    return target;
}

template <class E, class Device>
void forward_batch_norm(Device& device, binding const& b, schedule_step const& s, op const& o) {
    batch_norm_geometry const g = batch_norm_of(b.plan, o, b.batch);
    E const* const x = b.at<E>(s.in0);
    if (s.mode != bn::moving && s.kind == step_kind::forward && !s.measured) {
        batch_norm_statistics_target const to = statistics_target(b, o, s);
        if constexpr (moves_batch_norm_statistics<Device, E>) {
            batch_norm_statistics(device, g, x, to);
        } else {
            batch_norm_statistics(device, g, x, to.mean, to.variance);
            if (to.moving_mean != nullptr)
                batch_norm_moving(device, g.channels, to.decay, to.factor, to.mean, to.variance, to.moving_mean,
                                  to.moving_variance);
        }
    }
    if (s.out != no_slot) batch_norm_apply(device, g, state_of(b, o, s), x, b.at<E>(s.in1), s.relu, b.at<E>(s.out));
}

/// What a step with branches reads: the map before the batch_norm `norm`, and how that normalizes it.
template <class E>
normalized_branches<E> branches_of(binding const& b, op const& norm, schedule_step const& s) {
    return {.x = b.at<E>(s.in0), .norm = state_of(b, norm, s), .epsilon = norm.number};
}

/// The average of both branches: that of their batch_norm, or of what lies there, channel by channel and then added up.
template <class E, class Device>
void forward_selective_average(Device& device, binding const& b, schedule_step const& s, op const& o, E const* x) {
    selective_geometry const g = selective_of(b.plan, o, b.batch);
    float* const y = b.at<float>(s.out);
    float* const sums = b.at<float>(s.sums);
    if (s.norm != no_value) {
        normalized_average(device, g, branches_of<E>(b, b.plan.ops[s.norm], s), sums, y);
        return;
    }
    int const f = g.filters;
    global_average_pool_forward(device, g.batch, g.positions, 2 * f, x, sums);
    copy_channels(device, channel_copy{g.batch, 2 * f, 0, f, 0, f}, static_cast<float const*>(sums), y, store::write);
    copy_channels(device, channel_copy{g.batch, 2 * f, f, f, 0, f}, static_cast<float const*>(sums), y,
                  store::accumulate);
}

template <class E, class Device>
void forward_selective_merge(Device& device, binding const& b, schedule_step const& s, op const& o, E const* x, E* y) {
    selective_geometry const g = selective_of(b.plan, o, b.batch);
    float const* const logits = b.at<float>(s.in1);
    if (s.norm == no_value) selective_merge_forward(device, g, x, logits, y);
    else normalized_merge(device, g, branches_of<E>(b, b.plan.ops[s.norm], s), logits, y);
}

template <class E, class Device>
void forward_convolution(Device& device, binding const& b, schedule_step const& s, op const& o, E const* x, E* y) {
    convolution_geometry const g = convolution_of(b.plan, o, b.batch);
    float const* const w = b.tensor_of(o, 0);
    float const* const bias = o.flag ? b.tensor_of(o, 1) : nullptr;
    float const* const packed = b.packed != nullptr ? b.packed[s.op] : nullptr;
    if constexpr (takes_convolution_statistics<Device, E>) {
        if (s.saved != no_slot) {
            convolution_statistics(device, g, x, w, bias, y, statistics_target(b, b.plan.ops[s.norm], s));
            return;
        }
    }
    convolution_forward(device, g, x, w, packed, convolution_epilogue<E>{bias, b.at<E>(s.in1), s.relu}, y);
}

inline op_call call_of(binding const& b, op const& o, schedule_step const& s, precision p, device_kind kind,
                       void* context) {
    op_call c;
    custom_record const& record = b.plan.customs[o.custom];
    c.state = record.state.data();
    c.batch = b.batch;
    c.precision = p;
    c.device = kind;
    c.context = context;
    c.input_shape[0] = b.plan.values[o.in0];
    if (o.in1 >= 0) c.input_shape[1] = b.plan.values[o.in1];
    c.output_shape = b.plan.values[o.out];
    c.input_data[0] = b.at<char>(s.in0);
    c.input_data[1] = b.at<char>(s.in1);
    c.output_data = b.at<char>(s.out);
    for (int k = 0; k < o.tensors; ++k) {
        c.parameter_data[k] = b.tensor_of(o, k);
        c.parameter_gradient_data[k] = b.gradients != nullptr ? b.gradient_of(o, k) : nullptr;
    }
    c.saved_data = b.at<float>(s.saved);
    return c;
}

/// What custom ops get as op_call::context: the cpu object, or a stream.
template <class Device>
void* context_of(Device& device) {
    if constexpr (requires { device.custom_context(); }) return device.custom_context();
    else return &device;
}

/// An op on elements of type E (its first input's). A result at map precision that is a vector goes through `staging`.
template <class E, class Device>
void forward_elements(Device& device, binding const& b, schedule_step const& s, op const& o) {
    E const* const x = b.at<E>(s.in0);
    E* const y = b.at<E>(s.staging != no_slot ? s.staging : s.out);
    shape const in = b.plan.values[o.in0];
    std::int64_t const n = in.size() * b.batch;
    switch (o.kind) {
        case op_kind::conv:
        case op_kind::dense: forward_convolution(device, b, s, o, x, y); break;
        case op_kind::batch_norm: forward_batch_norm<E>(device, b, s, o); break;
        case op_kind::relu: relu_forward(device, n, x, y); break;
        case op_kind::sigmoid: sigmoid_forward(device, n, x, y); break;
        case op_kind::add: add_forward(device, n, x, b.at<E>(s.in1), y); break;
        case op_kind::multiply: multiply_forward(device, n, x, b.at<E>(s.in1), y); break;
        case op_kind::gate: gate_forward(device, gate_of(b.plan, o, b.batch), x, b.at<float>(s.in1), y); break;
        case op_kind::max_pool:
            max_pool_forward(device, pool_of(b.plan, o, b.batch), x, y, b.at<std::uint8_t>(s.saved));
            break;
        case op_kind::average_pool: average_pool_forward(device, pool_of(b.plan, o, b.batch), x, y); break;
        case op_kind::global_average_pool:
            global_average_pool_forward(device, b.batch, in.positions(), in.channels, x, b.at<float>(s.out));
            break;
        case op_kind::concat: {
            shape const second = b.plan.values[o.in1];
            int const all = in.channels + second.channels;
            std::int64_t const rows = in.positions() * b.batch;
            copy_channels(device, channel_copy{rows, in.channels, 0, all, 0, in.channels}, x, y, store::write);
            copy_channels(device, channel_copy{rows, second.channels, 0, all, in.channels, second.channels},
                          static_cast<E const*>(b.at<E>(s.in1)), y, store::write);
            break;
        }
        case op_kind::slice: {
            int const count = b.plan.values[o.out].channels;
            copy_channels(device, channel_copy{in.positions() * b.batch, in.channels, o.begin, count, 0, count}, x, y,
                          store::write);
            break;
        }
        case op_kind::dropout:
            if (b.training) apply_dropout(device, n, o.number, random_of(b, o), x, y, store::write);
            else copy(device, n, x, y, store::write);
            break;
        case op_kind::drop_block:
            if (s.saved == no_slot) {
                copy(device, n, x, y, store::write);
                break;
            }
            drop_block_mask(device, drop_block_of(b.plan, o, b.batch), random_of(b, o), b.at<float>(s.saved));
            mask_elements(device, n, static_cast<float const*>(b.at<float>(s.saved)), x, y, store::write);
            break;
        case op_kind::l2_normalize:
            l2_normalize_forward(device, in.positions() * b.batch, in.channels, x, y, b.at<float>(s.saved));
            break;
        case op_kind::selective_average: forward_selective_average(device, b, s, o, x); break;
        case op_kind::selective_merge: forward_selective_merge(device, b, s, o, x, y); break;
        default: break;  // input, stop_gradient: no step; custom: forward_step
    }
    if (s.staging != no_slot)
        convert(device, b.plan.values[o.out].size() * b.batch, static_cast<E const*>(y), b.at<float>(s.out));
}

template <class T, precision P, class Device>
void forward_step(Device& device, binding const& b, schedule_step const& s) {
    op const& o = b.plan.ops[s.op];
    if (s.kind == step_kind::widen) {
        convert(device, b.plan.values[s.op].size() * b.batch, static_cast<T const*>(b.at<T>(s.in0)),
                b.at<float>(s.out));
        return;
    }
    if (o.kind == op_kind::custom) {
        op_call c = call_of(b, o, s, P, Device::kind, context_of(device));
        b.plan.customs[o.custom].table.forward(c);
        return;
    }
    with_element<T>(b.plan.values[o.in0], [&](auto* element) {
        forward_elements<std::remove_pointer_t<decltype(element)>>(device, b, s, o);
    });
}

}  // namespace tempera::detail
