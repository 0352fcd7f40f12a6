// SPDX-License-Identifier: Apache-2.0
// Optimizers against the authors' own code: every variant and every step of fixtures/optimizers.
// Tolerance of the manifest: 2e-6 of the largest entry of a tensor, 1e-5 for Adam.

#include <tempera/cpu/optimizers.hpp>
#include <tempera/optim.hpp>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "../catch.hpp"
#include "../fixture.hpp"

using namespace tempera;

namespace {

bool ends_with(std::string const& s, std::string const& end) {
    return s.size() >= end.size() && s.compare(s.size() - end.size(), end.size(), end) == 0;
}

role role_of(std::string const& name) {
    bool const supervised = name.find("head_supervised") != std::string::npos;
    if (name.find("batch_normalization") != std::string::npos)
        return ends_with(name, "gamma") ? role::scale : role::offset;
    if (ends_with(name, "bias")) return supervised ? role::classifier_bias : role::bias;
    return supervised ? role::classifier_weight : role::weight;
}

manifest manifest_of(fixture::file const& values) {
    manifest out;
    std::int64_t offset = 0;
    for (std::string const& name : values.names("init/")) {
        manifest_entry e;
        e.name.push(name);
        e.role = role_of(name);
        e.offset = offset;
        e.count = values["init/" + name].size();
        offset += e.count;
        out.push_back(e);
    }
    return out;
}

std::vector<float> block_of(fixture::file const& values, std::string const& prefix, manifest const& tensors) {
    std::vector<float> out;
    for (manifest_entry const& e : tensors) {
        auto const& v = values[prefix + std::string(e.name.text())].values;
        out.insert(out.end(), v.begin(), v.end());
    }
    return out;
}

template <class O>
void follow(O const& optimizer, std::string const& variant, nlohmann::json const& config, double tolerance) {
    static_assert(Optimizer<O, cpu>);
    fixture::file const values("optimizers");
    manifest const tensors = manifest_of(values);
    auto ranges = optimizer.ranges(tensors);
    REQUIRE(ranges.size() == tensors.size());
    // The reference adds the classifier's decay as a loss term, which the stored gradients do not hold.
    for (std::size_t i = 0; i < ranges.size(); ++i)
        if (tensors[i].role == role::classifier_weight) ranges[i].weight_decay = 0;

    cpu device{.threads = 2};
    auto w = block_of(values, "init/", tensors);
    std::vector<float> first(w.size()), second(w.size());
    float* const state[] = {first.data(), second.data()};
    auto const& rates = config.at("learning_rates");
    REQUIRE(rates.size() == 5);
    for (std::size_t k = 0; k < rates.size(); ++k) {
        std::string const step = "step" + std::to_string(k) + "/";
        auto const g = block_of(values, "grad/" + step, tensors);
        optimizer(device, rates[k].get<float>(), static_cast<std::int64_t>(k), ranges, w.data(), g.data(), state);
        for (manifest_entry const& e : tensors) {
            std::string const name(e.name.text());
            CAPTURE(variant, k, name);
            CHECK(fixture::difference(w.data() + e.offset, values[variant + "/weight/" + step + name]) <= tolerance);
            std::string const slot = variant + "/momentum/" + step + name;
            if (config.at("optimizer") == "LARSOptimizer")
                CHECK(fixture::difference(first.data() + e.offset, values[slot]) <= tolerance);
        }
    }
}

}  // namespace

TEST_CASE("optimizers follow the reference step by step", "[optim]") {
    auto const variants = nlohmann::json::parse(fixture::json("optimizers", "/config"));
    REQUIRE(variants.size() == 8);
    for (auto const& [name, config] : variants.items()) {
        std::string const kind = config.at("optimizer");
        if (kind == "LARSOptimizer") {
            follow(lars{.momentum = config.at("momentum"),
                        .weight_decay = config.at("weight_decay"),
                        .eta = config.at("eeta"),
                        .nesterov = config.at("use_nesterov"),
                        .classic_momentum = config.at("classic_momentum")},
                   name, config, 2e-6);
        } else if (kind == "SGD") {
            follow(sgd{.momentum = config.at("momentum"), .nesterov = config.at("nesterov")}, name, config, 2e-6);
        } else {
            REQUIRE(kind == "Adam");
            follow(adam{.beta1 = config.at("beta_1"), .beta2 = config.at("beta_2"), .epsilon = config.at("epsilon")},
                   name, config, 1e-5);
        }
    }
}

TEST_CASE("LARS gives the specified golden values", "[optim]") {
    cpu device{.threads = 1};
    manifest_entry weight;
    weight.count = 2;
    manifest const tensors{weight};
    lars const optimizer;
    auto const ranges = optimizer.ranges(tensors);
    float w[] = {0.5F, -0.25F}, v[2] = {};
    float* const state[] = {v};
    float const g1[] = {0.2F, 0.1F}, g2[] = {0.1F, -0.3F};
    optimizer(device, 0.1F, 0, ranges, w, g1, state);
    CHECK_THAT(static_cast<double>(w[0]), Catch::Matchers::WithinAbs(0.4999499950, 3e-8));
    CHECK_THAT(static_cast<double>(w[1]), Catch::Matchers::WithinAbs(-0.2500249900, 3e-8));
    optimizer(device, 0.1F, 1, ranges, w, g2, state);
    CHECK_THAT(static_cast<double>(w[0]), Catch::Matchers::WithinAbs(0.4998873073, 3e-8));
    CHECK_THAT(static_cast<double>(w[1]), Catch::Matchers::WithinAbs(-0.2499944534, 3e-8));
}
