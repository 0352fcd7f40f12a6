// SPDX-License-Identifier: Apache-2.0
#pragma once
// One operation of a plan, and the tensors (parameters, statistics) it owns. Plain data.

#include <array>
#include <cstdint>
#include <string_view>

#include <tempera/core/op_call.hpp>
#include <tempera/core/role.hpp>
#include <tempera/core/shape.hpp>

namespace tempera {

enum class op_kind : std::uint8_t {
    input,
    conv,
    dense,
    batch_norm,
    relu,
    sigmoid,
    add,
    multiply,       ///< elementwise, equal shapes
    gate,           ///< map times vector
    max_pool,
    average_pool,
    global_average_pool,
    concat,
    slice,
    dropout,
    drop_block,
    l2_normalize,
    stop_gradient,
    selective_average,  ///< over positions and both branches
    selective_merge,
    custom,
};

constexpr std::string_view name_of(op_kind k) {
    constexpr std::array<std::string_view, 21> names{
        "input",   "conv",         "dense",        "norm",       "relu",
        "sigmoid", "add",          "multiply",     "gate",       "max_pool",
        "average_pool", "global_average_pool", "concat", "slice", "dropout",
        "drop_block", "l2_normalize", "stop_gradient", "selective_average", "selective_merge", "custom"};
    return names[static_cast<std::size_t>(k)];
}

inline constexpr int no_value = -1;

struct op {
    op_kind kind = op_kind::input;
    int in0 = no_value;
    int in1 = no_value;
    int out = no_value;
    int scope = 0;            ///< where it stands: the path of its tensors
    int tensor = 0;           ///< first of its tensors
    int tensors = 0;          ///< how many: parameters first, then statistics
    int kernel = 1;
    int stride = 1;
    int pad_top = 0;
    int pad_left = 0;
    int begin = 0;            ///< slice: first channel
    int custom = -1;          ///< index of the custom op's record
    bool flag = false;        ///< conv, dense: bias; batch_norm: scale; average_pool: count padding
    bool flag2 = false;       ///< batch_norm: offset
    float number = 0;         ///< batch_norm: epsilon; dropout: rate; drop_block: keep
    float number2 = 0;        ///< batch_norm: decay
    std::int64_t multiply_adds = 0;
};

/// Of a batch_norm: the place of its moving mean among its tensors, after scale and offset; the variance follows.
constexpr int first_statistic(op const& o) { return (o.flag ? 1 : 0) + (o.flag2 ? 1 : 0); }

/// How a parameter starts.
enum class initializer : std::uint8_t {
    constant,
    lecun_normal,  ///< truncated normal of variance 1 / fan_in
    normal,        ///< mean 0, deviation `number`
};

struct tensor {
    int scope = 0;
    tempera::role role = role::weight;
    initializer start = initializer::constant;
    float number = 0;
    std::array<int, 4> dims{1, 1, 1, 1};
    int rank = 1;
    int ordinal = 0;  ///< of a custom op's tensors
    std::int64_t offset = 0;

    constexpr std::int64_t count() const { return std::int64_t{1} * dims[0] * dims[1] * dims[2] * dims[3]; }
};

/// A user's op: its bytes and table.
struct custom_record {
    op_table table{};
    std::array<unsigned char, 64> state{};
    int bytes = 0;
    std::int64_t saved_per_sample = 0;  ///< floats
    std::int64_t saved_fixed = 0;       ///< floats
};

}  // namespace tempera
