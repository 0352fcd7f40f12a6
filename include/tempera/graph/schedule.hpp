// SPDX-License-Identifier: Apache-2.0
#pragma once
// The schedule: forward and backward steps over slots of one arena. A function of the plan and of the options
// below; constant evaluation and run time share the code, so a static_assert on training_bytes is exact.

#include <cstdint>

#include <tempera/core/device_kind.hpp>
#include <tempera/core/precision.hpp>
#include <tempera/graph/freeze.hpp>
#include <tempera/graph/plan.hpp>

namespace tempera {

struct schedule_options {
    int batch = 1;
    tempera::precision precision = tempera::precision::float32;
    device_kind device = device_kind::cpu;
    frozen_list frozen{};
    bool recompute = false;        ///< do not keep normalized activations for the backward pass, compute them again
    bool training = true;          ///< false: forward only, moving statistics, no random masks
    bool fuse = true;              ///< false: every op a step of its own (the twin that tests compare with)
    std::uint32_t loss_outputs = 0;  ///< bit i: output i takes a gradient; 0: the last output only
};

inline constexpr int no_slot = -1;

/// A stretch of the arena. Lives from step `first` to step `last`.
struct arena_slot {
    std::int64_t bytes_per_sample = 0;
    std::int64_t bytes_fixed = 0;
    std::int64_t offset = -1;
    int first = -1;
    int last = -1;

    constexpr std::int64_t bytes(std::int64_t batch) const {
        return (bytes_per_sample * batch + bytes_fixed + 63) / 64 * 64;
    }
};

enum class step_kind : std::uint8_t {
    forward,    ///< out = op(in0, in1); fills `saved`
    recompute,  ///< out again, from in0 and `saved`
    backward,   ///< d_in0, d_in1 and parameter gradients from d_out
    copy,       ///< d_in0 (+)= d_out, between gradients
    widen,      ///< out (float32) = in0 (precision): an output that is a map
    narrow,     ///< d_in0 (precision) (+)= d_out (float32)
};

/// What one call of the executor does. Members that do not apply are no_slot.
struct schedule_step {
    step_kind kind = step_kind::forward;
    int op = 0;
    int in0 = no_slot, in1 = no_slot, out = no_slot;
    int saved = no_slot;    ///< what the op keeps: statistics (those of `norm`, where it is set), argmax, mask, inverse lengths
    int sums = no_slot;     ///< of branches (device/normalized_branches.hpp)
    int staging = no_slot;  ///< the result at map precision where the value itself is a float32 vector
    int d_out = no_slot, d_in0 = no_slot, d_in1 = no_slot;
    int d_average = no_slot;  ///< batch_norm that its readers apply: the gradient of their average; d_out is the merge's
    bool accumulate0 = false, accumulate1 = false;  ///< add to d_in0, d_in1 instead of writing
    bool relu = false;      ///< a ReLU is fused (fuse.hpp); in1 is then the residual, if any
    bool residual = false;  ///< batch_norm: there is one; backward, where in1 is not read
    bool trained = false;   ///< its parameters take gradients
    bn mode = bn::moving;   ///< batch_norm, and a step with `norm`
    int norm = no_value;    ///< the batch_norm whose statistics a convolution takes, or which a selective op applies
    bool measured = false;  ///< batch_norm: the convolution before it has filled `saved`
};

inline constexpr int max_steps = 4 * max_ops + 2 * max_outputs;
inline constexpr int max_slots = 6 * max_ops + 3 * max_outputs;

struct schedule {
    schedule_step steps[max_steps]{};
    arena_slot slots[max_slots]{};
    int step_count = 0;
    int slot_count = 0;
    int forward_count = 0;             ///< steps before the loss
    int value_slot[max_ops]{};         ///< of every value
    int output_slot[max_outputs]{};    ///< float32
    int output_gradient[max_outputs]{};  ///< no_slot: this output takes no gradient
    bool trained[max_ops]{};           ///< per op: its parameters take gradients
    std::int64_t arena_bytes = 0;

    constexpr int add_slot(std::int64_t per_sample, std::int64_t fixed) {
        slots[slot_count].bytes_per_sample = per_sample;
        slots[slot_count].bytes_fixed = fixed;
        return slot_count++;
    }
    constexpr schedule_step& add_step(step_kind kind, int op) {
        schedule_step& s = steps[step_count++];
        s = schedule_step{};
        s.kind = kind;
        s.op = op;
        return s;
    }
};

}  // namespace tempera
