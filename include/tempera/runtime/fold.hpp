// SPDX-License-Identifier: Apache-2.0
#pragma once
// fold: for inference, batch norm disappears into the convolution or dense layer before it:
//
//   w' = w scale / sqrt(variance + epsilon)    b' = offset + (b - mean) scale / sqrt(variance + epsilon)
//
// where that layer has no other reader. Other normalizations stay.

#include <cmath>
#include <vector>

#include <tempera/runtime/dynamic_plan.hpp>

namespace tempera {

/// A plan without the normalizations that could be folded, and its tensors' values.
struct folded_network {
    dynamic_plan plan;
    std::vector<float> parameters;
    std::vector<float> statistics;
};

namespace detail {

/// Per op the batch_norm that folds into it, or no_value.
inline std::vector<int> foldable(plan_view const& p) {
    std::vector<int> readers(static_cast<std::size_t>(p.ops.size()));
    for (op const& o : p.ops)
        for (int const in : {o.in0, o.in1})
            if (in >= 0) ++readers[static_cast<std::size_t>(in)];
    for (output_record const& o : p.outputs) ++readers[static_cast<std::size_t>(o.value)];
    std::vector<int> folds(readers.size(), no_value);
    for (op const& o : p.ops) {
        if (o.kind != op_kind::batch_norm) continue;
        op_kind const before = p.ops[o.in0].kind;
        bool const alone = readers[static_cast<std::size_t>(o.in0)] == 1;
        if (alone && (before == op_kind::conv || before == op_kind::dense)) folds[static_cast<std::size_t>(o.in0)] = o.out;
    }
    return folds;
}

}  // namespace detail

/// parameters, statistics: host values of the plan's tensors.
inline folded_network fold(plan_view const& p, std::vector<float> const& parameters, std::vector<float> const& statistics) {
    auto const folds = detail::foldable(p);
    std::vector<int> place(folds.size());  // new number of every old value
    folded_network out;
    dynamic_plan& q = out.plan;
    auto value_of = [&](tensor const& t) {
        return (is_statistic(t.role) ? statistics.data() : parameters.data()) + t.offset;
    };
    auto append = [&](op& o, tensor t, std::vector<float> const& values) {
        std::vector<float>& block = is_statistic(t.role) ? out.statistics : out.parameters;
        t.offset = static_cast<std::int64_t>(block.size());
        block.insert(block.end(), values.begin(), values.end());
        if (o.tensors++ == 0) o.tensor = static_cast<int>(q.tensors.size());
        q.tensors.push_back(t);
    };
    for (int i = 0; i < p.ops.size(); ++i) {
        op const& old = p.ops[i];
        if (old.kind == op_kind::batch_norm && folds[static_cast<std::size_t>(old.in0)] == i) {
            place[static_cast<std::size_t>(i)] = place[static_cast<std::size_t>(old.in0)];
            continue;
        }
        op o = old;
        o.tensor = o.tensors = 0;
        if (o.in0 >= 0) o.in0 = place[static_cast<std::size_t>(o.in0)];
        if (o.in1 >= 0) o.in1 = place[static_cast<std::size_t>(o.in1)];
        o.out = static_cast<int>(q.ops.size());
        place[static_cast<std::size_t>(i)] = o.out;

        int const folded = folds[static_cast<std::size_t>(i)];
        op const* const norm = folded == no_value ? nullptr : &p.ops[folded];
        if (norm == nullptr) {
            for (int k = 0; k < old.tensors; ++k) {
                tensor const& t = p.tensors[old.tensor + k];
                append(o, t, {value_of(t), value_of(t) + t.count()});
            }
        } else {
            int const channels = p.values[i].channels;
            tensor const& weight = p.tensors[old.tensor];
            std::vector<float> w(value_of(weight), value_of(weight) + weight.count());
            std::vector<float> b(static_cast<std::size_t>(channels));
            int const moving = norm->tensor + first_statistic(*norm);
            std::int64_t const row = weight.count() / channels;
            for (int c = 0; c < channels; ++c) {
                float const mean = value_of(p.tensors[moving])[c];
                float const variance = value_of(p.tensors[moving + 1])[c];
                float const gamma = norm->flag ? value_of(p.tensors[norm->tensor])[c] : 1.0F;
                float const beta = norm->flag2 ? value_of(p.tensors[norm->tensor + (norm->flag ? 1 : 0)])[c] : 0.0F;
                float const bias = old.flag ? value_of(p.tensors[old.tensor + 1])[c] : 0.0F;
                float const factor = gamma / std::sqrt(variance + norm->number);
                for (std::int64_t k = c * row; k < (c + 1) * row; ++k) w[static_cast<std::size_t>(k)] *= factor;
                b[static_cast<std::size_t>(c)] = beta + (bias - mean) * factor;
            }
            append(o, weight, w);
            tensor t{};
            t.scope = weight.scope;
            t.role = role::bias;
            t.dims = {channels, 1, 1, 1};
            append(o, t, b);
            o.flag = true;
        }
        q.ops.push_back(o);
        q.values.push_back(p.values[i]);
    }
    q.scopes.assign(p.scopes.begin(), p.scopes.end());
    q.outputs.assign(p.outputs.begin(), p.outputs.end());
    for (output_record& o : q.outputs) o.value = place[static_cast<std::size_t>(o.value)];
    q.customs.assign(p.customs.begin(), p.customs.end());
    q.parameters = static_cast<std::int64_t>(out.parameters.size());
    q.statistics = static_cast<std::int64_t>(out.statistics.size());
    q.multiply_adds = p.multiply_adds;
    return out;
}

}  // namespace tempera
