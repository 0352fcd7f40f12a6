// SPDX-License-Identifier: Apache-2.0
#pragma once
// A network on the cpu device against its evaluation in double: outputs, and gradients of all parameters. Fused and
// unfused, with and without recomputation.

#include <algorithm>
#include <cmath>
#include <functional>
#include <type_traits>
#include <vector>

#include <tempera/core/philox.hpp>
#include <tempera/cpu.hpp>
#include <tempera/nn.hpp>
#include <tempera/runtime.hpp>

#include "../catch.hpp"
#include "double_network.hpp"

namespace compared {

using namespace tempera;

inline std::vector<float> draw(std::int64_t count, std::uint32_t stream) {
    philox_stream random(7, stream);
    std::vector<float> out(static_cast<std::size_t>(count));
    for (float& x : out) x = random.uniform(-1, 1);
    return out;
}

inline numbers wide(std::vector<float> const& x) { return {x.begin(), x.end()}; }

/// Largest difference relative to the largest reference value. Both of one size.
inline double difference(std::vector<float> const& a, numbers const& b) {
    double worst = 0, scale = 1e-3;
    REQUIRE(a.size() == b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
        worst = std::max(worst, std::abs(static_cast<double>(a[i]) - b[i]));
        scale = std::max(scale, std::abs(b[i]));
    }
    return worst / scale;
}

struct result {
    std::vector<std::vector<float>> outputs;
    std::vector<float> gradients;
};

/// Any network function as one type, so that a test file compiles the model once.
class erased_network {
public:
    template <class Network>
    requires(!std::is_same_v<Network, erased_network>) erased_network(Network const& network)
        : trace_([network](value x) {
              if constexpr (std::is_same_v<decltype(network(x)), value>) return outputs(output{"output", network(x)});
              else return network(x);
          }) {}
    output_list operator()(value x) const { return trace_(x); }

private:
    std::function<output_list(value)> trace_;
};

/// One forward and one backward pass with drawn weights, inputs and output gradients.
inline result run(dynamic_model<cpu>& m, int batch) {
    shape const in = m.plan().input();
    auto const x = draw(in.size() * batch, 1);
    auto parameters = draw(m.plan().parameters, 2);
    auto statistics = draw(m.plan().statistics, 3);
    for (float& s : statistics) s += 1.5F;
    m.write_parameters(parameters.data());
    m.write_statistics(statistics.data());
    result out;
    for (auto const& [name, y] : m.forward({x.data(), {batch, in.height, in.width, in.channels}}))
        out.outputs.emplace_back(y.data, y.data + y.size());
    std::uint32_t stream = 10;
    for (auto const& [name, g] : m.output_gradients()) {
        auto const w = draw(g.size(), stream++);
        if (g.data != nullptr) std::copy(w.begin(), w.end(), g.data);
    }
    m.backward(m.output_gradients());
    out.gradients.assign(m.gradients().data(), m.gradients().data() + m.plan().parameters);
    return out;
}

/// The double network with the weights and inputs of run().
inline double_network reference(dynamic_model<cpu> const& m, int batch) {
    double_network d;
    d.plan = m.plan();
    d.batch = batch;
    d.input = wide(draw(m.plan().input().size() * batch, 1));
    d.parameters = wide(draw(m.plan().parameters, 2));
    auto statistics = draw(m.plan().statistics, 3);
    for (float& s : statistics) s += 1.5F;
    d.statistics = wide(statistics);
    return d;
}

/// The output gradients of run().
inline std::vector<numbers> output_weights(dynamic_model<cpu>& m, int batch) {
    std::vector<numbers> out;
    std::uint32_t stream = 10;
    for (auto const& [name, g] : m.output_gradients()) {
        auto const w = draw(g.dims.sample().size() * batch, stream++);
        out.push_back(g.data != nullptr ? wide(w) : numbers{});
    }
    return out;
}

/// Whether an op of a frozen part normalizes with its moving statistics.
inline bool takes_moving(plan_view const& p, frozen_list const& parts, op const& o) {
    frozen const* const part = parts.find(p.path_of(o.scope).text());
    return part != nullptr && part->mode == bn::moving;
}

/// All four forms of the schedule against the definition; recomputing ones give the bits of those that keep.
inline void agrees(erased_network const& network, shape sample, model_options options = {}, int batch = 3,
                   double tolerance = 2e-4) {
    cpu device{.threads = 1};
    options.max_batch = batch;
    result first;
    for (int form = 0; form < 4; ++form) {
        options.fuse = form < 2;
        options.recompute = form % 2 == 1;
        INFO((options.fuse ? "fused" : "unfused") << (options.recompute ? ", recomputed" : ""));
        dynamic_model<cpu> m(device, network, sample, options);
        result const got = run(m, batch);
        if (form % 2 == 1) {
            CHECK(got.outputs == first.outputs);
            CHECK(got.gradients == first.gradients);
            continue;
        }
        first = got;
        double_network d = reference(m, batch);
        for (op const& o : m.plan().ops) d.moving.push_back(takes_moving(m.plan(), options.frozen, o));
        numbers wanted = d.gradient(output_weights(m, batch));
        for (auto const& e : m.manifest())  // frozen parameters have none
            if (!e.trained && !is_statistic(e.role))
                for (std::int64_t i = 0; i < e.count; ++i) wanted[static_cast<std::size_t>(e.offset + i)] = 0;
        for (int o = 0; o < m.plan().outputs.size(); ++o)
            CHECK(difference(got.outputs[static_cast<std::size_t>(o)],
                             d.values[static_cast<std::size_t>(m.plan().outputs[o].value)]) < tolerance);
        CHECK(difference(got.gradients, wanted) < tolerance);
    }
}

}  // namespace compared
