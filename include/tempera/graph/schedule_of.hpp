// SPDX-License-Identifier: Apache-2.0
#pragma once
// schedule_of: fuse -> differentiate -> measure -> liveness -> layout; and the bytes that training and inference take,
// as constants.

#include <tempera/graph/differentiate.hpp>
#include <tempera/graph/fuse.hpp>
#include <tempera/graph/layout.hpp>
#include <tempera/graph/liveness.hpp>
#include <tempera/graph/measure.hpp>

namespace tempera {

/// Fills `out`, which must be value-initialized.
constexpr void schedule_of(plan_view const& plan, schedule_options const& options, schedule& out) {
    fusion f{};
    fuse(plan, options, f);
    differentiate(plan, options, f, out);
    measure(plan, options, out);
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

namespace detail {
constexpr std::int64_t arena_bytes_of(plan_view const& plan, memory_options const& m, bool training) {
    schedule s{};
    schedule_options o{};
    o.batch = m.batch;
    o.precision = m.precision;
    o.device = m.device;
    o.frozen = m.frozen;
    o.recompute = m.recompute;
    o.training = training;
    schedule_of(plan, o, s);
    return s.arena_bytes;
}
}  // namespace detail

/// The arena of a model, which its training and its inference schedule share.
constexpr std::int64_t shared_arena(std::int64_t training, std::int64_t inference) {
    return training > inference ? training : inference;
}

/// Bytes that a model with the last output as its loss output and its optimizer allocate on the device to train:
/// parameters, gradients, optimizer slots, statistics, arena. Equals model.allocated_bytes() plus the slots.
constexpr std::int64_t training_bytes(plan_view const& plan, memory_options const& m) {
    return plan.parameters * 4 * (2 + m.slots) + plan.statistics * 4 +
           shared_arena(detail::arena_bytes_of(plan, m, true), detail::arena_bytes_of(plan, m, false));
}

/// Bytes of what model.predict needs: parameters, statistics, arena. A predictor folds its normalizations, and on the cpu keeps
/// packed filters besides: predictor::allocated_bytes().
constexpr std::int64_t inference_bytes(plan_view const& plan, memory_options const& m) {
    return plan.parameters * 4 + plan.statistics * 4 + detail::arena_bytes_of(plan, m, false);
}

}  // namespace tempera
