// SPDX-License-Identifier: Apache-2.0
#pragma once
// op_call: what a user's own op sees when it runs, on any device. Plain pointers and sizes.

#include <cstdint>

#include <tempera/core/device_kind.hpp>
#include <tempera/core/precision.hpp>
#include <tempera/core/shape.hpp>
#include <tempera/core/view.hpp>

namespace tempera {

inline constexpr int max_custom_inputs = 2;
inline constexpr int max_custom_tensors = 4;

/// Arguments of one forward or backward run. Maps are stored in call.precision; vectors ({1,1,c}),
/// parameters and saved values are float32.
///
/// forward writes output(); backward reads output_gradient(), writes input_gradient(i) for every
/// input that wants one, and adds to parameter_gradient(i).
struct op_call {
    void const* state = nullptr;  ///< the op's bytes
    int batch = 0;
    tempera::precision precision = tempera::precision::float32;
    device_kind device = device_kind::cpu;
    void* context = nullptr;  ///< cpu: the cpu object; gpu: its cudaStream_t

    shape input_shape[max_custom_inputs]{};
    shape output_shape{};
    void const* input_data[max_custom_inputs]{};
    void* output_data = nullptr;
    void const* output_gradient_data = nullptr;
    void* input_gradient_data[max_custom_inputs]{};  ///< null: not wanted
    float const* parameter_data[max_custom_tensors]{};
    float* parameter_gradient_data[max_custom_tensors]{};
    float* saved_data = nullptr;  ///< kept from forward to backward

    /// The op itself, as it was when the network was described.
    template <class Op>
    Op const& op() const {
        return *static_cast<Op const*>(state);
    }
    template <class T>
    view<T const> input(int i = 0) const {
        return {static_cast<T const*>(input_data[i]), dims(input_shape[i])};
    }
    template <class T>
    view<T> output() const {
        return {static_cast<T*>(output_data), dims(output_shape)};
    }
    template <class T>
    view<T const> output_gradient() const {
        return {static_cast<T const*>(output_gradient_data), dims(output_shape)};
    }
    template <class T>
    view<T> input_gradient(int i = 0) const {
        return {static_cast<T*>(input_gradient_data[i]), dims(input_shape[i])};
    }
    float const* parameter(int i = 0) const { return parameter_data[i]; }
    float* parameter_gradient(int i = 0) const { return parameter_gradient_data[i]; }
    float* saved() const { return saved_data; }

private:
    constexpr extents dims(shape s) const { return {batch, s.height, s.width, s.channels}; }
};

/// What the plan keeps of an op type: the same in every translation unit.
struct op_table {
    void (*forward)(op_call&) = nullptr;
    void (*backward)(op_call&) = nullptr;
    device_set devices = device_set::none;
};

}  // namespace tempera
