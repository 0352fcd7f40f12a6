// SPDX-License-Identifier: Apache-2.0
// Winograd's method against sums written out in double, beside the direct method, on every instruction set.

#include <tempera/core/philox.hpp>
#include <tempera/cpu/convolution.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "every_isa.hpp"

using namespace tempera;

namespace {

struct problem {
    convolution_geometry g;
    std::vector<float> x, w, bias, dy;

    explicit problem(convolution_geometry const& geometry) : g(geometry) {
        philox_stream random(5);
        auto const fill = [&](std::vector<float>& v, std::int64_t count, float scale) {
            v.resize(static_cast<std::size_t>(count));
            for (float& e : v) e = random.uniform(-scale, scale);
        };
        fill(x, g.in_size(), 1);
        fill(w, g.weight_size(), 1 / std::sqrt(9.0F * static_cast<float>(g.in_channels)));
        fill(bias, g.out_channels, 1);
        fill(dy, g.out_size(), 1);
    }
};

/// Calls f(tap, in, position) for each tap of the window at each position that lies in the map: `in` is where its channels begin.
template <class F>
void each_tap(convolution_geometry const& g, F const& f) {
    for (int n = 0; n < g.batch; ++n)
        for (int i = 0; i < g.out_height; ++i)
            for (int j = 0; j < g.out_width; ++j)
                for (int tap = 0; tap < 9; ++tap) {
                    int const r = i + tap / 3 - g.pad_top, s = j + tap % 3 - g.pad_left;
                    if (r < 0 || r >= g.in_height || s < 0 || s >= g.in_width) continue;
                    f(tap, ((std::int64_t{n} * g.in_height + r) * g.in_width + s) * g.in_channels,
                      (std::int64_t{n} * g.out_height + i) * g.out_width + j);
                }
}

/// The definition, in double: y of x, and dx and dw of dy.
struct expectation {
    std::vector<double> y, dx, dw;

    explicit expectation(problem const& p)
        : y(static_cast<std::size_t>(p.g.out_size())), dx(static_cast<std::size_t>(p.g.in_size())), dw(p.w.size()) {
        convolution_geometry const& g = p.g;
        for (std::size_t i = 0; i < y.size(); ++i)
            y[i] = static_cast<double>(p.bias[i % static_cast<std::size_t>(g.out_channels)]);
        each_tap(g, [&](int tap, std::int64_t in, std::int64_t position) {
            for (int o = 0; o < g.out_channels; ++o)
                add_products(p, in, position * g.out_channels + o, (std::int64_t{o} * 9 + tap) * g.in_channels);
        });
    }

private:
    /// One tap of one filter at one position. Plain pointers: the sanitizers' unoptimized build spends its time here.
    void add_products(problem const& p, std::int64_t in, std::int64_t out, std::int64_t filter) {
        float const* const a = p.x.data() + in;
        float const* const b = p.w.data() + filter;
        double* const da = dx.data() + in;
        double* const db = dw.data() + filter;
        auto const slope = static_cast<double>(p.dy[static_cast<std::size_t>(out)]);
        double sum = 0;
        for (int c = 0; c < p.g.in_channels; ++c) {
            auto const ac = static_cast<double>(a[c]);
            auto const bc = static_cast<double>(b[c]);
            sum += ac * bc;
            da[c] += slope * bc;
            db[c] += slope * ac;
        }
        y[static_cast<std::size_t>(out)] += sum;
    }
};

/// The largest difference, against the largest value.
double worst(std::vector<float> const& found, std::vector<double> const& expected) {
    double difference = 0, scale = 0;
    for (std::size_t i = 0; i < found.size(); ++i) {
        difference = std::max(difference, std::fabs(static_cast<double>(found[i]) - expected[i]));
        scale = std::max(scale, std::fabs(expected[i]));
    }
    return difference / scale;
}

// even and odd maps, padding on one side, more tiles than a block, fewer, panels that are not full, blocks that do not
// divide into splits, groups of filters
convolution_geometry const geometries[] = {
    {4, 16, 16, 32, 16, 16, 32, 3, 1, 1, 1},  {17, 7, 7, 64, 7, 7, 48, 3, 1, 1, 1},
    {5, 13, 17, 32, 13, 17, 64, 3, 1, 1, 1},  {9, 12, 11, 48, 10, 9, 32, 3, 1, 0, 0},
    {7, 14, 14, 32, 13, 14, 32, 3, 1, 1, 0},  {66, 4, 4, 80, 4, 4, 32, 3, 1, 1, 1},
    {61, 16, 16, 16, 16, 16, 16, 3, 1, 1, 1}, {65, 4, 4, 16, 4, 4, 144, 3, 1, 1, 1}};

}  // namespace

TEST_CASE("Winograd's method agrees with sums in double, and the direct one with both", "[cpu][winograd]") {
    for (auto const& g : geometries) {
        CAPTURE(g.in_height, g.in_width, g.in_channels, g.out_channels, g.pad_top, g.pad_left);
        problem const p(g);
        expectation const e(p);
        std::vector<double> finished = e.y;
        for (std::size_t i = 0; i < finished.size(); ++i)
            finished[i] = std::max(finished[i] + static_cast<double>(p.dy[i]), 0.0);
        every_isa([&](cpu& device) {
            REQUIRE(cpu_kernels::winograd_fits<float>(device, g));
            std::vector<float> y(p.dy.size()), dx(p.x.size()), dw(p.w.size()), dbias(p.bias.size());
            for (bool const winograd : {true, false}) {
                CAPTURE(winograd);
                double const allowed = winograd ? 1e-5 : 1e-6;
                device.winograd = winograd;
                convolution_forward(device, g, p.x.data(), p.w.data(), p.bias.data(), y.data());
                convolution_backward_data(device, g, p.dy.data(), p.w.data(), dx.data(), store::write);
                CHECK(worst(y, e.y) < allowed);
                convolution_epilogue<float> const epilogue{p.bias.data(), p.dy.data(), true};
                convolution_forward(device, g, p.x.data(), p.w.data(), nullptr, epilogue, y.data());
                CHECK(worst(y, finished) < allowed);
                CHECK(worst(dx, e.dx) < allowed);
                convolution_backward_data(device, g, p.dy.data(), p.w.data(), dx.data(), store::accumulate);
                for (float& v : dx) v *= 0.5F;
                CHECK(worst(dx, e.dx) < allowed);
                convolution_backward_weights(device, g, p.x.data(), p.dy.data(), dw.data(), dbias.data(), store::write);
                CHECK(worst(dw, e.dw) < allowed);
                convolution_backward_weights(device, g, p.x.data(), p.dy.data(), dw.data(), dbias.data(),
                                             store::accumulate);
                for (float& v : dw) v *= 0.5F;
                CHECK(worst(dw, e.dw) < allowed);
            }
        });
    }
}

TEST_CASE("Winograd's method takes maps in bfloat16, and filters that are not rounded", "[cpu][winograd]") {
    problem p(geometries[2]);
    std::vector<bf16> x, dy;
    for (float& v : p.x) v = static_cast<float>(x.emplace_back(v));
    for (float& v : p.dy) v = static_cast<float>(dy.emplace_back(v));
    expectation const e(p);
    auto const worst_of = [](std::vector<bf16> const& found, std::vector<double> const& expected) {
        std::vector<float> wide;
        for (bf16 const v : found) wide.push_back(static_cast<float>(v));
        return worst(wide, expected);
    };
    every_isa([&](cpu& device) {
        bool const taken = device.level() != isa::amx;
        REQUIRE(cpu_kernels::winograd_fits<bf16>(device, p.g) == taken);
        std::vector<bf16> y(dy.size()), dx(x.size());
        std::vector<float> dw(p.w.size());
        convolution_forward(device, p.g, x.data(), p.w.data(), p.bias.data(), y.data());
        convolution_backward_data(device, p.g, dy.data(), p.w.data(), dx.data(), store::write);
        convolution_backward_weights(device, p.g, x.data(), dy.data(), dw.data(), nullptr, store::write);
        CHECK(worst_of(y, e.y) < 0x1p-8);  // half of the last bit of the largest value, and what is rounded before
        CHECK(worst_of(dx, e.dx) < 0x1p-8);
        CHECK(worst(dw, e.dw) < 1e-5);
        convolution_backward_data(device, p.g, dy.data(), p.w.data(), dx.data(), store::accumulate);
        for (bf16& v : dx) v = bf16(0.5F * static_cast<float>(v));
        CHECK(worst_of(dx, e.dx) < 0x1p-8);

        convolution_epilogue<bf16> const epilogue{p.bias.data(), dy.data(), true};
        std::vector<float> packed(static_cast<std::size_t>(packed_filters<bf16>(device, p.g)));
        pack_filters<bf16>(device, p.g, p.w.data(), packed.data());
        std::vector<bf16> finished(dy.size());
        convolution_forward(device, p.g, x.data(), p.w.data(), nullptr, epilogue, y.data());
        convolution_forward(device, p.g, x.data(), p.w.data(), packed.data(), epilogue, finished.data());
        CHECK(std::memcmp(y.data(), finished.data(), y.size() * sizeof(bf16)) == 0);
        std::vector<double> expected = e.y;
        for (std::size_t i = 0; i < expected.size(); ++i)
            expected[i] = std::max(expected[i] + static_cast<double>(p.dy[i]), 0.0);
        CHECK(worst_of(y, expected) < 0x1p-8);
    });
}

TEST_CASE("Winograd's method gives the same bits for any number of threads", "[cpu][winograd]") {
    problem const p(geometries[2]);
    std::vector<float> first;
    for (int const threads : {1, 2, 3, 5}) {
        cpu device{.threads = threads};
        std::vector<float> all(p.dy.size() + p.w.size());
        convolution_forward(device, p.g, p.x.data(), p.w.data(), p.bias.data(), all.data());
        convolution_backward_weights(device, p.g, p.x.data(), p.dy.data(), all.data() + p.dy.size(), nullptr,
                                     store::write);
        if (first.empty()) first = all;
        CHECK(std::memcmp(first.data(), all.data(), all.size() * sizeof(float)) == 0);
    }
}

/// Of one sample after the other, with filters packed once.
std::vector<float> one_by_one(cpu& device, problem const& p) {
    convolution_geometry g = p.g;
    std::vector<float> packed(static_cast<std::size_t>(packed_filters<float>(device, g)));
    pack_filters<float>(device, g, p.w.data(), packed.data());
    std::vector<float> y(p.dy.size());
    g.batch = 1;
    REQUIRE(cpu_kernels::winograd_fits_packed<float>(device, g));
    for (std::int64_t i = 0; i < p.g.batch; ++i) {
        convolution_epilogue<float> const epilogue{p.bias.data(), p.dy.data() + i * g.out_size(), true};
        convolution_forward(device, g, p.x.data() + i * g.in_size(), p.w.data(), packed.data(), epilogue,
                            y.data() + i * g.out_size());
    }
    return y;
}

TEST_CASE("few tiles, shared by all workers, have the bits of many in blocks", "[cpu][winograd]") {
    problem const p({15, 14, 15, 32, 14, 15, 48, 3, 1, 1, 1});  // 16 tiles a sample, 240 of all
    every_isa([&](cpu& device) {
        std::vector<float> together(p.dy.size());
        convolution_epilogue<float> const epilogue{p.bias.data(), p.dy.data(), true};
        convolution_forward(device, p.g, p.x.data(), p.w.data(), nullptr, epilogue, together.data());
        CHECK(together == one_by_one(device, p));
    });
}

TEST_CASE("tiles of many filters go several blocks at a time", "[cpu][winograd]") {
    problem const p({120, 8, 7, 512, 8, 7, 512, 3, 1, 1, 1});  // 480 tiles: 448 and 32
    cpu device{.threads = 2};
    REQUIRE(cpu_kernels::winograd_floats(cpu_kernels::gemm_kernels_of<float>(device.level()), 512, 512) > 1 << 23);
    std::vector<float> all(p.dy.size());
    convolution_forward(device, p.g, p.x.data(), p.w.data(), nullptr, all.data());
    convolution_geometry last = p.g;
    last.batch = 20;  // tiles 400 to 479 at once
    std::vector<float> y(static_cast<std::size_t>(last.out_size()));
    convolution_forward(device, last, p.x.data() + p.g.in_size() - last.in_size(), p.w.data(), nullptr, y.data());
    CHECK(std::equal(y.begin(), y.end(), all.end() - last.out_size()));
}

/// Of one filter, in double.
std::vector<double> filter_gradient(problem const& p, int filter) {
    convolution_geometry const& g = p.g;
    std::vector<double> dw(static_cast<std::size_t>(9 * g.in_channels));
    each_tap(g, [&](int tap, std::int64_t in, std::int64_t position) {
        float const* const x = p.x.data() + in;
        auto const slope = static_cast<double>(p.dy.data()[position * g.out_channels + filter]);
        double* const to = dw.data() + tap * g.in_channels;
        for (int c = 0; c < g.in_channels; ++c) to[c] += slope * static_cast<double>(x[c]);
    });
    return dw;
}

TEST_CASE("gradients of many filters are summed point by point", "[cpu][winograd]") {
    problem const p({120, 8, 7, 256, 8, 7, 256, 3, 1, 1, 1});  // 480 tiles: 224, 224 and 32
    std::vector<float> dw(p.w.size());
    cpu device{.threads = 2};
    convolution_backward_weights(device, p.g, p.x.data(), p.dy.data(), dw.data(), nullptr, store::write);
    for (int const filter : {0, 111, 112, 255}) {  // the ends of groups of filters
        CAPTURE(filter);
        auto const begin = dw.begin() + filter * 9 * 256;
        CHECK(worst({begin, begin + 9 * 256}, filter_gradient(p, filter)) < 1e-5);
    }
}

TEST_CASE("Winograd's method is taken where it fits alone", "[cpu][winograd]") {
    cpu device, direct{.winograd = false};
    convolution_geometry const fits = geometries[0];
    CHECK(cpu_kernels::winograd_fits<float>(device, fits));
    CHECK_FALSE(cpu_kernels::winograd_fits<float>(direct, fits));
    auto const refused = [&](auto change) {
        convolution_geometry g = fits;
        change(g);
        return !cpu_kernels::winograd_fits<float>(device, g);
    };
    CHECK(refused([](auto& g) { g.stride = 2; }));
    CHECK(refused([](auto& g) { g.kernel = 5; }));
    CHECK(refused([](auto& g) { g.in_channels = 3; }));
    CHECK(refused([](auto& g) { g.out_channels = 33; }));
    CHECK(refused([](auto& g) { g.batch = 1; }));
}
