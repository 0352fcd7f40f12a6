// SPDX-License-Identifier: Apache-2.0
// Convolution of every instruction set against sums written out in double.

#include "../catch.hpp"
#include "kernel_tables.hpp"

#include <tempera/cpu/convolution.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

using namespace tempera;
using namespace tempera::cpu_kernels;

namespace {

/// Small integers, or reals in [-1, 1): the k-th number of a seed.
struct numbers {
    std::uint32_t state;
    float integer() { return static_cast<float>(static_cast<int>(next() % 7U) - 3); }
    float real() { return static_cast<float>(next() & 0xffffU) / 32768.0F - 1.0F; }
    int below(int n) { return static_cast<int>(next() % static_cast<unsigned>(n)); }
    std::uint32_t next() {
        state = state * 1664525U + 1013904223U;
        return state >> 8;
    }
};

template <class T>
std::vector<T> filled(std::int64_t count, numbers& random, bool integers) {
    std::vector<T> v(static_cast<std::size_t>(count));
    for (T& x : v) x = T(integers ? random.integer() : random.real());
    return v;
}

template <class T>
double at(std::vector<T> const& v, std::int64_t i) {
    return static_cast<double>(static_cast<float>(v[static_cast<std::size_t>(i)]));
}

/// Calls f(output position, input position, weight) for every product of the definition.
template <class F>
void each_product(convolution_geometry const& g, F const& f) {
    for (int n = 0; n < g.batch; ++n)
        for (int i = 0; i < g.out_height; ++i)
            for (int j = 0; j < g.out_width; ++j)
                for (int r = 0; r < g.kernel; ++r)
                    for (int s = 0; s < g.kernel; ++s) {
                        int const y = i * g.stride + r - g.pad_top;
                        int const x = j * g.stride + s - g.pad_left;
                        if (y < 0 || y >= g.in_height || x < 0 || x >= g.in_width) continue;
                        for (int o = 0; o < g.out_channels; ++o)
                            for (int c = 0; c < g.in_channels; ++c)
                                f(((std::int64_t{n} * g.out_height + i) * g.out_width + j) * g.out_channels + o,
                                  ((std::int64_t{n} * g.in_height + y) * g.in_width + x) * g.in_channels + c,
                                  ((std::int64_t{o} * g.kernel + r) * g.kernel + s) * g.in_channels + c);
                    }
}

std::string text_of(convolution_geometry const& g) {
    auto const t = [](int v) { return std::to_string(v) + " "; };
    return "batch " + t(g.batch) + "in " + t(g.in_height) + t(g.in_width) + t(g.in_channels) + "out " +
           t(g.out_height) + t(g.out_width) + t(g.out_channels) + "kernel " + t(g.kernel) + "stride " + t(g.stride) +
           "pad " + t(g.pad_top) + t(g.pad_left);
}

/// A geometry as layers have it: SAME padding, odd or even, or none, or one more than needed.
convolution_geometry random_geometry(numbers& random) {
    static constexpr int kernels[] = {1, 2, 3, 5, 7};
    static constexpr int channels[] = {1, 2, 3, 4, 5, 8, 13, 16, 17, 33};
    convolution_geometry g;
    g.batch = 1 + random.below(3);
    g.kernel = kernels[random.below(5)];
    g.stride = 1 + random.below(3);
    g.in_height = g.kernel + random.below(8);
    g.in_width = g.kernel + random.below(8);
    g.in_channels = channels[random.below(10)];
    g.out_channels = channels[random.below(10)];
    g.pad_top = random.below(g.kernel);
    g.pad_left = random.below(g.kernel);
    int const pad_bottom = random.below(g.kernel);
    int const pad_right = random.below(g.kernel);
    g.out_height = (g.in_height + g.pad_top + pad_bottom - g.kernel) / g.stride + 1;
    g.out_width = (g.in_width + g.pad_left + pad_right - g.kernel) / g.stride + 1;
    return g;
}

/// Compares with the definition; tolerance 0 for integers.
template <class T>
void compare(std::vector<T> const& got, std::vector<double> const& expected, double relative, char const* what) {
    INFO(what);
    double scale = 1;
    for (double const e : expected) scale = std::fmax(scale, std::fabs(e));
    REQUIRE(got.size() == expected.size());
    std::size_t i = 0;
    while (i < expected.size() &&
           std::fabs(static_cast<double>(static_cast<float>(got[i])) - expected[i]) <= relative * scale) {
        ++i;
    }
    INFO("first difference at element " << i);
    CHECK(i == expected.size());
}

template <class T>
void check_all(cpu& device, gemm_kernels<T> const& kernels, convolution_geometry const& g, numbers& random,
               bool integers) {
    INFO(kernels.name << ": " << text_of(g));
    // integers are exact in float32; sums rounded to bf16 once at the end, twice when accumulated
    double const relative = std::is_same_v<T, bf16> ? 1.0 / 128 : integers ? 0.0 : 4e-6;
    auto const x = filled<T>(g.in_size(), random, integers);
    std::vector<float> w;  // numbers of T: kernels of bf16 pairs round weights
    for (T const v : filled<T>(g.weight_size(), random, integers)) w.push_back(static_cast<float>(v));
    auto const bias = filled<float>(g.out_channels, random, integers);
    auto const dy = filled<T>(g.out_size(), random, integers);

    std::vector<double> y_expected(static_cast<std::size_t>(g.out_size()));
    for (std::size_t i = 0; i < y_expected.size(); ++i) {
        y_expected[i] = static_cast<double>(bias[i % static_cast<std::size_t>(g.out_channels)]);
    }
    auto const dx_before = filled<T>(g.in_size(), random, integers);
    auto const dw_before = filled<float>(g.weight_size(), random, integers);
    auto const dbias_before = filled<float>(g.out_channels, random, integers);
    std::vector<double> dx_expected;
    std::vector<double> dw_expected;
    std::vector<double> dbias_expected;
    for (T const v : dx_before) dx_expected.push_back(static_cast<double>(static_cast<float>(v)));
    for (float const v : dw_before) dw_expected.push_back(static_cast<double>(v));
    for (float const v : dbias_before) dbias_expected.push_back(static_cast<double>(v));
    each_product(g, [&](std::int64_t out, std::int64_t in, std::int64_t weight) {
        y_expected[static_cast<std::size_t>(out)] += at(x, in) * at(w, weight);
        dx_expected[static_cast<std::size_t>(in)] += at(dy, out) * at(w, weight);
        dw_expected[static_cast<std::size_t>(weight)] += at(dy, out) * at(x, in);
    });
    for (std::int64_t i = 0; i < g.out_size(); ++i) {
        dbias_expected[static_cast<std::size_t>(i % g.out_channels)] += at(dy, i);
    }

    std::vector<T> y(static_cast<std::size_t>(g.out_size()), T(-99.0F));
    forward_with(device, kernels, g, x.data(), w.data(), {.bias = bias.data()}, y.data());
    compare(y, y_expected, relative, "y");
    forward_with(device, kernels, g, x.data(), w.data(), {bias.data(), dy.data(), true}, y.data());
    for (std::int64_t i = 0; i < g.out_size(); ++i) {
        double& expected = y_expected[static_cast<std::size_t>(i)];
        expected = std::max(expected + at(dy, i), 0.0);
    }
    compare(y, y_expected, relative, "y of the whole epilogue");

    auto dx = dx_before;
    backward_data_with(device, kernels, g, dy.data(), w.data(), dx.data(), store::accumulate);
    compare(dx, dx_expected, relative, "dx accumulated");
    for (std::size_t i = 0; i < dx.size(); ++i) dx_expected[i] -= static_cast<double>(static_cast<float>(dx_before[i]));
    backward_data_with(device, kernels, g, dy.data(), w.data(), dx.data(), store::write);
    compare(dx, dx_expected, relative, "dx");

    double const float_relative = integers ? 0.0 : 4e-6;
    auto dw = dw_before;
    auto dbias = dbias_before;
    backward_weights_with(device, kernels, g, x.data(), dy.data(), dw.data(), store::accumulate);
    add_rows_with(device, kernels, g, dy.data(), dbias.data(), store::accumulate);
    compare(dw, dw_expected, float_relative, "dw accumulated");
    compare(dbias, dbias_expected, float_relative, "dbias accumulated");
    for (std::size_t i = 0; i < dw.size(); ++i) dw_expected[i] -= static_cast<double>(dw_before[i]);
    for (std::size_t i = 0; i < dbias.size(); ++i) dbias_expected[i] -= static_cast<double>(dbias_before[i]);
    backward_weights_with(device, kernels, g, x.data(), dy.data(), dw.data(), store::write);
    add_rows_with(device, kernels, g, dy.data(), dbias.data(), store::write);
    compare(dw, dw_expected, float_relative, "dw");
    compare(dbias, dbias_expected, float_relative, "dbias");
}

/// Of integers and of fractions.
template <class T, std::size_t N>
void check_layers(cpu& device, gemm_kernels<T> const& kernels, convolution_geometry const (&layers)[N],
                  numbers random) {
    for (auto const& g : layers) {
        check_all<T>(device, kernels, g, random, true);
        check_all<T>(device, kernels, g, random, false);
    }
}

}  // namespace

TEST_CASE("convolutions of random geometry agree with the definition", "[cpu][convolution]") {
    cpu device{.threads = 2};
    for (auto const* const kernels : test::kernel_tables<float>()) {
        numbers random{7};
        for (int i = 0; i < 60; ++i) {
            auto const g = random_geometry(random);
            check_all<float>(device, *kernels, g, random, true);
            if (i % 3 == 0) check_all<float>(device, *kernels, g, random, false);
        }
    }
    for (auto const* const kernels : test::kernel_tables<bf16>()) {
        numbers random{9};
        for (int i = 0; i < 40; ++i) {
            auto g = random_geometry(random);
            g.out_channels *= kernels->pair;
            check_all<bf16>(device, *kernels, g, random, i % 2 == 0);
        }
    }
}

TEST_CASE("convolutions of layers agree with the definition", "[cpu][convolution]") {
    cpu device{.threads = 2};
    // batch, in, out, kernel, stride, pad: the stem of 28 x 28 digits, residual layers, projections, a dense layer,
    // a depth above one stretch and rows above one block, a padded 1x1
    convolution_geometry const layers[] = {
        {2, 28, 28, 1, 14, 14, 16, 3, 2, 1, 1}, {2, 28, 28, 1, 28, 28, 8, 3, 1, 1, 1},
        {1, 8, 8, 64, 8, 8, 64, 3, 1, 1, 1},    {1, 7, 7, 40, 4, 4, 48, 3, 2, 1, 1},
        {2, 9, 9, 24, 5, 5, 70, 1, 2, 0, 0},    {2, 6, 6, 96, 6, 6, 24, 1, 1, 0, 0},
        {9, 1, 1, 100, 1, 1, 10, 1, 1, 0, 0},   {1, 3, 3, 150, 3, 3, 20, 3, 1, 1, 1},
        {1, 2, 2, 512, 2, 2, 16, 1, 1, 0, 0},   {1, 4, 4, 3, 6, 6, 5, 1, 1, 1, 1},
        {1, 30, 41, 2, 30, 41, 3, 3, 1, 1, 1},  {1, 17, 17, 3, 9, 9, 32, 7, 2, 3, 3},
        {2, 1, 1, 20, 1, 1, 7, 3, 1, 1, 1},     {1, 2, 2, 6, 1, 1, 6, 3, 2, 0, 0}};
    for (auto const* const kernels : test::kernel_tables<float>()) check_layers(device, *kernels, layers, {11});
}

TEST_CASE("convolutions by tiles agree with the definition", "[cpu][convolution]") {
    cpu device{.threads = 2};
    // batch, in, out, kernel, stride, pad: strides whose phases differ in size, windows beyond each edge and far beyond it,
    // results fewer than a block and more, groups of channels and of filters, half a tile, no samples; lines of windows that
    // are filled up with zeros, and lines of the map that are read for several windows
    convolution_geometry const layers[] = {
        {3, 9, 7, 64, 9, 7, 34, 3, 1, 1, 1},     {2, 9, 8, 32, 5, 4, 18, 3, 2, 1, 1},
        {2, 8, 8, 32, 4, 4, 2, 3, 2, 0, 0},      {1, 11, 12, 32, 4, 4, 40, 5, 3, 2, 1},
        {2, 13, 12, 32, 7, 6, 16, 7, 2, 3, 3},   {5, 6, 6, 96, 6, 6, 24, 1, 1, 0, 0},
        {3, 7, 6, 32, 4, 3, 48, 1, 2, 0, 0},     {1, 4, 4, 32, 8, 8, 16, 1, 1, 2, 2},
        {1, 4, 4, 32, 10, 9, 16, 3, 1, 4, 3},    {2, 40, 33, 32, 40, 33, 20, 3, 1, 1, 1},
        {1, 5, 5, 256, 5, 5, 200, 3, 1, 1, 1},   {1, 3, 3, 1056, 3, 3, 544, 1, 1, 0, 0},
        {1, 12, 12, 32, 10, 10, 16, 3, 1, 0, 0}, {0, 4, 4, 32, 4, 4, 16, 3, 1, 1, 1},
        {2, 6, 6, 32, 2, 2, 16, 1, 4, 0, 0},     {2, 26, 29, 3, 13, 15, 70, 7, 2, 2, 3},
        {1, 7, 90, 6, 7, 90, 64, 3, 1, 1, 1},    {2, 9, 10, 1, 3, 3, 34, 5, 4, 1, 2},
        {1, 4, 4, 32, 10, 9, 32, 3, 1, 4, 3},    {1, 3, 300, 2, 3, 300, 8, 3, 1, 1, 1},
        {3, 7, 7, 32, 1, 1, 40, 7, 1, 0, 0},     {1, 2, 2100, 2, 2, 2100, 4, 3, 1, 1, 1}};
    for (auto const* const kernels : test::kernel_tables<bf16>()) {
        if (kernels->weights != nullptr) check_layers(device, *kernels, layers, {19});
    }
}

TEST_CASE("windows of an odd number of elements end with half a pair of zero", "[cpu][convolution]") {
    constexpr int size = 7, channels = 3, step = 2, pad = 2, out = 4, kernel = 5, elements = kernel * kernel * channels;
    cpu_kernels::window_walk const walk{size, size, channels, out, out, step, -pad, -pad, kernel, kernel};
    numbers random{17};
    auto const x = filled<bf16>(2 * size * size * channels, random, true);
    for (auto const* const kernels : test::kernel_tables<bf16>()) {
        if (kernels->pair == 1) continue;
        INFO(kernels->name);
        constexpr int rows = 2 * out * out, steps = (elements + 1) / 2, line = 48;
        for (int const first : {0, 10}) {
            std::vector<float> lines(rows * line + 64, std::numeric_limits<float>::quiet_NaN());
            kernels->gather(walk, x.data(), 0, rows, first, steps, lines.data(), line);
            int wrong = 0;
            for (int p = 0; p < rows; ++p) {
                for (int k = 2 * first; k < 2 * steps; ++k) {
                    int const y = p / out % out * step - pad + k / (kernel * channels);
                    int const z = p % out * step - pad + k / channels % kernel;
                    bool const inside = y >= 0 && y < size && z >= 0 && z < size && k < elements;
                    int const from = ((p / (out * out) * size + y) * size + z) * channels + k % channels;
                    float const expected = inside ? static_cast<float>(x[static_cast<std::size_t>(from)]) : 0.0F;
                    bf16 found;
                    std::memcpy(&found,
                                reinterpret_cast<char const*>(&lines[static_cast<std::size_t>(p * line)]) +
                                    sizeof(bf16) * static_cast<std::size_t>(k - 2 * first),
                                sizeof found);
                    if (!(static_cast<float>(found) == expected)) ++wrong;
                }
            }
            CHECK(wrong == 0);
        }
    }
}

TEST_CASE("convolution gives the same bits for any number of threads", "[cpu][convolution]") {
    convolution_geometry const layers[] = {{5, 12, 12, 16, 6, 6, 20, 3, 2, 1, 1},
                                           {8, 16, 16, 8, 16, 16, 24, 3, 1, 1, 1}};
    for (auto const& g : layers) {
        numbers random{3};
        auto const x = filled<float>(g.in_size(), random, false);
        auto const w = filled<float>(g.weight_size(), random, false);
        auto const dy = filled<float>(g.out_size(), random, false);
        std::vector<std::vector<float>> results;
        for (int const threads : {1, 2, 3, 5}) {
            cpu device{.threads = threads};
            std::vector<float> all(
                static_cast<std::size_t>(g.out_size() + g.in_size() + g.weight_size() + g.out_channels));
            float* const y = all.data();
            float* const dx = y + g.out_size();
            float* const dw = dx + g.in_size();
            convolution_forward(device, g, x.data(), w.data(), nullptr, y);
            convolution_backward_data(device, g, dy.data(), w.data(), dx, store::write);
            convolution_backward_weights(device, g, x.data(), dy.data(), dw, dw + g.weight_size(), store::write);
            results.push_back(all);
        }
        for (auto const& r : results) {
            CHECK(std::memcmp(r.data(), results[0].data(), r.size() * sizeof(float)) == 0);
        }
    }
}

template <class T>
void check_packed(cpu& device) {
    numbers random{13};
    for (convolution_geometry g : {convolution_geometry{3, 9, 9, 24, 9, 9, 70, 3, 1, 1, 1},
                                   convolution_geometry{1, 8, 8, 3, 4, 4, 33, 3, 2, 1, 1},
                                   convolution_geometry{5, 1, 1, 40, 1, 1, 10, 1, 1, 0, 0},
                                   convolution_geometry{16, 8, 8, 32, 8, 8, 32, 3, 1, 1, 1}}) {
        auto const x = filled<T>(g.in_size(), random, false);
        auto const w = filled<float>(g.weight_size(), random, false);
        auto const bias = filled<float>(g.out_channels, random, false);
        std::vector<T> plain(static_cast<std::size_t>(g.out_size())), packed(plain.size());
        auto const residual = filled<T>(g.out_size(), random, false);
        convolution_epilogue<T> const epilogue{bias.data(), residual.data(), true};
        convolution_forward(device, g, x.data(), w.data(), nullptr, epilogue, plain.data());
        std::vector<float> panels(static_cast<std::size_t>(packed_filters<T>(device, g)));
        pack_filters<T>(device, g, w.data(), panels.data());
        convolution_forward(device, g, x.data(), w.data(), static_cast<float const*>(panels.data()), epilogue,
                            packed.data());
        CHECK(std::memcmp(plain.data(), packed.data(), plain.size() * sizeof(T)) == 0);
    }
}

TEST_CASE("a convolution takes the statistics of what it writes", "[cpu][convolution]") {
    cpu device{.threads = 2};
    numbers random{15};
    // columns left over, blocks of several sizes, few rows in groups of columns, a depth in two stretches, one that goes by
    // Winograd's method, one row
    for (convolution_geometry const g : {convolution_geometry{3, 9, 9, 24, 9, 9, 70, 3, 1, 1, 1},
                                         convolution_geometry{9, 31, 17, 8, 31, 17, 64, 1, 1, 0, 0},
                                         convolution_geometry{1, 6, 5, 40, 6, 5, 300, 1, 1, 0, 0},
                                         convolution_geometry{2, 14, 14, 160, 7, 7, 32, 3, 2, 1, 1},
                                         convolution_geometry{16, 8, 8, 32, 8, 8, 32, 3, 1, 1, 1},
                                         convolution_geometry{1, 1, 1, 5, 1, 1, 33, 1, 1, 0, 0}}) {
        INFO(text_of(g));
        auto const x = filled<float>(g.in_size(), random, false);
        auto const w = filled<float>(g.weight_size(), random, false);
        auto bias = filled<float>(g.out_channels, random, false);
        for (float& b : bias) b += 50;  // far from zero, as sums of squares are not
        std::vector<float> y(static_cast<std::size_t>(g.out_size())), twin(y.size());
        std::size_t const channels = bias.size();
        std::vector<float> mean(channels), variance(channels), moving_mean(channels, 1.0F),
            moving_variance(channels, 2.0F);
        convolution_statistics(device, g, x.data(), w.data(), bias.data(), y.data(),
                               {mean.data(), variance.data(), moving_mean.data(), moving_variance.data(), 0.75F, 1.5F});
        convolution_forward(device, g, x.data(), w.data(), bias.data(), twin.data());
        CHECK(y == twin);
        std::vector<double> exact_mean(channels), exact_variance(channels);
        double const share = 1.0 / static_cast<double>(y.size() / channels);
        for (std::size_t i = 0; i < y.size(); ++i) exact_mean[i % channels] += share * static_cast<double>(y[i]);
        for (std::size_t i = 0; i < y.size(); ++i)
            exact_variance[i % channels] += share * std::pow(static_cast<double>(y[i]) - exact_mean[i % channels], 2);
        compare(mean, exact_mean, 1e-6, "mean");
        compare(variance, exact_variance, 1e-5, "variance");
        for (std::size_t c = 0; c < channels; ++c) {
            CHECK(moving_mean[c] == 0.75F * 1.0F + 0.25F * mean[c]);
            CHECK(moving_variance[c] == 0.75F * 2.0F + 0.25F * (1.5F * variance[c]));
        }
    }
}

/// Two maps together are written past the caches, each alone is not.
template <class T>
void check_streamed(cpu& device, int kernel) {
    int const width = 182 * static_cast<int>(sizeof(float) / sizeof(T));
    convolution_geometry g{.batch = 2,
                           .in_height = 182,
                           .in_width = width,
                           .in_channels = 16,
                           .out_height = 182,
                           .out_width = width,
                           .out_channels = 64,
                           .kernel = kernel,
                           .stride = 1,
                           .pad_top = kernel / 2,
                           .pad_left = kernel / 2};
    numbers random{14};
    auto const x = filled<T>(g.in_size(), random, false);
    auto const w = filled<float>(g.weight_size(), random, false);
    auto const bias = filled<float>(g.out_channels, random, false);
    auto const residual = filled<T>(g.out_size(), random, false);
    buffer<T> together(device, g.out_size()), alone(device, g.out_size());
    REQUIRE(past_caches(together.data(), g.out_size() / g.out_channels, g.out_channels));
    convolution_forward(device, g, x.data(), w.data(), nullptr, {bias.data(), residual.data(), true}, together.data());
    g.batch = 1;
    REQUIRE_FALSE(past_caches(alone.data(), g.out_size() / g.out_channels, g.out_channels));
    for (std::int64_t i = 0; i < 2; ++i) {
        std::int64_t const to = i * g.out_size();
        convolution_forward(device, g, x.data() + i * g.in_size(), w.data(), nullptr,
                            {bias.data(), residual.data() + to, true}, alone.data() + to);
    }
    CHECK(std::memcmp(together.data(), alone.data(), static_cast<std::size_t>(2 * g.out_size()) * sizeof(T)) == 0);
}

TEST_CASE("maps written past the caches have the bits of others", "[cpu][convolution]") {
    cpu device{.threads = 2};
    for (int const kernel : {1, 3}) {
        check_streamed<float>(device, kernel);
        check_streamed<bf16>(device, kernel);
    }
}

TEST_CASE("filters packed once give the same bits", "[cpu][convolution]") {
    cpu device{.threads = 2};
    check_packed<float>(device);
    check_packed<bf16>(device);
}

TEST_CASE("an empty batch writes zero weight gradients and nothing else", "[cpu][convolution]") {
    cpu device{.threads = 2};
    convolution_geometry const g{0, 8, 8, 3, 8, 8, 5, 3, 1, 1, 1};
    std::vector<float> w(static_cast<std::size_t>(g.weight_size()), 1.0F);
    std::vector<float> dw(w.size(), 7.0F);
    std::vector<float> dbias(5, 7.0F);
    float const* const none = nullptr;
    float* const nowhere = nullptr;
    convolution_forward(device, g, none, w.data(), nullptr, nowhere);
    convolution_backward_data(device, g, none, w.data(), nowhere, store::write);
    convolution_backward_weights(device, g, none, none, dw.data(), dbias.data(), store::accumulate);
    CHECK(dw == std::vector<float>(w.size(), 7.0F));
    CHECK(dbias == std::vector<float>(5, 7.0F));
    convolution_backward_weights(device, g, none, none, dw.data(), dbias.data(), store::write);
    CHECK(dw == std::vector<float>(w.size(), 0.0F));
    CHECK(dbias == std::vector<float>(5, 0.0F));
}

TEST_CASE("the memory that windows lie in: from the first to the last row, over images, none of it outside the map") {
    window_walk const w{.in_height = 9, .in_width = 5, .channels = 3, .out_height = 5, .out_width = 3, .step = 2, .top = -1,
                        .left = -1, .window_height = 3, .window_width = 3};
    std::vector<float> const map(2 * 9 * 5 * 3);
    auto const rows = [&](std::int64_t begin, std::int64_t end) {
        memory_range const m = memory_of(w, map.data(), sizeof(float), begin, end);
        auto const* const from = reinterpret_cast<char const*>(map.data());
        return std::pair{(m.begin - from) / 60, (m.end - from) / 60};  // of 5 positions of 3 floats
    };
    CHECK(rows(0, 1) == std::pair<std::ptrdiff_t, std::ptrdiff_t>{0, 2});
    CHECK(rows(3, 6) == std::pair<std::ptrdiff_t, std::ptrdiff_t>{1, 4});
    CHECK(rows(14, 15) == std::pair<std::ptrdiff_t, std::ptrdiff_t>{7, 9});
    CHECK(rows(14, 16) == std::pair<std::ptrdiff_t, std::ptrdiff_t>{7, 11});
    CHECK(rows(0, 30) == std::pair<std::ptrdiff_t, std::ptrdiff_t>{0, 18});
    memory_range const none = memory_of(w, map.data(), sizeof(float), 15, 15);
    CHECK(none.begin == none.end);
}
