// SPDX-License-Identifier: Apache-2.0
// Optimizers on the GPU against the authors' own code: every variant and every step of fixtures/optimizers, through the
// optimizer objects that users call, and the number of launches.

#include <string>

#include <nlohmann/json.hpp>

#include <tempera/optim.hpp>

#include "../fixture.hpp"
#include "lab.hpp"

using namespace tempera;

namespace {

bool contains_text(std::string const& s, char const* part) { return s.find(part) != std::string::npos; }

/// The reference's variables as one block; what LARS leaves out by name has the role that our optimizers leave out.
struct variables {
    fixture::file values{"optimizers"};
    manifest tensors;
    std::vector<std::string> names;

    variables() {
        std::int64_t offset = 0;
        for (std::string const& name : values.names("init/")) {
            bool const bias = contains_text(name, "bias");
            manifest_entry e;
            e.role = contains_text(name, "batch_normalization") ? (contains_text(name, "gamma") ? role::scale : role::offset)
                     : contains_text(name, "head_supervised")   ? (bias ? role::classifier_bias : role::classifier_weight)
                                                                : (bias ? role::bias : role::weight);
            e.offset = offset;
            e.count = values["init/" + name].size();
            offset += e.count;
            tensors.push_back(e);
            names.push_back(name);
        }
    }
    std::vector<float> block(std::string const& prefix) const {
        std::vector<float> out;
        for (auto const& name : names) {
            auto const& v = values[prefix + name].values;
            out.insert(out.end(), v.begin(), v.end());
        }
        return out;
    }
};

void follow(auto const& optimizer, std::string const& variant, nlohmann::json const& config, double tolerance) {
    variables const reference;
    auto ranges = optimizer.ranges(reference.tensors);
    // the reference adds the classifier's decay as a loss term, which the stored gradients do not hold
    for (std::size_t i = 0; i < ranges.size(); ++i)
        if (reference.tensors[i].role == role::classifier_weight) ranges[i].weight_decay = 0;

    gpu device;
    auto const start = reference.block("init/");
    auto w = lab::on_device(device, start);
    auto first = lab::on_device(device, std::vector<float>(start.size()));
    auto second = lab::on_device(device, std::vector<float>(start.size()));
    auto g = lab::on_device(device, start);
    float* const state[] = {first.data(), second.data()};
    auto const rates = config.at("learning_rates").get<std::vector<float>>();
    REQUIRE(rates.size() == 5);
    for (std::size_t k = 0; k < rates.size(); ++k) {
        std::string const step = "step" + std::to_string(k) + "/";
        auto const gradients = reference.block("grad/" + step);
        device.upload(view<float const>{gradients.data(), {static_cast<int>(gradients.size())}}, g);
        optimizer(device, rates[k], static_cast<std::int64_t>(k), ranges, w.data(), g.data(), state);
        auto const weights = lab::from_device(device, w);
        auto const momentum = lab::from_device(device, first);
        for (std::size_t i = 0; i < reference.names.size(); ++i) {
            CAPTURE(variant, k, reference.names[i]);
            auto const offset = reference.tensors[i].offset;
            CHECK(fixture::difference(weights.data() + offset,
                                      reference.values[variant + "/weight/" + step + reference.names[i]]) <= tolerance);
            if (config.at("optimizer") == "LARSOptimizer")
                CHECK(fixture::difference(momentum.data() + offset,
                                          reference.values[variant + "/momentum/" + step + reference.names[i]]) <= tolerance);
        }
    }
}

}  // namespace

TEST_CASE("gpu optimizers: they follow the reference step by step") {
    emulation::with const machine(lab::any_order());
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
            follow(adam{.beta1 = config.at("beta_1"), .beta2 = config.at("beta_2"), .epsilon = config.at("epsilon")}, name,
                   config, 1e-5);
        }
    }
}

TEST_CASE("gpu optimizers: LARS takes two launches for any number of tensors, and trusts fully where a norm is zero", "[emulated]") {
    gpu device;
    std::vector<update_range> ranges;
    for (int i = 0; i < 20; ++i) ranges.push_back({.offset = 3 * i, .count = 3});
    auto w = lab::on_device(device, std::vector<float>(60, 0.0F));
    auto g = lab::on_device(device, std::vector<float>(60, 1.0F));
    auto momentum = lab::on_device(device, std::vector<float>(60));
    lars_update const u{.learning_rate = 0.5F};
    apply_lars(device, u, ranges, w.data(), g.data(), momentum.data());
    CHECK(lab::from_device(device, w) == std::vector<float>(60, -0.5F));
    auto const before = emulation::counts();
    apply_lars(device, u, ranges, w.data(), g.data(), momentum.data());
    CHECK(emulation::counts().launches - before.launches == 2);
    CHECK(emulation::counts().allocations == before.allocations);
    CHECK(emulation::counts().synchronizations == before.synchronizations);

    ranges.resize(1);  // another table is used from the next call on
    ranges[0].adapt = false;
    auto const weights = lab::from_device(device, w);
    apply_sgd(device, {.learning_rate = 1, .momentum = 0, .nesterov = false}, ranges, w.data(), g.data(), momentum.data());
    auto const after = lab::from_device(device, w);
    for (std::size_t i = 0; i < 60; ++i) CHECK(after[i] == weights[i] - (i < 3 ? 1.0F : 0.0F));
    apply_sgd(device, {}, {}, w.data(), g.data(), momentum.data());
    CHECK(lab::from_device(device, w) == after);
}

TEST_CASE("gpu optimizers: moving average of weights") {
    gpu device;
    auto w = lab::on_device(device, std::vector<float>{1, 2});
    auto average = lab::on_device(device, std::vector<float>{5, 10});
    apply_ema(device, 2, 0.75F, w.data(), average.data());
    CHECK(lab::from_device(device, average) == std::vector<float>{4, 8});
}
