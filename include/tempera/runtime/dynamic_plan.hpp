// SPDX-License-Identifier: Apache-2.0
#pragma once
// dynamic_plan: a plan made at run time. A fault becomes an exception with the words of the static assertion.

#include <memory>
#include <string>
#include <vector>

#include <tempera/core/error.hpp>
#include <tempera/core/spelling.hpp>
#include <tempera/graph/plan.hpp>

namespace tempera {

/// "operands_differ at add, stage2.block0: expected {8, 8, 64}, found {16, 16, 64}; bring both to one shape: ..."; faults about
/// numbers say "expected 3, found 4".
inline std::string describe(diagnosis const& d) {
    bool const about_names =
        d.what == fault::duplicate_name || d.what == fault::malformed_name || d.what == fault::path_too_long;
    bool const about_shapes = d.what == fault::operands_differ || d.what == fault::kernel_larger_than_input ||
                              d.what == fault::expects_a_vector;
    auto const spell = [about_shapes](shape s) { return about_shapes ? text_of(s) : phrase(s.channels).text(); };
    std::string const path(d.where.text());
    if (about_names) return phrase{name_of(d.what), ": ", path, "; ", advice_for(d.what)}.text();
    return phrase{name_of(d.what),   " at ",     name_of(d.op), path.empty() ? "" : ", ", path, ": expected ",
                  spell(d.expected), ", found ", spell(d.got), "; ",     advice_for(d.what)}
        .text();
}

/// A plan made at run time; owns what its view points to.
class dynamic_plan {
public:
    dynamic_plan() = default;

    /// Throws error when the network is not well formed.
    template <class Network>
    dynamic_plan(Network const& describes, shape sample) {
        auto const traced = std::make_unique<trace>();
        trace_network(*traced, describes, sample);
        if (traced->bad.what != fault::none) throw error(phrase{"network: ", describe(traced->bad)});
        ops.resize(size(traced->op_count));
        values.resize(size(traced->op_count));
        tensors.resize(size(traced->tensor_count));
        scopes.resize(size(traced->scope_count));
        outputs.resize(size(traced->output_count));
        customs.resize(size(traced->custom_count));
        copy_trace(*traced, *this);
    }

    plan_view view() const {
        return plan_view{list(ops),     list(values),  list(tensors), list(scopes), list(outputs),
                         list(customs), parameters, statistics, multiply_adds};
    }
    operator plan_view() const { return view(); }

    std::vector<op> ops;
    std::vector<shape> values;
    std::vector<tensor> tensors;
    std::vector<scope_node> scopes;
    std::vector<output_record> outputs;
    std::vector<custom_record> customs;
    std::int64_t parameters = 0;
    std::int64_t statistics = 0;
    std::int64_t multiply_adds = 0;

private:
    static std::size_t size(int n) { return static_cast<std::size_t>(n); }
    template <class T>
    static list_view<T> list(std::vector<T> const& v) {
        return {v.data(), static_cast<int>(v.size())};
    }
};

}  // namespace tempera
