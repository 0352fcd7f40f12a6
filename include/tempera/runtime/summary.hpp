// SPDX-License-Identifier: Apache-2.0
#pragma once
// summary(plan): a table of the ops with names, shapes, parameters and multiply-adds.

#include <cstdio>
#include <string>

#include <tempera/core/spelling.hpp>
#include <tempera/graph/plan.hpp>

namespace tempera {

namespace detail {

inline std::string summary_line(std::string const& name, std::string const& kind, std::string const& out,
                                std::string const& parameters, std::string const& multiply_adds) {
    char line[256];
    std::snprintf(line, sizeof line, "%-44s %-20s %-16s %14s %18s\n", name.c_str(), kind.c_str(), out.c_str(),
                  parameters.c_str(), multiply_adds.c_str());
    return line;
}

}  // namespace detail

/// One line per op, then the totals.
inline std::string summary(plan_view const& p) {
    std::string text = detail::summary_line("name", "op", "output", "parameters", "multiply-adds");
    for (op const& o : p.ops) {
        std::int64_t parameters = 0;
        for (int k = 0; k < o.tensors; ++k)
            if (!is_statistic(p.tensors[o.tensor + k].role)) parameters += p.tensors[o.tensor + k].count();
        shape const s = p.values[o.out];
        std::string const out =
            std::to_string(s.height) + "x" + std::to_string(s.width) + "x" + std::to_string(s.channels);
        text += detail::summary_line(std::string(p.path_of(o.scope).text()), std::string(name_of(o.kind)), out,
                                     parameters > 0 ? grouped(parameters) : "",
                                     o.multiply_adds > 0 ? grouped(o.multiply_adds) : "");
    }
    text += detail::summary_line("total", std::to_string(p.ops.size()) + " ops", "", grouped(p.parameters),
                                 grouped(p.multiply_adds));
    return text + "moving statistics: " + grouped(p.statistics) + "\n";
}

}  // namespace tempera
