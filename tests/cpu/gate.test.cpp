// SPDX-License-Identifier: Apache-2.0
// Gates (a {batch, channels} factor on a map) on the CPU against float64 loops and finite differences.

#include <tempera/cpu/gate.hpp>

#include "../catch.hpp"
#include "every_isa.hpp"
#include "sample.hpp"

using namespace tempera;
using sample::at;

namespace {

constexpr gate_geometry geometries[] = {{1, 1, 1},   {2, 5, 3},    {3, 49, 64}, {2, 7, 133},
                                        {1, 100, 16}, {2, 4500, 24}, {4, 1, 300}};

std::int64_t map_size(gate_geometry const& g) { return g.batch * g.positions * g.channels; }

std::size_t gate_of(gate_geometry const& g, std::size_t i) {
    return i / at(g.positions * g.channels) * at(g.channels) + i % at(g.channels);
}

}  // namespace

TEMPLATE_TEST_CASE("gate forward and backward equal float64 loops", "[cpu][gate]", float, bf16) {
    every_isa([](cpu& device) {
        for (gate_geometry const& g : geometries) {
            CAPTURE(g.batch, g.positions, g.channels);
            auto const gates = std::int64_t{1} * g.batch * g.channels;
            auto const x = sample::uniform<TestType>(map_size(g), 1);
            auto const dy = sample::uniform<TestType>(map_size(g), 2);
            auto const before = sample::uniform<TestType>(map_size(g), 3);
            auto const gate = sample::uniform<float>(gates, 4);
            auto const gate_before = sample::uniform<float>(gates, 5);
            auto const xd = sample::widen(x), dyd = sample::widen(dy), gd = sample::widen(gate), bd = sample::widen(before),
                       gbd = sample::widen(gate_before);
            std::vector<double> y(xd.size()), dx(xd.size()), dgate(gd.size(), 0.0);
            for (std::size_t i = 0; i < xd.size(); ++i) {
                y[i] = xd[i] * gd[gate_of(g, i)];
                dx[i] = dyd[i] * gd[gate_of(g, i)];
                dgate[gate_of(g, i)] += dyd[i] * xd[i];
            }
            std::vector<TestType> out(x.size());
            gate_forward(device, g, x.data(), gate.data(), out.data());
            CHECK(sample::difference(out, y) < sample::tolerance<TestType>);

            auto out_gate = gate_before;
            out = before;
            gate_backward(device, g, x.data(), gate.data(), dy.data(), out.data(), store::write, out_gate.data(),
                          store::write);
            CHECK(sample::difference(out, dx) < sample::tolerance<TestType>);
            CHECK(sample::difference(out_gate, dgate) < 3e-6);

            for (std::size_t i = 0; i < dx.size(); ++i) dx[i] += bd[i];
            for (std::size_t i = 0; i < dgate.size(); ++i) dgate[i] += gbd[i];
            out = before;
            out_gate = gate_before;
            gate_backward(device, g, x.data(), gate.data(), dy.data(), out.data(), store::accumulate,
                          static_cast<float*>(nullptr), store::write);
            gate_backward(device, g, x.data(), gate.data(), dy.data(), static_cast<TestType*>(nullptr), store::write,
                          out_gate.data(), store::accumulate);
            CHECK(sample::difference(out, dx) < sample::tolerance<TestType>);
            CHECK(sample::difference(out_gate, dgate) < 3e-6);
        }
    });
}

TEST_CASE("gate gradients equal finite differences", "[cpu][gate]") {
    gate_geometry const g{2, 3, 5};
    auto const x = sample::uniform<float>(map_size(g), 6);
    auto const gate = sample::uniform<float>(10, 7);
    auto const weights = sample::uniform<float>(map_size(g), 8);
    auto loss = [&](std::vector<double> const& xs, std::vector<double> const& gs) {
        double sum = 0;
        for (std::size_t i = 0; i < xs.size(); ++i) sum += static_cast<double>(weights[i]) * xs[i] * gs[gate_of(g, i)];
        return sum;
    };
    auto const xd = sample::widen(x), gd = sample::widen(gate);
    std::vector<double> dx(xd.size()), dgate(gd.size());
    for (std::size_t i = 0; i < xd.size(); ++i) {
        auto up = xd, down = xd;
        up[i] += 1e-6, down[i] -= 1e-6;
        dx[i] = (loss(up, gd) - loss(down, gd)) / 2e-6;
    }
    for (std::size_t i = 0; i < gd.size(); ++i) {
        auto up = gd, down = gd;
        up[i] += 1e-6, down[i] -= 1e-6;
        dgate[i] = (loss(xd, up) - loss(xd, down)) / 2e-6;
    }
    every_isa([&](cpu& device) {
        std::vector<float> out(x.size()), out_gate(gate.size());
        gate_backward(device, g, x.data(), gate.data(), weights.data(), out.data(), store::write, out_gate.data(),
                      store::write);
        CHECK(sample::difference(out, dx) < 1e-6);
        CHECK(sample::difference(out_gate, dgate) < 1e-6);
    });
}

TEST_CASE("gates of integers are exact", "[cpu][gate]") {
    every_isa([](cpu& device) {
        gate_geometry const g{2, 1000, 40};
        auto const x = sample::integers<float>(map_size(g), 9, -9, 9), dy = sample::integers<float>(map_size(g), 10, -9, 9);
        std::vector<double> dgate(80, 0.0);
        for (std::size_t i = 0; i < x.size(); ++i)
            dgate[gate_of(g, i)] += static_cast<double>(x[i]) * static_cast<double>(dy[i]);
        std::vector<float> out(80);
        gate_backward(device, g, x.data(), x.data(), dy.data(), static_cast<float*>(nullptr), store::write, out.data(),
                      store::write);
        CHECK(sample::difference(out, dgate) == 0.0);
    });
}

TEMPLATE_TEST_CASE("gates are bitwise the same for any number of threads", "[cpu][gate]", float, bf16) {
    for (gate_geometry const& g : {gate_geometry{1, 6000, 40}, gate_geometry{9, 100, 133}, gate_geometry{700, 3, 64}}) {
        auto const x = sample::uniform<TestType>(map_size(g), 11), dy = sample::uniform<TestType>(map_size(g), 12);
        auto const gate = sample::uniform<float>(std::int64_t{1} * g.batch * g.channels, 13);
        std::vector<TestType> first_y, first_dx;
        std::vector<float> first_gate;
        for (int const threads : {1, 2, 3, 5}) {
            cpu device{.threads = threads};
            std::vector<TestType> y(x.size()), dx(x.size());
            std::vector<float> dgate(gate.size());
            gate_forward(device, g, x.data(), gate.data(), y.data());
            gate_backward(device, g, x.data(), gate.data(), dy.data(), dx.data(), store::write, dgate.data(),
                          store::write);
            if (threads == 1) first_y = y, first_dx = dx, first_gate = dgate;
            CHECK(sample::same_bits(y, first_y));
            CHECK(sample::same_bits(dx, first_dx));
            CHECK(sample::same_bits(dgate, first_gate));
        }
    }
}

TEST_CASE("a gate of no samples touches nothing", "[cpu][gate]") {
    cpu device{.threads = 2};
    float const* none = nullptr;
    float* nowhere = nullptr;
    gate_forward(device, gate_geometry{0, 4, 3}, none, none, nowhere);
    gate_backward(device, gate_geometry{0, 4, 3}, none, none, none, nowhere, store::write, nowhere, store::write);
    SUCCEED();
}
