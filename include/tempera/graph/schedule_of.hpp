// SPDX-License-Identifier: Apache-2.0
#pragma once
// schedule_of: fuse -> differentiate -> liveness -> layout; and the bytes that training and inference take,
// as constants.

#include <tempera/graph/differentiate.hpp>
#include <tempera/graph/fuse.hpp>
#include <tempera/graph/layout.hpp>
#include <tempera/graph/liveness.hpp>

namespace tempera {

/// Fills `out`, which must be value-initialised.
constexpr void schedule_of(plan_view const& plan, schedule_options const& options, schedule& out) {
    fusion f{};
    fuse(plan, options.fuse, f);
    differentiate(plan, options, f, out);
    liveness(plan, out);
    layout(options.batch, out);
}

struct memory_options {
    int batch = 1;
    tempera::precision precision = tempera::precision::float32;
    device_kind device = device_kind::cpu;
    frozen_list frozen{};
    bool recompute = false;
    int slots = 1;  ///< optimizer slots per parameter: 1 for lars and sgd, 2 for adam
};

/// Bytes that a model and its optimizer allocate to train: parameters, gradients, slots, statistics, arena.
constexpr std::int64_t training_bytes(plan_view const& plan, memory_options const& m) {
    schedule s{};
    schedule_options o{};
    o.batch = m.batch;
    o.precision = m.precision;
    o.device = m.device;
    o.frozen = m.frozen;
    o.recompute = m.recompute;
    schedule_of(plan, o, s);
    return plan.parameters * 4 * (2 + m.slots) + plan.statistics * 4 + s.arena_bytes;
}

/// Bytes that a predictor allocates: parameters, statistics, arena.
constexpr std::int64_t inference_bytes(plan_view const& plan, memory_options const& m) {
    schedule s{};
    schedule_options o{};
    o.batch = m.batch;
    o.precision = m.precision;
    o.device = m.device;
    o.training = false;
    schedule_of(plan, o, s);
    return plan.parameters * 4 + plan.statistics * 4 + s.arena_bytes;
}

}  // namespace tempera
