// SPDX-License-Identifier: Apache-2.0
#pragma once
// A network function traced at run time: its diagnosis, and the names of its tensors in order.

#include <memory>
#include <string>
#include <vector>

#include <tempera/nn.hpp>
#include <tempera/runtime/dynamic_plan.hpp>

template <class Network>
tempera::diagnosis diagnosis_of(Network const& network, tempera::shape sample) {
    auto const t = std::make_unique<tempera::trace>();
    tempera::trace_network(*t, network, sample);
    return t->bad;
}

template <class Network>
std::vector<std::string> names_of(Network const& network, tempera::shape sample) {
    tempera::dynamic_plan const p(network, sample);
    std::vector<std::string> names;
    for (int i = 0; i < p.view().tensors.size(); ++i) names.emplace_back(p.view().entry(i).name.text());
    return names;
}
