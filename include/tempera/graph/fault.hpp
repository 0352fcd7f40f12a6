// SPDX-License-Identifier: Apache-2.0
#pragma once
// A fault is data: what is wrong with a network, at which op, where, and both shapes. It is shown by one
// static assertion at compile time and by one exception at run time, with the same words.

#include <cstdint>
#include <string_view>

#include <tempera/core/shape.hpp>
#include <tempera/core/text.hpp>
#include <tempera/graph/op.hpp>

namespace tempera {

enum class fault : std::uint8_t {
    none,
    operands_differ,          ///< a + b, or a * b, of different shapes
    kernel_larger_than_input, ///< half the kernel exceeds the map
    window_too_large,         ///< max_pool keeps positions in a byte: a kernel of 15 at most
    expects_a_vector,         ///< dense on a map; pool it first
    channels_out_of_range,    ///< a slice beyond the channels
    positive_number_expected, ///< filters, units, stride, kernel, batch ... below 1
    rate_out_of_range,        ///< a rate outside [0, 1), or a share kept outside (0, 1], in hundredths
    setting_out_of_range,     ///< another setting outside what stands beside it; fractions are in hundredths
    wrong_classes,            ///< a classifier of fewer than 2 classes
    unknown_tap,              ///< a tap the head does not have
    unknown_depth,            ///< a depth that is not 10, 18, 34, 50, 101, 152 or 200
    duplicate_name,           ///< two parts of one scope share a name
    malformed_name,           ///< a part's name that is empty or holds a dot, which joins the levels of a path
    path_too_long,            ///< a name of more than 24 characters, a path of more than 96 or of 24 levels
    too_many_ops_raise_TEMPERA_MAX_OPS,
    too_many_outputs,         ///< of a network: 8
    too_many_tensors,         ///< of a custom op: 4
    padding_in_custom_op,     ///< bytes between its members, or a pointer, which a constant plan cannot keep
};

constexpr std::string_view name_of(fault f) {
    switch (f) {
        case fault::none: return "none";
        case fault::operands_differ: return "operands_differ";
        case fault::kernel_larger_than_input: return "kernel_larger_than_input";
        case fault::window_too_large: return "window_too_large";
        case fault::expects_a_vector: return "expects_a_vector";
        case fault::channels_out_of_range: return "channels_out_of_range";
        case fault::positive_number_expected: return "positive_number_expected";
        case fault::rate_out_of_range: return "rate_out_of_range";
        case fault::setting_out_of_range: return "setting_out_of_range";
        case fault::wrong_classes: return "wrong_classes";
        case fault::unknown_tap: return "unknown_tap";
        case fault::unknown_depth: return "unknown_depth";
        case fault::duplicate_name: return "duplicate_name";
        case fault::malformed_name: return "malformed_name";
        case fault::path_too_long: return "path_too_long";
        case fault::too_many_ops_raise_TEMPERA_MAX_OPS: return "too_many_ops_raise_TEMPERA_MAX_OPS";
        case fault::too_many_outputs: return "too_many_outputs";
        case fault::too_many_tensors: return "too_many_tensors";
        case fault::padding_in_custom_op: return "padding_in_custom_op";
    }
    return "";
}

/// What to do about it.
constexpr std::string_view advice_for(fault f) {
    switch (f) {
        case fault::none: return "";
        case fault::operands_differ:
            return "bring both to one shape: a convolution of kernel 1 changes channels, strides and pools the size";
        case fault::kernel_larger_than_input: return "take a smaller kernel, or fewer strides and pools before it";
        case fault::window_too_large: return "take a smaller window";
        case fault::expects_a_vector: return "pool the map first, with global_average_pool";
        case fault::channels_out_of_range: return "slice inside the channels that the input has";
        case fault::positive_number_expected: return "give at least 1";
        case fault::rate_out_of_range:
            return "give a rate from 0 to below 1, or a share kept of more than 0; both numbers are hundredths";
        case fault::setting_out_of_range: return "see the range beside the setting; fractions are given in hundredths";
        case fault::wrong_classes: return "count the classes";
        case fault::unknown_tap: return "take one from 0, the encoder, to the layers of the head, or -1 for the last";
        case fault::unknown_depth: return "take 10, 18, 34, 50, 101, 152 or 200";
        case fault::duplicate_name: return "give one of both another name";
        case fault::malformed_name: return "give a name without dots";
        case fault::path_too_long: return "names have 24 characters at most, paths 96 and 24 levels";
        case fault::too_many_ops_raise_TEMPERA_MAX_OPS: return "define TEMPERA_MAX_OPS for every file, tempera::compiled too";
        case fault::too_many_outputs: return "a network has 8 outputs at most";
        case fault::too_many_tensors: return "a custom op has 4 tensors at most";
        case fault::padding_in_custom_op: return "order its members by size and fill the gaps with members; pointers have no place in a constant plan";
    }
    return "";
}

/// The first fault of a network; what == fault::none when there is none. Faults about numbers keep
/// the number found in got.channels and the nearest legal one in expected.channels.
struct diagnosis {
    fault what = fault::none;
    op_kind op = op_kind::input;
    shape got{};
    shape expected{};
    path_text where{};
};

}  // namespace tempera
