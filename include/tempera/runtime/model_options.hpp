// SPDX-License-Identifier: Apache-2.0
#pragma once
// model_options: what a model is constructed with.

#include <cstdint>
#include <initializer_list>
#include <string>

#include <tempera/core/error.hpp>
#include <tempera/core/text.hpp>
#include <tempera/graph/freeze.hpp>
#include <tempera/graph/schedule.hpp>

namespace tempera {

/// Up to eight names of outputs.
struct name_list {
    name_text names[max_outputs]{};
    int count = 0;

    constexpr name_list() = default;
    constexpr name_list(char const* name) : count(1) { names[0] = name_text(name); }
    constexpr name_list(std::initializer_list<char const*> list) {
        if (list.size() > max_outputs)
            throw error("name_list", "at most 8 names", list.size(), "name each output once");
        for (char const* name : list) names[count++] = name_text(name);
    }
};

struct model_options {
    int max_batch = 256;             ///< samples of the largest batch; smaller ones use the same memory
    std::uint64_t seed = 1;          ///< of the starting weights and of random masks
    frozen_list frozen{};            ///< frozen("encoder"), or {frozen("encoder"), frozen("head", bn::batch)}
    bool recompute = false;          ///< less memory: normalized activations are computed again in the backward pass
    name_list loss_outputs{};        ///< outputs that take gradients; none named: the last one
    bool unbiased_variance = false;  ///< moving variances take N/(N-1) times the batch's (TF1's fused kernel)
    bool fuse = true;                ///< false: every op a step of its own
};

/// The schedule that a model's options ask for. Throws error for a name or a prefix that the plan does not have.
inline schedule_options schedule_options_of(plan_view const& plan, model_options const& m, precision p,
                                            device_kind kind) {
    schedule_options o;
    o.batch = m.max_batch;
    o.precision = p;
    o.device = kind;
    o.frozen = m.frozen;
    o.recompute = m.recompute;
    o.fuse = m.fuse;
    if (m.max_batch < 1) throw error("model_options", "max_batch of at least 1", m.max_batch, "set .max_batch");
    for (int i = 0; i < m.loss_outputs.count; ++i) {
        std::uint32_t bit = 0;
        std::string known;
        for (int k = 0; k < plan.outputs.size(); ++k) {
            if (plan.outputs[k].name == m.loss_outputs.names[i]) bit = 1U << k;
            known += (k > 0 ? ", " : "") + std::string(plan.outputs[k].name.text());
        }
        if (bit == 0)
            throw error("model_options.loss_outputs", {"outputs among ", known},
                        {"\"", m.loss_outputs.names[i].text(), "\""}, "name an output of the network");
        o.loss_outputs |= bit;
    }
    for (int i = 0; i < m.frozen.count; ++i) {
        bool found = false;
        for (op const& x : plan.ops)
            found = found || (x.tensors > 0 && m.frozen.parts[i].holds(plan.path_of(x.scope).text()));
        if (!found)
            throw error("model_options.frozen", "a part of the network that has tensors, or one that holds it",
                        {"\"", m.frozen.parts[i].prefix.text(), "\""}, "print summary(plan) to see the names");
    }
    return o;
}

}  // namespace tempera
