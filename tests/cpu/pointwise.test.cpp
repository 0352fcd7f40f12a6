// SPDX-License-Identifier: Apache-2.0
// Element-by-element functions on the CPU against float64 and finite differences.

#include <tempera/cpu/pointwise.hpp>

#include "../catch.hpp"
#include "every_isa.hpp"
#include "sample.hpp"

using namespace tempera;
using sample::at;

namespace {

constexpr std::int64_t lengths[] = {1, 3, 7, 8, 9, 31, 64, 65, 1000};

template <class F>
std::vector<double> each(std::vector<double> const& a, std::vector<double> const& b, F f) {
    std::vector<double> out(a.size());
    for (std::size_t i = 0; i < a.size(); ++i) out[i] = f(a[i], b[i]);
    return out;
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

}  // namespace

TEMPLATE_TEST_CASE("pointwise forward functions equal float64", "[cpu][pointwise]", float, bf16) {
    every_isa([](cpu& device) {
        for (auto const n : lengths) {
            CAPTURE(n);
            auto const a = sample::uniform<TestType>(n, 1, -6.0F, 6.0F), b = sample::uniform<TestType>(n, 2);
            auto const ad = sample::widen(a), bd = sample::widen(b);
            std::vector<TestType> y(at(n) + 1, TestType(-55.0F));  // one more than written: it must stay
            auto check = [&](std::vector<double> expected, double tolerance) {
                CHECK(static_cast<float>(y.back()) == -55.0F);
                expected.push_back(-55.0);
                auto shrunk = y;
                shrunk.back() = TestType(0.0F);
                expected.back() = 0.0;
                CHECK(sample::difference(shrunk, expected) <= tolerance);
            };
            double const rounding = sample::tolerance<TestType>;
            relu_forward(device, n, a.data(), y.data());
            check(each(ad, bd, [](double x, double) { return std::fmax(x, 0.0); }), 0.0);
            sigmoid_forward(device, n, a.data(), y.data());
            check(each(ad, bd, [](double x, double) { return sigmoid(x); }), rounding);
            add_forward(device, n, a.data(), b.data(), y.data());
            check(each(ad, bd, [](double x, double z) { return x + z; }), rounding);
            multiply_forward(device, n, a.data(), b.data(), y.data());
            check(each(ad, bd, [](double x, double z) { return x * z; }), rounding);
            copy(device, n, a.data(), y.data(), store::write);
            check(ad, 0.0);
            copy(device, n, b.data(), y.data(), store::accumulate);
            check(each(ad, bd, [](double x, double z) { return x + z; }), rounding);
            fill(device, n, 0.375F, y.data());
            check(std::vector<double>(at(n), 0.375), 0.0);
            scale(device, n, -4.0F, y.data());
            check(std::vector<double>(at(n), -1.5), 0.0);
        }
    });
}

TEMPLATE_TEST_CASE("pointwise backward functions equal float64", "[cpu][pointwise]", float, bf16) {
    every_isa([](cpu& device) {
        for (auto const n : lengths) {
            for (store const mode : {store::write, store::accumulate}) {
                CAPTURE(n, mode == store::accumulate);
                auto y = sample::uniform<TestType>(n, 3), dy = sample::uniform<TestType>(n, 4);
                y[0] = TestType(0.0F);  // no slope at exactly zero
                auto const before = sample::uniform<TestType>(n, 5);
                auto const yd = sample::widen(y), dyd = sample::widen(dy), bd = sample::widen(before);
                auto dx = before;
                auto check = [&](std::vector<double> expected) {
                    if (mode == store::accumulate) expected = each(expected, bd, [](double a, double b) { return a + b; });
                    CHECK(sample::difference(dx, expected) < sample::tolerance<TestType>);
                    dx = before;
                };
                relu_backward(device, n, y.data(), dy.data(), dx.data(), mode);
                check(each(yd, dyd, [](double v, double d) { return v > 0 ? d : 0.0; }));
                sigmoid_backward(device, n, y.data(), dy.data(), dx.data(), mode);
                check(each(yd, dyd, [](double v, double d) { return d * v * (1 - v); }));
                multiply_backward(device, n, y.data(), dy.data(), dx.data(), mode);
                check(each(yd, dyd, [](double v, double d) { return d * v; }));
            }
        }
    });
}

TEST_CASE("pointwise gradients equal finite differences", "[cpu][pointwise]") {
    auto const x = sample::uniform<float>(50, 6, -4.0F, 4.0F), other = sample::uniform<float>(50, 7),
               dy = sample::uniform<float>(50, 8);
    auto const xd = sample::widen(x), od = sample::widen(other), dyd = sample::widen(dy);
    auto slope = [&](auto f) {
        std::vector<double> out(xd.size());
        for (std::size_t i = 0; i < out.size(); ++i)
            out[i] = dyd[i] * (f(xd[i] + 1e-5, od[i]) - f(xd[i] - 1e-5, od[i])) / 2e-5;
        return out;
    };
    every_isa([&](cpu& device) {
        std::vector<float> y(50), dx(50);
        relu_forward(device, 50, x.data(), y.data());
        relu_backward(device, 50, y.data(), dy.data(), dx.data(), store::write);
        CHECK(sample::difference(dx, slope([](double v, double) { return std::fmax(v, 0.0); })) < 1e-6);
        sigmoid_forward(device, 50, x.data(), y.data());
        sigmoid_backward(device, 50, y.data(), dy.data(), dx.data(), store::write);
        CHECK(sample::difference(dx, slope([](double v, double) { return sigmoid(v); })) < 2e-6);
        multiply_backward(device, 50, other.data(), dy.data(), dx.data(), store::write);
        CHECK(sample::difference(dx, slope([](double v, double o) { return v * o; })) < 1e-6);
    });
}

TEST_CASE("sigmoid at its ends", "[cpu][pointwise]") {
    every_isa([](cpu& device) {
        std::vector<float> const x{-200.0F, -88.0F, -20.0F, 0.0F, 20.0F, 88.0F, 200.0F};
        std::vector<float> y(7);
        sigmoid_forward(device, 7, x.data(), y.data());
        for (std::size_t i = 0; i < 7; ++i) {
            double const expected = sigmoid(static_cast<double>(x[i]));
            CHECK(std::fabs(static_cast<double>(y[i]) - expected) <= 3e-7 * expected + 1e-37);
        }
    });
}

TEST_CASE("relu lets a NaN through", "[cpu][pointwise]") {
    every_isa([](cpu& device) {
        std::vector<float> const x(9, NAN);
        std::vector<float> y(9);
        relu_forward(device, 9, x.data(), y.data());
        for (float const v : y) CHECK(std::isnan(v));
    });
}

TEST_CASE("convert rounds to nearest even and back exactly", "[cpu][pointwise]") {
    every_isa([](cpu& device) {
        auto x = sample::uniform<float>(500, 9, -100.0F, 100.0F);
        x.insert(x.end(), {0.0F, -0.0F, 1.00390625F, 1.01171875F, 3e38F, 3.4e38F, INFINITY, -INFINITY, 1e-38F, NAN});
        auto const n = static_cast<std::int64_t>(x.size());
        std::vector<bf16> narrow(x.size()), expected;
        for (float const v : x) expected.push_back(bf16(v));
        convert(device, n, x.data(), narrow.data());
        bool nan_stays = false;
        for (std::size_t i = 0; i < x.size(); ++i) {
            if (std::isnan(x[i])) nan_stays = std::isnan(static_cast<float>(narrow[i]));
            else CHECK(narrow[i] == expected[i]);
        }
        CHECK(nan_stays);
        std::vector<float> wide(x.size()), same(x.size());
        convert(device, n, narrow.data(), wide.data());
        for (std::size_t i = 0; i + 1 < x.size(); ++i) CHECK(wide[i] == static_cast<float>(expected[i]));
        convert(device, n, x.data(), same.data());
        CHECK(sample::same_bits(same, x));
    });
}

TEMPLATE_TEST_CASE("copy_channels moves a slice and leaves the rest", "[cpu][pointwise]", float, bf16) {
    every_isa([](cpu& device) {
        for (channel_copy const& c : {channel_copy{5, 7, 2, 9, 3, 4}, channel_copy{33, 64, 32, 40, 0, 32},
                                      channel_copy{3, 1, 0, 2, 1, 1}, channel_copy{4, 133, 1, 132, 0, 132}}) {
            for (store const mode : {store::write, store::accumulate}) {
                auto const x = sample::integers<TestType>(c.rows * c.source_channels, 10, -20, 20);
                auto y = sample::integers<TestType>(c.rows * c.target_channels, 11, -20, 20);
                auto expected = sample::widen(y);
                for (std::int64_t r = 0; r < c.rows; ++r) {
                    for (int k = 0; k < c.count; ++k) {
                        double const v = static_cast<float>(x[at(r * c.source_channels + c.source_begin + k)]);
                        double& target = expected[at(r * c.target_channels + c.target_begin + k)];
                        target = mode == store::write ? v : target + v;
                    }
                }
                copy_channels(device, c, x.data(), y.data(), mode);
                CHECK(sample::difference(y, expected) == 0.0);
            }
        }
    });
}

TEMPLATE_TEST_CASE("pointwise functions are bitwise the same for any number of threads", "[cpu][pointwise]", float, bf16) {
    std::int64_t const n = 300007;
    auto const a = sample::uniform<TestType>(n, 12), b = sample::uniform<TestType>(n, 13);
    auto const one = [&](int threads) {
        cpu device{.threads = threads};
        std::vector<TestType> y(at(n)), z(at(n));
        sigmoid_forward(device, n, a.data(), y.data());
        multiply_forward(device, n, y.data(), b.data(), z.data());
        relu_backward(device, n, b.data(), z.data(), y.data(), store::accumulate);
        copy_channels(device, channel_copy{2000, 150, 10, 150, 0, 130}, y.data(), z.data(), store::accumulate);
        copy(device, n, z.data(), y.data(), store::accumulate);
        scale(device, n, 1.25F, y.data());
        return y;
    };
    auto const first = one(1);
    for (int const threads : {2, 3, 5}) CHECK(sample::same_bits(one(threads), first));
}

TEST_CASE("pointwise functions of nothing touch nothing", "[cpu][pointwise]") {
    cpu device{.threads = 2};
    float const* none = nullptr;
    float* nowhere = nullptr;
    relu_forward(device, 0, none, nowhere);
    relu_backward(device, 0, none, none, nowhere, store::write);
    sigmoid_forward(device, 0, none, nowhere);
    sigmoid_backward(device, 0, none, none, nowhere, store::write);
    add_forward(device, 0, none, none, nowhere);
    multiply_forward(device, 0, none, none, nowhere);
    multiply_backward(device, 0, none, none, nowhere, store::write);
    copy(device, 0, none, nowhere, store::write);
    fill(device, 0, 1.0F, nowhere);
    scale(device, 0, 1.0F, nowhere);
    convert(device, 0, none, nowhere);
    copy_channels(device, channel_copy{0, 4, 0, 4, 0, 4}, none, nowhere, store::write);
    SUCCEED();
}
