// SPDX-License-Identifier: Apache-2.0
// The selective-kernel merge on the CPU against a two-way softmax in float64 and finite differences.

#include <tempera/cpu/selective.hpp>

#include "../catch.hpp"
#include "every_isa.hpp"
#include "sample.hpp"

using namespace tempera;
using sample::at;

namespace {

constexpr selective_geometry geometries[] = {{1, 1, 1},  {2, 5, 3},    {3, 49, 64}, {2, 7, 133},
                                             {1, 90, 16}, {2, 2000, 24}, {4, 1, 300}};

std::int64_t map_size(selective_geometry const& g) { return g.batch * g.positions * g.filters; }

/// The merged map, written as the softmax over the two logits.
std::vector<double> merged(selective_geometry const& g, std::vector<double> const& x, std::vector<double> const& logits) {
    std::vector<double> y(at(map_size(g)));
    auto const filters = at(g.filters);
    for (std::size_t i = 0; i < y.size(); ++i) {
        std::size_t const row = i / filters, c = i % filters, sample = row / at(g.positions);
        double const l0 = logits[sample * 2 * filters + c], l1 = logits[sample * 2 * filters + filters + c];
        double const largest = std::fmax(l0, l1);
        double const e0 = std::exp(l0 - largest), e1 = std::exp(l1 - largest);
        y[i] = (e0 * x[row * 2 * filters + c] + e1 * x[row * 2 * filters + filters + c]) / (e0 + e1);
    }
    return y;
}

}  // namespace

TEMPLATE_TEST_CASE("selective merge forward and backward equal float64", "[cpu][selective]", float, bf16) {
    every_isa([](cpu& device) {
        for (selective_geometry const& g : geometries) {
            CAPTURE(g.batch, g.positions, g.filters);
            auto const n = map_size(g), gates = std::int64_t{2} * g.batch * g.filters;
            auto const x = sample::uniform<TestType>(2 * n, 1);
            auto const dy = sample::uniform<TestType>(n, 2);
            auto const before = sample::uniform<TestType>(2 * n, 3);
            auto const logits = sample::uniform<float>(gates, 4, -4.0F, 4.0F);
            auto const logits_before = sample::uniform<float>(gates, 5);
            auto const xd = sample::widen(x), dyd = sample::widen(dy), ld = sample::widen(logits);

            std::vector<TestType> y(at(n));
            selective_merge_forward(device, g, x.data(), logits.data(), y.data());
            CHECK(sample::difference(y, merged(g, xd, ld)) < sample::tolerance<TestType>);

            std::vector<double> dx(xd.size()), dlogits(ld.size(), 0.0);
            auto const f = at(g.filters);
            for (std::size_t i = 0; i < dyd.size(); ++i) {
                std::size_t const row = i / f, c = i % f, s = row / at(g.positions);
                double const a0 = 1 / (1 + std::exp(ld[s * 2 * f + f + c] - ld[s * 2 * f + c]));
                dx[row * 2 * f + c] = a0 * dyd[i];
                dx[row * 2 * f + f + c] = (1 - a0) * dyd[i];
                double const slope = dyd[i] * (xd[row * 2 * f + c] - xd[row * 2 * f + f + c]) * a0 * (1 - a0);
                dlogits[s * 2 * f + c] += slope;
                dlogits[s * 2 * f + f + c] -= slope;
            }
            auto out = before;
            auto out_logits = logits_before;
            selective_merge_backward(device, g, x.data(), logits.data(), dy.data(), out.data(), store::write,
                                     out_logits.data(), store::write);
            CHECK(sample::difference(out, dx) < sample::tolerance<TestType>);
            CHECK(sample::difference(out_logits, dlogits) < 3e-6);

            auto const bd = sample::widen(before), lbd = sample::widen(logits_before);
            for (std::size_t i = 0; i < dx.size(); ++i) dx[i] += bd[i];
            for (std::size_t i = 0; i < dlogits.size(); ++i) dlogits[i] += lbd[i];
            out = before;
            out_logits = logits_before;
            selective_merge_backward(device, g, x.data(), logits.data(), dy.data(), out.data(), store::accumulate,
                                     out_logits.data(), store::accumulate);
            CHECK(sample::difference(out, dx) < sample::tolerance<TestType>);
            CHECK(sample::difference(out_logits, dlogits) < 3e-6);
        }
    });
}

TEST_CASE("selective merge gradients equal finite differences", "[cpu][selective]") {
    selective_geometry const g{2, 3, 5};
    auto const x = sample::uniform<float>(60, 6);
    auto const logits = sample::uniform<float>(20, 7, -2.0F, 2.0F);
    auto const weights = sample::uniform<float>(30, 8);
    auto loss = [&](std::vector<double> const& xs, std::vector<double> const& ls) {
        auto const y = merged(g, xs, ls);
        double sum = 0;
        for (std::size_t i = 0; i < y.size(); ++i) sum += static_cast<double>(weights[i]) * y[i];
        return sum;
    };
    auto const xd = sample::widen(x), ld = sample::widen(logits);
    std::vector<double> dx(xd.size()), dlogits(ld.size());
    for (std::size_t i = 0; i < xd.size(); ++i) {
        auto up = xd, down = xd;
        up[i] += 1e-6, down[i] -= 1e-6;
        dx[i] = (loss(up, ld) - loss(down, ld)) / 2e-6;
    }
    for (std::size_t i = 0; i < ld.size(); ++i) {
        auto up = ld, down = ld;
        up[i] += 1e-6, down[i] -= 1e-6;
        dlogits[i] = (loss(xd, up) - loss(xd, down)) / 2e-6;
    }
    every_isa([&](cpu& device) {
        std::vector<float> out(x.size()), out_logits(logits.size());
        selective_merge_backward(device, g, x.data(), logits.data(), weights.data(), out.data(), store::write,
                                 out_logits.data(), store::write);
        CHECK(sample::difference(out, dx) < 1e-6);
        CHECK(sample::difference(out_logits, dlogits) < 1e-6);
    });
}

TEST_CASE("selective merge saturates without NaN", "[cpu][selective]") {
    every_isa([](cpu& device) {
        selective_geometry const g{1, 2, 2};
        std::vector<float> const x{1, 2, 3, 4, 5, 6, 7, 8}, logits{200, -200, -200, 200};
        std::vector<float> y(4), dx(8), dlogits(4);
        selective_merge_forward(device, g, x.data(), logits.data(), y.data());
        CHECK(y == std::vector<float>{1, 4, 5, 8});
        selective_merge_backward(device, g, x.data(), logits.data(), x.data(), dx.data(), store::write, dlogits.data(),
                                 store::write);
        CHECK(dx == std::vector<float>{1, 0, 0, 2, 3, 0, 0, 4});
        CHECK(dlogits == std::vector<float>{0, 0, 0, 0});
    });
}

TEMPLATE_TEST_CASE("selective merge is bitwise the same for any number of threads", "[cpu][selective]", float, bf16) {
    for (selective_geometry const& g : {selective_geometry{1, 4000, 40}, selective_geometry{9, 100, 133}}) {
        auto const n = map_size(g);
        auto const x = sample::uniform<TestType>(2 * n, 9), dy = sample::uniform<TestType>(n, 10);
        auto const logits = sample::uniform<float>(std::int64_t{2} * g.batch * g.filters, 11);
        std::vector<TestType> first_y, first_dx;
        std::vector<float> first_logits;
        for (int const threads : {1, 2, 3, 5}) {
            cpu device{.threads = threads};
            std::vector<TestType> y(dy.size()), dx(x.size());
            std::vector<float> dlogits(logits.size());
            selective_merge_forward(device, g, x.data(), logits.data(), y.data());
            selective_merge_backward(device, g, x.data(), logits.data(), dy.data(), dx.data(), store::write,
                                     dlogits.data(), store::write);
            if (threads == 1) first_y = y, first_dx = dx, first_logits = dlogits;
            CHECK(sample::same_bits(y, first_y));
            CHECK(sample::same_bits(dx, first_dx));
            CHECK(sample::same_bits(dlogits, first_logits));
        }
    }
}

TEST_CASE("a selective merge of no samples touches nothing", "[cpu][selective]") {
    cpu device{.threads = 2};
    float const* none = nullptr;
    float* nowhere = nullptr;
    selective_merge_forward(device, selective_geometry{0, 4, 3}, none, none, nowhere);
    selective_merge_backward(device, selective_geometry{0, 4, 3}, none, none, none, nowhere, store::write, nowhere,
                             store::write);
    SUCCEED();
}
