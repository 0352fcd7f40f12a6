// SPDX-License-Identifier: Apache-2.0
// Batch normalization on the CPU against a float64 reference and finite differences of the formula.

#include <tempera/cpu/batch_norm.hpp>

#include <algorithm>
#include <utility>

#include "../catch.hpp"
#include "every_isa.hpp"
#include "sample.hpp"

using namespace tempera;
using sample::at;

namespace {

struct size {
    std::int64_t rows;
    int channels;
};
constexpr size sizes[] = {{1, 1},   {2, 3},    {7, 5},    {50, 16},  {33, 24},   {129, 32},
                          {65, 64}, {19, 133}, {11, 255}, {10, 300}, {17, 2048}, {3000, 3}};

std::vector<double> mean_of(std::vector<double> const& x, size s) {
    std::vector<double> out(at(s.channels), 0.0);
    for (std::size_t i = 0; i < x.size(); ++i) out[i % out.size()] += x[i] / static_cast<double>(s.rows);
    return out;
}

std::vector<double> variance_of(std::vector<double> const& x, size s) {
    auto const mean = mean_of(x, s);
    std::vector<double> out(mean.size(), 0.0);
    for (std::size_t i = 0; i < x.size(); ++i) {
        double const d = x[i] - mean[i % mean.size()];
        out[i % out.size()] += d * d / static_cast<double>(s.rows);
    }
    return out;
}

struct parameters {
    std::vector<double> mean, variance, scale, offset;
};

constexpr double epsilon = 1e-3;

/// y before the activation.
std::vector<double> normalized(std::vector<double> const& x, std::vector<double> const& residual, parameters const& p) {
    std::vector<double> y(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
        std::size_t const c = i % p.mean.size();
        y[i] = p.scale[c] * (x[i] - p.mean[c]) / std::sqrt(p.variance[c] + epsilon) + p.offset[c] + residual[i];
    }
    return y;
}

struct reference_gradients {
    std::vector<double> dx, dresidual, dscale, doffset;
};

reference_gradients backward(std::vector<double> const& x, std::vector<double> const& y, std::vector<double> const& dy,
                             parameters const& p, bool relu, bool batch_statistics) {
    std::size_t const channels = p.mean.size();
    double const rows = static_cast<double>(x.size() / channels);
    reference_gradients out{std::vector<double>(x.size()), std::vector<double>(x.size()), std::vector<double>(channels),
                            std::vector<double>(channels)};
    auto z = [&](std::size_t i) {
        std::size_t const c = i % channels;
        return (x[i] - p.mean[c]) / std::sqrt(p.variance[c] + epsilon);
    };
    for (std::size_t i = 0; i < x.size(); ++i) {
        double const g = relu && !(y[i] > 0) ? 0.0 : dy[i];
        out.dresidual[i] = g;
        out.doffset[i % channels] += g;
        out.dscale[i % channels] += g * z(i);
    }
    for (std::size_t i = 0; i < x.size(); ++i) {
        std::size_t const c = i % channels;
        double const centered = batch_statistics ? out.dresidual[i] - out.doffset[c] / rows - z(i) * out.dscale[c] / rows
                                                : out.dresidual[i];
        out.dx[i] = p.scale[c] / std::sqrt(p.variance[c] + epsilon) * centered;
    }
    return out;
}

}  // namespace

TEMPLATE_TEST_CASE("batch norm statistics equal a float64 reference", "[cpu][batch_norm]", float, bf16) {
    every_isa([](cpu& device) {
        for (size const s : sizes) {
            auto const x = sample::uniform<TestType>(s.rows * s.channels, 1, -3.0F, 4.0F);
            std::vector<float> mean(at(s.channels), -7.0F), variance(at(s.channels), -7.0F);
            batch_norm_statistics(device, batch_norm_geometry{s.rows, s.channels}, x.data(), mean.data(),
                                  variance.data());
            CAPTURE(s.rows, s.channels);
            CHECK(sample::difference(mean, mean_of(sample::widen(x), s)) < 1e-6);
            CHECK(sample::difference(variance, variance_of(sample::widen(x), s)) < 1e-6);
        }
    });
}

TEST_CASE("batch norm statistics stay exact far from zero", "[cpu][batch_norm]") {
    every_isa([](cpu& device) {
        for (size const s : {size{5000, 7}, size{4000, 64}, size{300, 515}}) {
            auto x = sample::uniform<float>(s.rows * s.channels, 2);
            for (std::size_t i = 0; i < x.size(); ++i)
                x[i] = x[i] * 0.25F + 10000.0F + static_cast<float>(i % at(s.channels));
            x[0] = -3e4F;  // an outlier where a careless shift would look
            std::vector<float> mean(at(s.channels)), variance(at(s.channels));
            batch_norm_statistics(device, batch_norm_geometry{s.rows, s.channels}, x.data(), mean.data(),
                                  variance.data());
            auto const exact_mean = mean_of(sample::widen(x), s);
            auto const exact = variance_of(sample::widen(x), s);
            CAPTURE(s.rows, s.channels);
            CHECK(sample::difference(mean, exact_mean) < 2e-7);
            for (std::size_t c = 0; c < exact.size(); ++c) CHECK(std::fabs(variance[c] / exact[c] - 1) < 2e-5);
        }
    });
}

TEST_CASE("batch norm statistics of integers are exact", "[cpu][batch_norm]") {
    every_isa([](cpu& device) {
        size const s{4096, 40};
        auto x = sample::integers<float>(s.rows * s.channels, 3, -8, 8);
        std::vector<float> mean(at(s.channels)), variance(at(s.channels));
        batch_norm_statistics(device, batch_norm_geometry{s.rows, s.channels}, x.data(), mean.data(), variance.data());
        std::vector<std::int64_t> sum(at(s.channels), 0);
        for (std::size_t i = 0; i < x.size(); ++i) sum[i % sum.size()] += static_cast<std::int64_t>(x[i]);
        for (std::size_t c = 0; c < sum.size(); ++c) CHECK(mean[c] == static_cast<float>(sum[c]) / 4096.0F);
    });
}

TEMPLATE_TEST_CASE("batch norm apply equals a float64 reference", "[cpu][batch_norm]", float, bf16) {
    every_isa([](cpu& device) {
        for (size const s : sizes) {
            for (int variant = 0; variant < 8; ++variant) {
                bool const relu = (variant & 1) != 0, with_residual = (variant & 2) != 0, affine = (variant & 4) != 0;
                auto const n = s.rows * s.channels;
                auto const x = sample::uniform<TestType>(n, 4, -2.0F, 2.0F);
                auto const residual = sample::uniform<TestType>(n, 5);
                auto const mean = sample::uniform<float>(s.channels, 6);
                auto const variance = sample::uniform<float>(s.channels, 7, 0.1F, 2.0F);
                auto const scale = sample::uniform<float>(s.channels, 8);
                auto const offset = sample::uniform<float>(s.channels, 9);
                std::vector<TestType> y(at(n), TestType(99.0F));
                batch_norm_geometry const g{s.rows, s.channels, static_cast<float>(epsilon)};
                batch_norm_apply(device, g,
                                 batch_norm_state{mean.data(), variance.data(), affine ? scale.data() : nullptr,
                                                  affine ? offset.data() : nullptr},
                                 x.data(), with_residual ? residual.data() : nullptr, relu, y.data());
                std::vector<double> const ones(at(s.channels), 1.0), zeros(at(s.channels), 0.0);
                auto expected = normalized(
                    sample::widen(x), with_residual ? sample::widen(residual) : std::vector<double>(at(n), 0.0),
                    parameters{sample::widen(mean), sample::widen(variance), affine ? sample::widen(scale) : ones,
                               affine ? sample::widen(offset) : zeros});
                if (relu)
                    for (double& v : expected) v = std::fmax(v, 0.0);
                CAPTURE(s.rows, s.channels, relu, with_residual, affine);
                CHECK(sample::difference(y, expected) < sample::tolerance<TestType>);
            }
        }
    });
}

TEMPLATE_TEST_CASE("batch norm backward equals the formula in float64", "[cpu][batch_norm]", float, bf16) {
    every_isa([](cpu& device) {
        for (size const s : sizes) {
            auto const n = s.rows * s.channels;
            auto const x = sample::uniform<TestType>(n, 11, -2.0F, 2.0F);
            auto const y = sample::uniform<TestType>(n, 12);
            auto const dy = sample::uniform<TestType>(n, 13);
            auto const scale = sample::uniform<float>(s.channels, 14);
            auto const mean = sample::uniform<float>(s.channels, 15, -0.3F, 0.3F);
            auto const variance = sample::uniform<float>(s.channels, 16, 0.5F, 2.0F);
            auto const before = sample::uniform<TestType>(n, 17);
            auto const parameters_before = sample::uniform<float>(s.channels, 18);
            std::vector<reference_gradients> references;  // by ReLU and batch statistics
            for (int kind = 0; kind < 4; ++kind)
                references.push_back(
                    backward(sample::widen(x), sample::widen(y), sample::widen(dy),
                             parameters{sample::widen(mean), sample::widen(variance), sample::widen(scale),
                                        std::vector<double>(at(s.channels), 0.0)},
                             (kind & 1) != 0, (kind & 2) != 0));
            for (int variant = 0; variant < 32; ++variant) {
                bool const relu = (variant & 1) != 0, batch_statistics = (variant & 2) != 0,
                           accumulate = (variant & 4) != 0, want_residual = (variant & 8) != 0,
                           parameters_wanted = (variant & 16) != 0;
                reference_gradients expected = references[static_cast<std::size_t>(variant & 3)];
                auto dx = before, dresidual = before;
                auto dscale = parameters_before, doffset = parameters_before;
                store const mode = accumulate ? store::accumulate : store::write;
                if (accumulate) {
                    auto const b = sample::widen(before), pb = sample::widen(parameters_before);
                    for (std::size_t i = 0; i < b.size(); ++i) expected.dx[i] += b[i], expected.dresidual[i] += b[i];
                    for (std::size_t c = 0; c < pb.size(); ++c)
                        expected.dscale[c] += pb[c], expected.doffset[c] += pb[c];
                }
                batch_norm_gradients<TestType> out;
                out.dx = dx.data();
                out.dx_store = mode;
                out.dresidual = want_residual ? dresidual.data() : nullptr;
                out.dresidual_store = mode;
                out.dscale = parameters_wanted ? dscale.data() : nullptr;
                out.doffset = parameters_wanted ? doffset.data() : nullptr;
                out.parameter_store = mode;
                batch_norm_backward(device, batch_norm_geometry{s.rows, s.channels, static_cast<float>(epsilon)},
                                    batch_norm_state{mean.data(), variance.data(), scale.data(), nullptr},
                                    batch_statistics, x.data(), relu ? y.data() : nullptr, dy.data(), out);
                CAPTURE(s.rows, s.channels, relu, batch_statistics, accumulate, want_residual, parameters_wanted);
                CHECK(sample::difference(dx, expected.dx) < sample::tolerance<TestType>);
                if (want_residual)
                    CHECK(sample::difference(dresidual, expected.dresidual) < sample::tolerance<TestType>);
                if (parameters_wanted) {
                    CHECK(sample::difference(dscale, expected.dscale) < 3e-6);
                    CHECK(sample::difference(doffset, expected.doffset) < 3e-6);
                }
            }
        }
    });
}

TEMPLATE_TEST_CASE("batch norm backward needs no y where no residual was added", "[cpu][batch_norm]", float, bf16) {
    every_isa([](cpu& device) {
        for (size const s : sizes) {
            auto const n = s.rows * s.channels;
            auto const x = sample::uniform<TestType>(n, 31, -2.0F, 2.0F);
            auto const dy = sample::uniform<TestType>(n, 32);
            auto const scale = sample::uniform<float>(s.channels, 33), offset = sample::uniform<float>(s.channels, 34);
            auto const mean = sample::uniform<float>(s.channels, 35, -0.3F, 0.3F);
            auto const variance = sample::uniform<float>(s.channels, 36, 0.5F, 2.0F);
            batch_norm_geometry const g{s.rows, s.channels, static_cast<float>(epsilon)};
            batch_norm_state const state{mean.data(), variance.data(), scale.data(), offset.data()};
            std::vector<TestType> y(x.size());
            batch_norm_apply(device, g, state, x.data(), static_cast<TestType const*>(nullptr), true, y.data());
            auto const gradients = [&](bool batch_statistics, TestType const* seen) {
                std::vector<TestType> dx(x.size());
                std::vector<float> both(2 * at(s.channels));
                batch_norm_gradients<TestType> out;
                out.dx = dx.data();
                out.dscale = both.data();
                out.doffset = both.data() + s.channels;
                out.by_x = seen == nullptr;
                batch_norm_backward(device, g, state, batch_statistics, x.data(), seen, dy.data(), out);
                return std::pair(sample::widen(dx), both);
            };
            CAPTURE(s.rows, s.channels);
            CHECK(gradients(true, y.data()) == gradients(true, nullptr));
            CHECK(gradients(false, y.data()) == gradients(false, nullptr));
        }
    });
}

TEST_CASE("batch norm gradients equal finite differences", "[cpu][batch_norm]") {
    size const s{6, 5};
    auto const n = s.rows * s.channels;
    auto const x = sample::uniform<float>(n, 21, -2.0F, 2.0F);
    auto const residual = sample::uniform<float>(n, 22);
    auto const scale = sample::uniform<float>(s.channels, 23, 0.5F, 1.5F);
    auto const offset = sample::uniform<float>(s.channels, 24);
    auto const weights = sample::uniform<float>(n, 25);

    auto loss = [&](std::vector<double> const& xs, std::vector<double> const& rs, std::vector<double> const& scales,
                    std::vector<double> const& offsets) {
        auto y = normalized(xs, rs, parameters{mean_of(xs, s), variance_of(xs, s), scales, offsets});
        double sum = 0;
        for (std::size_t i = 0; i < y.size(); ++i) sum += static_cast<double>(weights[i]) * std::fmax(y[i], 0.0);
        return sum;
    };
    auto numeric = [](std::vector<double> at_point, auto f) {
        std::vector<double> out(at_point.size());
        for (std::size_t i = 0; i < at_point.size(); ++i) {
            double const kept = at_point[i], step = 1e-6;
            at_point[i] = kept + step;
            double const up = f(at_point);
            at_point[i] = kept - step;
            double const down = f(at_point);
            at_point[i] = kept;
            out[i] = (up - down) / (2 * step);
        }
        return out;
    };
    auto const xd = sample::widen(x), rd = sample::widen(residual), sd = sample::widen(scale),
               od = sample::widen(offset);

    every_isa([&](cpu& device) {
        batch_norm_geometry const g{s.rows, s.channels, static_cast<float>(epsilon)};
        std::vector<float> mean(at(s.channels)), variance(at(s.channels)), y(at(n));
        batch_norm_statistics(device, g, x.data(), mean.data(), variance.data());
        batch_norm_state const state{mean.data(), variance.data(), scale.data(), offset.data()};
        batch_norm_apply(device, g, state, x.data(), residual.data(), true, y.data());
        std::vector<float> dx(at(n)), dresidual(at(n)), dscale(at(s.channels)), doffset(at(s.channels));
        batch_norm_gradients<float> out;
        out.dx = dx.data();
        out.dresidual = dresidual.data();
        out.dscale = dscale.data();
        out.doffset = doffset.data();
        batch_norm_backward(device, g, state, true, x.data(), y.data(), weights.data(), out);
        CHECK(sample::difference(dx, numeric(xd, [&](auto const& v) { return loss(v, rd, sd, od); })) < 1e-5);
        CHECK(sample::difference(dresidual, numeric(rd, [&](auto const& v) { return loss(xd, v, sd, od); })) < 1e-5);
        CHECK(sample::difference(dscale, numeric(sd, [&](auto const& v) { return loss(xd, rd, v, od); })) < 1e-5);
        CHECK(sample::difference(doffset, numeric(od, [&](auto const& v) { return loss(xd, rd, sd, v); })) < 1e-5);
    });
}

TEST_CASE("batch norm moving statistics", "[cpu][batch_norm]") {
    cpu device{.threads = 2};
    std::vector<float> const mean{1.0F, -2.0F, 3.0F}, variance{4.0F, 1.0F, 9.0F};
    std::vector<float> moving_mean{0.5F, 1.0F, 0.0F}, moving_variance{1.0F, 2.0F, 3.0F};
    batch_norm_moving(device, 3, 0.75F, 1.5F, mean.data(), variance.data(), moving_mean.data(), moving_variance.data());
    CHECK(moving_mean == std::vector<float>{0.625F, 0.25F, 0.75F});
    CHECK(moving_variance == std::vector<float>{2.25F, 1.875F, 5.625F});
}

TEMPLATE_TEST_CASE("batch norm is bitwise the same for any number of threads", "[cpu][batch_norm]", float, bf16) {
    for (size const s : {size{30000, 24}, size{3001, 64}, size{700, 515}, size{90001, 3}}) {
        auto const n = s.rows * s.channels;
        auto const x = sample::uniform<TestType>(n, 31);
        auto const dy = sample::uniform<TestType>(n, 32);
        std::vector<std::vector<TestType>> first;
        std::vector<std::vector<float>> first_sums;
        for (int const threads : {1, 2, 3, 5}) {
            cpu device{.threads = threads};
            batch_norm_geometry const g{s.rows, s.channels};
            std::vector<float> mean(at(s.channels)), variance(mean), dscale(mean), doffset(mean);
            std::vector<TestType> y(at(n)), dx(y), dresidual(y);
            batch_norm_statistics(device, g, x.data(), mean.data(), variance.data());
            batch_norm_state const state{mean.data(), variance.data(), nullptr, nullptr};
            batch_norm_apply(device, g, state, x.data(), x.data(), true, y.data());
            batch_norm_gradients<TestType> out;
            out.dx = dx.data();
            out.dresidual = dresidual.data();
            out.dscale = dscale.data();
            out.doffset = doffset.data();
            batch_norm_backward(device, g, state, true, x.data(), y.data(), dy.data(), out);
            std::vector<std::vector<TestType>> const maps{y, dx, dresidual};
            std::vector<std::vector<float>> const sums{mean, variance, dscale, doffset};
            if (first.empty()) first = maps, first_sums = sums;
            CAPTURE(s.rows, s.channels, threads);
            for (std::size_t i = 0; i < maps.size(); ++i) CHECK(sample::same_bits(maps[i], first[i]));
            for (std::size_t i = 0; i < sums.size(); ++i) CHECK(sample::same_bits(sums[i], first_sums[i]));
        }
    }
}

TEST_CASE("batch norm of no rows touches nothing", "[cpu][batch_norm]") {
    cpu device{.threads = 2};
    batch_norm_geometry const g{0, 3};
    float const* none = nullptr;
    float* nowhere = nullptr;
    std::vector<float> mean{1, 2, 3}, variance{1, 2, 3}, dscale{4, 5, 6};
    batch_norm_statistics(device, g, none, mean.data(), variance.data());
    batch_norm_state const state{mean.data(), variance.data(), nullptr, nullptr};
    batch_norm_apply(device, g, state, none, none, true, nowhere);
    batch_norm_gradients<float> out;
    out.dscale = dscale.data();
    out.parameter_store = store::accumulate;
    batch_norm_backward(device, g, state, true, none, none, none, out);
    CHECK(mean == std::vector<float>{1, 2, 3});
    CHECK(variance == std::vector<float>{1, 2, 3});
    CHECK(dscale == std::vector<float>{4, 5, 6});
}

TEST_CASE("batch norm backward may write over its incoming gradient", "[cpu][batch_norm]") {
    every_isa([](cpu& device) {
        size const s{37, 20};
        auto const n = s.rows * s.channels;
        auto const x = sample::uniform<float>(n, 41), y = sample::uniform<float>(n, 42),
                   dy = sample::uniform<float>(n, 43);
        std::vector<float> const mean(20, 0.1F), variance(20, 0.9F);
        batch_norm_state const state{mean.data(), variance.data(), nullptr, nullptr};
        batch_norm_geometry const g{s.rows, s.channels};
        std::vector<float> apart(at(n)), together = dy;
        batch_norm_gradients<float> out;
        out.dx = apart.data();
        batch_norm_backward(device, g, state, true, x.data(), y.data(), dy.data(), out);
        out.dx = together.data();
        batch_norm_backward(device, g, state, true, x.data(), y.data(), together.data(), out);
        CHECK(sample::same_bits(apart, together));
    });
}
