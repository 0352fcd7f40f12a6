// SPDX-License-Identifier: Apache-2.0
#pragma once
// op_call: what a user's own op sees when it runs, on any device. Plain pointers and sizes.

#include <cstdint>
#include <type_traits>

#include <tempera/core/device_kind.hpp>
#include <tempera/core/error.hpp>
#include <tempera/core/precision.hpp>
#include <tempera/core/shape.hpp>
#include <tempera/core/view.hpp>

namespace tempera {

inline constexpr int max_custom_inputs = 2;
inline constexpr int max_custom_tensors = 4;

/// Arguments of one forward or backward run. Maps are stored in call.precision; vectors ({1,1,c}),
/// parameters and saved values are float32. Asking for a view of another element type throws error.
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
        return {static_cast<T const*>(as<T>(input_data[i], input_shape[i])), dims(input_shape[i])};
    }
    template <class T>
    view<T> output() const {
        return {static_cast<T*>(as<T>(output_data, output_shape)), dims(output_shape)};
    }
    template <class T>
    view<T const> output_gradient() const {
        return {static_cast<T const*>(as<T>(output_gradient_data, output_shape)), dims(output_shape)};
    }
    template <class T>
    view<T> input_gradient(int i = 0) const {
        return {static_cast<T*>(as<T>(input_gradient_data[i], input_shape[i])), dims(input_shape[i])};
    }
    /// Parameter i of the op, in the order of its declarations, and where its gradient is added to; floats in device memory.
    float const* parameter(int i = 0) const { return parameter_data[i]; }
    float* parameter_gradient(int i = 0) const { return parameter_gradient_data[i]; }
    /// What forward keeps for backward: the floats declared for each sample, then the fixed ones.
    float* saved() const { return saved_data; }

private:
    constexpr extents dims(shape s) const { return {batch, s.height, s.width, s.channels}; }

    /// The same pointer, if elements of a value of this shape are stored as T.
    template <class T, class Pointer>
    Pointer as(Pointer data, shape s) const {
        using p = tempera::precision;
        p const stored = s.is_vector() ? p::float32 : precision;
        bool const fits = stored == p::float32 ? sizeof(T) == 4
                          : stored == p::bfloat16
                              ? sizeof(T) == 2 && !std::is_same_v<T, half>
                              : sizeof(T) == 2 && !std::is_same_v<T, bf16>;  // the toolkit's fit too
        if (!fits)
            throw error("op_call, a custom op's view",
                        {"elements of type ", stored == p::float32    ? "float"
                                              : stored == p::bfloat16 ? "bf16"
                                                                      : "half"},
                        "another type", "choose it by op_call::precision; vectors {1, 1, c} are float");
        return data;
    }
};

/// What the plan keeps of an op type: the same in every translation unit.
struct op_table {
    void (*forward)(op_call&) = nullptr;
    void (*backward)(op_call&) = nullptr;
    device_set devices = device_set::none;
};

}  // namespace tempera
