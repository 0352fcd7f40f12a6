// SPDX-License-Identifier: Apache-2.0
// Pooling on the CPU against window loops in float64 and finite differences.

#include <tempera/cpu/pooling.hpp>

#include <algorithm>

#include "../catch.hpp"
#include "every_isa.hpp"
#include "sample.hpp"

using namespace tempera;
using sample::at;

namespace {

// batch, in h, in w, out h, out w, channels, kernel, stride, pad top, pad left
constexpr pool_geometry geometries[] = {
    {2, 6, 6, 3, 3, 5, 2, 2, 0, 0},     // plain halving
    {2, 8, 8, 4, 4, 64, 3, 2, 0, 0},    // the stem on even maps: only the end is padded
    {1, 7, 9, 4, 5, 33, 3, 2, 1, 1},    // SAME on odd maps
    {2, 5, 5, 5, 5, 16, 2, 1, 0, 0},    // the shortcut at stride 1
    {1, 5, 6, 3, 3, 24, 2, 2, 0, 0},    // odd height: the last window is cut
    {3, 4, 4, 4, 4, 1, 5, 1, 2, 2},     // windows wider than the map
    {1, 1, 1, 1, 1, 130, 1, 1, 0, 0},   // nothing to pool
    {2, 9, 3, 3, 1, 48, 3, 3, 0, 0},
};

struct window {
    int i_begin, i_end, j_begin, j_end;
    int count() const { return (i_end - i_begin) * (j_end - j_begin); }
};

window window_of(pool_geometry const& g, int i, int j) {
    int const top = i * g.stride - g.pad_top, left = j * g.stride - g.pad_left;
    return {std::max(top, 0), std::min(top + g.kernel, g.in_height), std::max(left, 0),
            std::min(left + g.kernel, g.in_width)};
}

std::size_t in_at(pool_geometry const& g, int n, int i, int j, int c) {
    return at(((std::int64_t{n} * g.in_height + i) * g.in_width + j) * g.channels + c);
}
std::size_t out_at(pool_geometry const& g, int n, int i, int j, int c) {
    return at(((std::int64_t{n} * g.out_height + i) * g.out_width + j) * g.channels + c);
}
std::int64_t in_size(pool_geometry const& g) { return std::int64_t{1} * g.batch * g.in_height * g.in_width * g.channels; }
std::int64_t out_size(pool_geometry const& g) {
    return std::int64_t{1} * g.batch * g.out_height * g.out_width * g.channels;
}

template <class F>
void each_output(pool_geometry const& g, F f) {
    for (int n = 0; n < g.batch; ++n)
        for (int i = 0; i < g.out_height; ++i)
            for (int j = 0; j < g.out_width; ++j)
                for (int c = 0; c < g.channels; ++c) f(n, i, j, c);
}

/// Index into x of the first maximum of every output.
std::vector<std::size_t> first_maximum(pool_geometry const& g, std::vector<double> const& x) {
    std::vector<std::size_t> out(at(out_size(g)));
    each_output(g, [&](int n, int i, int j, int c) {
        auto const w = window_of(g, i, j);
        std::size_t best = in_at(g, n, w.i_begin, w.j_begin, c);
        for (int a = w.i_begin; a < w.i_end; ++a)
            for (int b = w.j_begin; b < w.j_end; ++b)
                if (x[in_at(g, n, a, b, c)] > x[best]) best = in_at(g, n, a, b, c);
        out[out_at(g, n, i, j, c)] = best;
    });
    return out;
}

double counted(pool_geometry const& g, double inside) { return g.count_padding ? g.kernel * g.kernel : inside; }

std::vector<double> average(pool_geometry const& g, std::vector<double> const& x) {
    std::vector<double> out(at(out_size(g)), 0.0);
    each_output(g, [&](int n, int i, int j, int c) {
        auto const w = window_of(g, i, j);
        for (int a = w.i_begin; a < w.i_end; ++a)
            for (int b = w.j_begin; b < w.j_end; ++b)
                out[out_at(g, n, i, j, c)] += x[in_at(g, n, a, b, c)] / counted(g, w.count());
    });
    return out;
}

std::vector<double> average_transposed(pool_geometry const& g, std::vector<double> const& dy) {
    std::vector<double> out(at(in_size(g)), 0.0);
    each_output(g, [&](int n, int i, int j, int c) {
        auto const w = window_of(g, i, j);
        for (int a = w.i_begin; a < w.i_end; ++a)
            for (int b = w.j_begin; b < w.j_end; ++b)
                out[in_at(g, n, a, b, c)] += dy[out_at(g, n, i, j, c)] / counted(g, w.count());
    });
    return out;
}

}  // namespace

TEMPLATE_TEST_CASE("max pool picks the first maximum and sends the gradient there", "[cpu][pooling]", float, bf16) {
    every_isa([](cpu& device) {
        int number = 0;
        for (pool_geometry const& g : geometries) {
            for (bool const ties : {false, true}) {
                CAPTURE(number, ties);
                // few distinct values, so that most windows hold their maximum more than once
                auto const x = ties ? sample::integers<TestType>(in_size(g), 1, -1, 1)
                                    : sample::uniform<TestType>(in_size(g), 1, -5.0F, -1.0F);
                auto const dy = sample::uniform<TestType>(out_size(g), 2);
                auto const before = sample::uniform<TestType>(in_size(g), 3);
                auto const best = first_maximum(g, sample::widen(x));

                std::vector<TestType> y(best.size()), alone(best.size());
                std::vector<std::uint8_t> argmax(best.size(), 255);
                max_pool_forward(device, g, x.data(), y.data(), argmax.data());
                max_pool_forward(device, g, x.data(), alone.data(), static_cast<std::uint8_t*>(nullptr));
                CHECK(sample::same_bits(y, alone));
                bool values = true, places = true;
                each_output(g, [&](int n, int i, int j, int c) {
                    auto const o = out_at(g, n, i, j, c);
                    int const row = i * g.stride - g.pad_top + argmax[o] / g.kernel;
                    int const column = j * g.stride - g.pad_left + argmax[o] % g.kernel;
                    places = places && in_at(g, n, row, column, c) == best[o];
                    values = values && y[o] == x[best[o]];
                });
                CHECK(values);
                CHECK(places);

                for (store const mode : {store::write, store::accumulate}) {
                    std::vector<double> expected(x.size(), 0.0);
                    auto const dyd = sample::widen(dy);
                    for (std::size_t o = 0; o < best.size(); ++o) expected[best[o]] += dyd[o];
                    if (mode == store::accumulate) {
                        auto const b = sample::widen(before);
                        for (std::size_t i = 0; i < b.size(); ++i) expected[i] += b[i];
                    }
                    auto dx = before;
                    max_pool_backward(device, g, static_cast<std::uint8_t const*>(argmax.data()), dy.data(), dx.data(),
                                      mode);
                    CHECK(sample::difference(dx, expected) < sample::tolerance<TestType>);
                }
            }
            ++number;
        }
    });
}

TEMPLATE_TEST_CASE("average pool divides by the positions inside, or by all", "[cpu][pooling]", float, bf16) {
    every_isa([](cpu& device) {
        int number = 0;
        auto both = std::vector<pool_geometry>(std::begin(geometries), std::end(geometries));
        for (std::size_t i = both.size(); i-- > 0;) {
            both.push_back(both[i]);
            both.back().count_padding = true;
        }
        for (pool_geometry const& g : both) {
            CAPTURE(number++, g.count_padding);
            auto const x = sample::uniform<TestType>(in_size(g), 4);
            auto const dy = sample::uniform<TestType>(out_size(g), 5);
            auto const before = sample::uniform<TestType>(in_size(g), 6);
            std::vector<TestType> y(at(out_size(g)));
            average_pool_forward(device, g, x.data(), y.data());
            CHECK(sample::difference(y, average(g, sample::widen(x))) < sample::tolerance<TestType>);

            auto expected = average_transposed(g, sample::widen(dy));
            std::vector<TestType> dx(x.size(), TestType(77.0F));
            average_pool_backward(device, g, dy.data(), dx.data(), store::write);
            CHECK(sample::difference(dx, expected) < sample::tolerance<TestType>);
            dx = before;
            auto const b = sample::widen(before);
            for (std::size_t i = 0; i < b.size(); ++i) expected[i] += b[i];
            average_pool_backward(device, g, dy.data(), dx.data(), store::accumulate);
            CHECK(sample::difference(dx, expected) < sample::tolerance<TestType>);
        }
    });
}

TEST_CASE("pool gradients equal finite differences", "[cpu][pooling]") {
    pool_geometry const g{1, 5, 4, 3, 2, 3, 3, 2, 1, 0};
    auto const x = sample::uniform<float>(in_size(g), 7);
    auto const weights = sample::uniform<float>(out_size(g), 8);
    auto const w = sample::widen(weights);
    auto numeric = [&](auto forward) {
        auto point = sample::widen(x);
        std::vector<double> out(point.size());
        auto loss = [&] {
            auto const y = forward(point);
            double sum = 0;
            for (std::size_t o = 0; o < y.size(); ++o) sum += y[o] * w[o];
            return sum;
        };
        for (std::size_t i = 0; i < point.size(); ++i) {
            double const kept = point[i];
            point[i] = kept + 1e-6;
            double const up = loss();
            point[i] = kept - 1e-6;
            out[i] = (up - loss()) / 2e-6;
            point[i] = kept;
        }
        return out;
    };
    auto maximum = [&](std::vector<double> const& v) {
        std::vector<double> y;
        for (std::size_t const i : first_maximum(g, v)) y.push_back(v[i]);
        return y;
    };
    every_isa([&](cpu& device) {
        std::vector<float> y(at(out_size(g))), dx(x.size());
        std::vector<std::uint8_t> argmax(y.size());
        max_pool_forward(device, g, x.data(), y.data(), argmax.data());
        max_pool_backward(device, g, static_cast<std::uint8_t const*>(argmax.data()), weights.data(), dx.data(),
                          store::write);
        CHECK(sample::difference(dx, numeric(maximum)) < 1e-6);
        average_pool_backward(device, g, weights.data(), dx.data(), store::write);
        CHECK(sample::difference(dx, numeric([&](std::vector<double> const& v) { return average(g, v); })) < 1e-6);
    });
}

TEMPLATE_TEST_CASE("global average pool", "[cpu][pooling]", float, bf16) {
    struct size {
        int batch;
        std::int64_t positions;
        int channels;
    };
    every_isa([](cpu& device) {
        for (size const s : {size{1, 1, 1}, size{3, 16, 64}, size{2, 49, 133}, size{5, 1, 7}, size{2, 3000, 24}}) {
            CAPTURE(s.batch, s.positions, s.channels);
            auto const n = s.batch * s.positions * s.channels;
            auto const x = sample::uniform<TestType>(n, 9);
            auto const dy = sample::uniform<float>(std::int64_t{1} * s.batch * s.channels, 10);
            auto const before = sample::uniform<TestType>(n, 11);
            std::vector<double> mean(dy.size(), 0.0), spread(x.size());
            auto const xd = sample::widen(x), dyd = sample::widen(dy), bd = sample::widen(before);
            auto gate = [&](std::size_t i) {
                auto const channels = at(s.channels);
                return i / (at(s.positions) * channels) * channels + i % channels;
            };
            for (std::size_t i = 0; i < xd.size(); ++i) {
                mean[gate(i)] += xd[i] / static_cast<double>(s.positions);
                spread[i] = dyd[gate(i)] / static_cast<double>(s.positions);
            }
            std::vector<float> y(dy.size(), 5.0F);
            global_average_pool_forward(device, s.batch, s.positions, s.channels, x.data(), y.data());
            CHECK(sample::difference(y, mean) < 2e-6);
            std::vector<TestType> dx = before;
            global_average_pool_backward(device, s.batch, s.positions, s.channels, dy.data(), dx.data(), store::write);
            CHECK(sample::difference(dx, spread) < sample::tolerance<TestType>);
            dx = before;
            for (std::size_t i = 0; i < bd.size(); ++i) spread[i] += bd[i];
            global_average_pool_backward(device, s.batch, s.positions, s.channels, dy.data(), dx.data(),
                                         store::accumulate);
            CHECK(sample::difference(dx, spread) < sample::tolerance<TestType>);
        }
    });
}

TEST_CASE("pooling of integers is exact", "[cpu][pooling]") {
    every_isa([](cpu& device) {
        pool_geometry const g{2, 8, 8, 4, 4, 20, 2, 2, 0, 0};
        auto const x = sample::integers<float>(in_size(g), 12, -100, 100);
        std::vector<float> y(at(out_size(g))), means(40);
        average_pool_forward(device, g, x.data(), y.data());
        auto const expected = average(g, sample::widen(x));
        CHECK(sample::difference(y, expected) == 0.0);
        global_average_pool_forward(device, 2, 64, 20, x.data(), means.data());
        std::vector<double> sums(40, 0.0);
        for (std::size_t i = 0; i < x.size(); ++i) sums[i / 1280 * 20 + i % 20] += static_cast<double>(x[i]) / 64;
        CHECK(sample::difference(means, sums) == 0.0);
    });
}

TEMPLATE_TEST_CASE("pooling is bitwise the same for any number of threads", "[cpu][pooling]", float, bf16) {
    pool_geometry const g{3, 41, 37, 21, 19, 40, 3, 2, 1, 1};
    auto const x = sample::uniform<TestType>(in_size(g), 13);
    auto const dy = sample::uniform<TestType>(out_size(g), 14);
    auto const one = [&](int threads) {
        cpu device{.threads = threads};
        std::vector<TestType> y(at(out_size(g))), mean(y), dx(x.size()), spread(dx);
        std::vector<std::uint8_t> argmax(y.size());
        std::vector<float> vectors(120);
        max_pool_forward(device, g, x.data(), y.data(), argmax.data());
        max_pool_backward(device, g, static_cast<std::uint8_t const*>(argmax.data()), dy.data(), dx.data(),
                          store::write);
        average_pool_forward(device, g, x.data(), mean.data());
        average_pool_backward(device, g, dy.data(), spread.data(), store::write);
        global_average_pool_forward(device, 1, std::int64_t{3} * 41 * 37, 40, x.data(), vectors.data());
        global_average_pool_forward(device, 3, std::int64_t{41} * 37, 40, x.data(), vectors.data());
        for (float const v : vectors) y.push_back(TestType(v));
        y.insert(y.end(), mean.begin(), mean.end());
        y.insert(y.end(), dx.begin(), dx.end());
        y.insert(y.end(), spread.begin(), spread.end());
        return y;
    };
    auto const first = one(1);
    for (int const threads : {2, 3, 5}) CHECK(sample::same_bits(one(threads), first));
}

TEST_CASE("pooling of no samples touches nothing", "[cpu][pooling]") {
    cpu device{.threads = 2};
    pool_geometry const g{0, 4, 4, 2, 2, 3, 2, 2, 0, 0};
    float const* none = nullptr;
    float* nowhere = nullptr;
    max_pool_forward(device, g, none, nowhere, static_cast<std::uint8_t*>(nullptr));
    max_pool_backward(device, g, static_cast<std::uint8_t const*>(nullptr), none, nowhere, store::write);
    average_pool_forward(device, g, none, nowhere);
    average_pool_backward(device, g, none, nowhere, store::accumulate);
    global_average_pool_forward(device, 0, 16, 3, none, nowhere);
    global_average_pool_backward(device, 0, 16, 3, none, nowhere, store::write);
    SUCCEED();
}
