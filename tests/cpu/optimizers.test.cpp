// SPDX-License-Identifier: Apache-2.0
// Optimizer updates on the CPU against float64 over ranges of all sizes, their edge cases, and threads.

#include <tempera/cpu/optimizers.hpp>
#include <tempera/optim/ema.hpp>

#include "../catch.hpp"
#include "every_isa.hpp"
#include "sample.hpp"

using namespace tempera;
using sample::at;

namespace {

constexpr std::int64_t total = 60000;

/// Ranges of odd sizes with gaps between them, one of several chunks, one empty.
std::vector<update_range> const& odd_ranges() {
    static std::vector<update_range> const ranges{
        {3, 1, 0.01F, true},      {4, 7, 0, false},           {20, 64, 1e-2F, true},  {100, 0, 0.1F, true},
        {101, 4097, 0.2F, false}, {5000, 40003, 1e-3F, true}, {45003, 14997, 0, true}};
    return ranges;
}

/// State of an optimizer in float64.
struct state {
    std::vector<double> w, first, second;
};

/// The update rule as published, element by element in double.
template <class Rule>
void update(state& s, std::vector<double> const& g, Rule const& rule) {
    for (update_range const& r : odd_ranges()) {
        std::vector<double> decayed(at(r.count));
        for (std::int64_t i = 0; i < r.count; ++i)
            decayed[at(i)] = g[at(r.offset + i)] + static_cast<double>(r.weight_decay) * s.w[at(r.offset + i)];
        rule(r, decayed, s.w.data() + r.offset, s.first.data() + r.offset, s.second.data() + r.offset);
    }
}

double length(std::vector<double> const& x) {
    double sum = 0;
    for (double const v : x) sum += v * v;
    return std::sqrt(sum);
}

auto momentum_rule(double rate, double m, double eta, bool nesterov, bool classic) {
    return [=](update_range const& r, std::vector<double> const& g, double* w, double* v, double*) {
        auto trust = [&](std::vector<double> const& x) {
            double const ww = length({w, w + r.count}), xx = length(x);
            return eta > 0 && r.adapt && ww > 0 && xx > 0 ? eta * ww / xx : 1.0;
        };
        double const scaled = classic ? rate * trust(g) : 1.0;
        std::vector<double> step(g.size());
        for (std::size_t i = 0; i < g.size(); ++i) {
            v[i] = m * v[i] + scaled * g[i];
            step[i] = nesterov ? m * v[i] + scaled * g[i] : v[i];
        }
        double const after = classic ? 1.0 : rate * trust(step);
        for (std::size_t i = 0; i < g.size(); ++i) w[i] -= after * step[i];
    };
}

auto adam_rule(double rate, double b1, double b2, double epsilon, double t) {
    return [=](update_range const&, std::vector<double> const& g, double* w, double* m, double* v) {
        for (std::size_t i = 0; i < g.size(); ++i) {
            m[i] = b1 * m[i] + (1 - b1) * g[i];
            v[i] = b2 * v[i] + (1 - b2) * g[i] * g[i];
            w[i] -= rate * std::sqrt(1 - std::pow(b2, t)) / (1 - std::pow(b1, t)) * m[i] / (std::sqrt(v[i]) + epsilon);
        }
    };
}

/// Three updates in float32 and in float64; elements outside the ranges keep their bits.
template <class Step, class Rule>
void compare(cpu& device, Step const& step, Rule const& rule, double tolerance) {
    auto const before = sample::uniform<float>(total, 1);
    auto w = before;
    std::vector<float> first(at(total)), second(at(total));
    state expected{sample::widen(w), sample::widen(first), sample::widen(second)};
    for (int k = 0; k < 3; ++k) {
        auto const g = sample::uniform<float>(total, 10 + static_cast<std::uint64_t>(k));
        step(device, k, w.data(), g.data(), first.data(), second.data());
        update(expected, sample::widen(g), rule(k));
    }
    CHECK(sample::difference(w, expected.w) < tolerance);
    CHECK(sample::difference(first, expected.first) < tolerance);
    CHECK(sample::difference(second, expected.second) < tolerance);
    for (std::int64_t const i : {0, 2, 11, 19, 84, 100, 4198, 4999}) CHECK(w[at(i)] == before[at(i)]);
}

constexpr float rates[] = {0.3F, 0.1F, 0.7F};

}  // namespace

TEST_CASE("LARS equals float64", "[cpu][optimizers]") {
    every_isa([](cpu& device) {
        for (bool const nesterov : {false, true})
            for (bool const classic : {false, true}) {
                CAPTURE(nesterov, classic);
                compare(
                    device,
                    [&](cpu& d, int k, float* w, float const* g, float* v, float*) {
                        apply_lars(d, {rates[k], 0.9F, 0.02F, nesterov, classic}, odd_ranges(), w, g, v);
                    },
                    [&](int k) { return momentum_rule(static_cast<double>(rates[k]), 0.9F, 0.02F, nesterov, classic); },
                    2e-6);
            }
    });
}

TEST_CASE("SGD equals float64", "[cpu][optimizers]") {
    every_isa([](cpu& device) {
        for (bool const nesterov : {false, true})
            for (bool const classic : {false, true}) {
                CAPTURE(nesterov, classic);
                compare(
                    device,
                    [&](cpu& d, int k, float* w, float const* g, float* v, float*) {
                        apply_sgd(d, {rates[k], 0.9F, nesterov, classic}, odd_ranges(), w, g, v);
                    },
                    [&](int k) { return momentum_rule(static_cast<double>(rates[k]), 0.9F, 0, nesterov, classic); },
                    2e-6);
            }
    });
}

TEST_CASE("Adam equals float64", "[cpu][optimizers]") {
    every_isa([](cpu& device) {
        compare(
            device,
            [&](cpu& d, int k, float* w, float const* g, float* m, float* v) {
                apply_adam(d, {rates[k], 0.9F, 0.999F, 1e-3F, k + 1}, odd_ranges(), w, g, m, v);
            },
            [&](int k) { return adam_rule(static_cast<double>(rates[k]), 0.9F, 0.999F, 1e-3F, k + 1); }, 4e-6);
    });
}

TEST_CASE("a tensor of zeros, or with a gradient of zeros, takes a LARS step with trust 1", "[cpu][optimizers]") {
    every_isa([](cpu& device) {
        for (bool const classic : {false, true}) {
            std::vector<update_range> const ranges{{0, 2, 0, true}, {2, 2, 0, true}};
            float w[] = {0, 0, 3, 4}, v[4] = {};
            float const g[] = {1, -2, 0, 0};
            apply_lars(device, {.learning_rate = 0.5F, .classic_momentum = classic}, ranges, w, g, v);
            CHECK((w[0] == -0.5F && w[1] == 1.0F && w[2] == 3 && w[3] == 4));
        }
    });
}

TEST_CASE("norms of tensors far from 1 do not overflow or vanish", "[cpu][optimizers]") {
    every_isa([](cpu& device) {
        for (float const size : {1e-15F, 1e15F}) {
            std::vector<float> w(1000, size), g(1000, size), v(1000);
            std::vector<update_range> const ranges{{0, 1000, 0, true}};
            apply_lars(device, {.learning_rate = 1, .eta = 0.5F}, ranges, w.data(), g.data(), v.data());
            CHECK_THAT(w[999] / size, Catch::Matchers::WithinAbs(0.5F, 1e-6F));
        }
    });
}

TEST_CASE("the moving average equals float64 and starts anywhere", "[cpu][optimizers]") {
    every_isa([](cpu& device) {
        auto const w = sample::uniform<float>(total, 2);
        auto average = sample::uniform<float>(total, 3);
        auto expected = sample::widen(average);
        for (std::size_t i = 0; i < expected.size(); ++i)
            expected[i] = static_cast<double>(0.999F) * expected[i] +
                          (1 - static_cast<double>(0.999F)) * static_cast<double>(w[i]);
        ema{}(device, total, w.data(), average.data());
        CHECK(sample::difference(average, expected) < 1e-7);
        ema{.decay = 0}(device, total, w.data(), average.data());
        CHECK(sample::same_bits(average, w));
    });
    cpu device{.threads = 1};
    CHECK_THROWS_WITH((ema{.decay = 1.5F}(device, 0, nullptr, nullptr)),
                      Catch::Matchers::Contains("expected a decay from 0 to 1"));
}

TEST_CASE("optimizers are bitwise the same for any number of threads", "[cpu][optimizers]") {
    auto const g = sample::uniform<float>(total, 4);
    std::vector<std::vector<float>> expected;
    for (int const threads : {1, 2, 3, 5}) {
        cpu device{.threads = threads};
        std::vector<std::vector<float>> got;
        for (int kind = 0; kind < 3; ++kind) {
            auto w = sample::uniform<float>(total, 5);
            std::vector<float> first(at(total)), second(at(total));
            for (int k = 0; k < 2; ++k) {
                if (kind == 0)
                    apply_lars(device, {.learning_rate = 0.3F}, odd_ranges(), w.data(), g.data(), first.data());
                if (kind == 1)
                    apply_sgd(device, {.learning_rate = 0.3F}, odd_ranges(), w.data(), g.data(), first.data());
                if (kind == 2)
                    apply_adam(device, {.learning_rate = 0.3F, .step = k + 1}, odd_ranges(), w.data(), g.data(),
                               first.data(), second.data());
            }
            got.push_back(w);
            got.push_back(first);
        }
        if (threads == 1) expected = got;
        for (std::size_t i = 0; i < got.size(); ++i) CHECK(sample::same_bits(got[i], expected[i]));
    }
}
