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

TEST_CASE("gpu optimizers: LARS and Adam over ranges of several pieces") {
    emulation::with const machine(lab::any_order());
    bool const classic = GENERATE(true, false);
    int const start = GENERATE(0, 1);  // of the arrays, in packs or not
    // one element, more pieces than a block has threads, a full piece, nothing, and a few elements
    std::int64_t const counts[] = {1, 131 * piece_elements + 3, piece_elements, 0, 5};
    std::vector<update_range> ranges;
    std::int64_t size = 3;  // nobody updates the first; the second range can be in packs
    for (std::int64_t const count : counts) {
        ranges.push_back({.offset = size, .count = count, .weight_decay = 0.1F * static_cast<float>(ranges.size())});
        size += count;
    }
    ranges.back().adapt = false;

    gpu device;
    auto const w = lab::random_values<float>(size, 1);
    auto const g = lab::random_values<float>(size, 2);
    auto const m = lab::random_values<float>(size, 3);
    auto const shifted = [&](std::vector<float> const& values) {
        std::vector<float> all(values.size() + static_cast<std::size_t>(start));
        std::copy(values.begin(), values.end(), all.begin() + start);
        return lab::on_device(device, all);
    };
    auto w_memory = shifted(w);
    auto g_memory = shifted(g);
    auto m_memory = shifted(m);
    lars_update const u{.learning_rate = 0.5F, .eta = 0.01F, .nesterov = true, .classic_momentum = classic};
    apply_lars(device, u, ranges, w_memory.data() + start, g_memory.data() + start, m_memory.data() + start);

    auto expected_w = lab::exact(w);
    auto expected_m = lab::exact(m);
    for (update_range const& range : ranges) {
        auto const each = [&](auto const& function) {
            for (std::int64_t i = range.offset; i < range.offset + range.count; ++i) {
                auto const k = static_cast<std::size_t>(i);
                function(k, double{g[k]} + double{range.weight_decay} * double{w[k]});
            }
        };
        double const beta = double{u.momentum};
        double w_norm = 0;
        double x_norm = 0;
        each([&](std::size_t k, double gradient) {
            double const x = classic ? gradient : beta * (beta * double{m[k]} + gradient) + gradient;
            w_norm += double{w[k]} * double{w[k]};
            x_norm += x * x;
        });
        double const trust = range.adapt ? double{u.eta} * std::sqrt(w_norm / x_norm) : 1;
        double const rate = double{u.learning_rate} * trust;
        each([&](std::size_t k, double gradient) {
            double const step = classic ? rate * gradient : gradient;
            expected_m[k] = beta * double{m[k]} + step;
            expected_w[k] -= (classic ? 1 : rate) * (beta * expected_m[k] + step);
        });
    }
    auto const without_start = [&](buffer<float>& memory) {
        auto values = lab::from_device(device, memory);
        values.erase(values.begin(), values.begin() + start);
        return values;
    };
    CHECK(lab::difference(without_start(w_memory), expected_w) < 2e-6);
    CHECK(lab::difference(without_start(m_memory), expected_m) < 2e-6);

    auto first = shifted(m);
    auto second = shifted(std::vector<float>(static_cast<std::size_t>(size), 1.0F));
    adam_update const a{.learning_rate = 0.25F};
    apply_adam(device, a, ranges, w_memory.data() + start, g_memory.data() + start, first.data() + start,
               second.data() + start);
    double const rate = double{a.learning_rate} * std::sqrt(1 - double{a.beta2}) / (1 - double{a.beta1});
    for (update_range const& range : ranges)
        for (std::int64_t i = range.offset; i < range.offset + range.count; ++i) {
            auto const k = static_cast<std::size_t>(i);
            double const gradient = double{g[k]} + double{range.weight_decay} * expected_w[k];
            double const mean = double{a.beta1} * double{m[k]} + (1 - double{a.beta1}) * gradient;
            double const square = double{a.beta2} + (1 - double{a.beta2}) * gradient * gradient;
            expected_w[k] -= rate * mean / (std::sqrt(square) + double{a.epsilon});
        }
    CHECK(lab::difference(without_start(w_memory), expected_w) < 4e-6);
}

TEST_CASE("gpu optimizers: moving average of weights") {
    gpu device;
    int const count = GENERATE(1, 2, 4097);
    auto const w = lab::random_values<float>(count, 1);
    auto const old = lab::random_values<float>(count, 2);
    auto w_memory = lab::on_device(device, w);
    auto average = lab::on_device(device, old);
    apply_ema(device, count, 0.75F, w_memory.data(), average.data());
    auto expected = lab::exact(old);
    for (std::size_t i = 0; i < expected.size(); ++i) expected[i] = 0.75 * expected[i] + 0.25 * double{w[i]};
    CHECK(lab::difference(lab::from_device(device, average), expected) < 1e-6);
}
