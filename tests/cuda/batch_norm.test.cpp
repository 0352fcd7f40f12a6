// SPDX-License-Identifier: Apache-2.0
// Batch normalization against its formulas in float64; the gradient by finite differences of them.

#include "lab.hpp"

using namespace tempera;

namespace {

struct layer {
    int rows;
    int channels;
    double epsilon = 1e-5;

    std::size_t at(int row, int c) const { return static_cast<std::size_t>(row * channels + c); }
    std::size_t size() const { return static_cast<std::size_t>(rows * channels); }

    void statistics(std::vector<double> const& x, std::vector<double>& mean, std::vector<double>& variance) const {
        mean.assign(static_cast<std::size_t>(channels), 0);
        variance = mean;
        for (int c = 0; c < channels; ++c) {
            auto const k = static_cast<std::size_t>(c);
            for (int r = 0; r < rows; ++r) mean[k] += x[at(r, c)] / rows;
            for (int r = 0; r < rows; ++r) variance[k] += (x[at(r, c)] - mean[k]) * (x[at(r, c)] - mean[k]) / rows;
        }
    }
    std::vector<double> apply(std::vector<double> const& x, std::vector<double> const& mean,
                              std::vector<double> const& variance, std::vector<double> const& scale,
                              std::vector<double> const& offset, std::vector<double> const& residual, bool relu) const {
        std::vector<double> y(x.size());
        for (std::size_t i = 0; i < x.size(); ++i) {
            std::size_t const c = i % static_cast<std::size_t>(channels);
            y[i] = scale[c] * (x[i] - mean[c]) / std::sqrt(variance[c] + epsilon) + offset[c] + residual[i];
            if (relu) y[i] = std::max(y[i], 0.0);
        }
        return y;
    }
};

/// Of one split and of several, alone and in packs.
layer any_layer() {
    return GENERATE(layer{2, 1}, layer{7, 3}, layer{40, 33}, layer{5000, 5}, layer{2200, 16}, layer{70, 320});
}

}  // namespace

TEMPLATE_TEST_CASE("gpu batch norm: statistics", "", float, bf16, tempera::half) {
    emulation::with const machine(lab::any_order());
    auto const l = any_layer();
    gpu device;
    auto x = lab::random_values<TestType>(l.rows * l.channels, 1);
    for (auto& v : x) v = static_cast<TestType>(static_cast<float>(v) + 30.0F);  // far from zero: no cancellation allowed
    std::vector<double> mean;
    std::vector<double> variance;
    l.statistics(lab::exact(x), mean, variance);
    auto x_memory = lab::on_device(device, x);
    buffer<float> mean_memory(device, l.channels);
    buffer<float> variance_memory(device, l.channels);
    batch_norm_statistics(device, {l.rows, l.channels, 1e-5F}, x_memory.data(), mean_memory.data(),
                          variance_memory.data());
    CHECK(lab::difference(lab::from_device(device, mean_memory), mean) < 1e-6);
    CHECK(lab::difference(lab::from_device(device, variance_memory), variance) < 2e-5);
}

TEST_CASE("gpu batch norm: moving statistics") {
    gpu device;
    auto mean = lab::on_device(device, std::vector<float>{1, 2});
    auto variance = lab::on_device(device, std::vector<float>{3, 4});
    auto moving_mean = lab::on_device(device, std::vector<float>{10, 20});
    auto moving_variance = lab::on_device(device, std::vector<float>{30, 40});
    batch_norm_moving(device, 2, 0.75F, 2.0F, mean.data(), variance.data(), moving_mean.data(), moving_variance.data());
    CHECK(lab::from_device(device, moving_mean) == std::vector<float>{7.75F, 15.5F});
    CHECK(lab::from_device(device, moving_variance) == std::vector<float>{24, 32});
}

TEMPLATE_TEST_CASE("gpu batch norm: forward and backward", "", float, bf16, tempera::half) {
    emulation::with const machine(lab::any_order());
    auto const l = GENERATE(layer{2, 1}, layer{7, 3}, layer{10, 33}, layer{5, 16});  // the last in packs
    bool const batch_statistics = GENERATE(true, false);
    bool const relu = GENERATE(false, true);
    store const mode = GENERATE(store::write, store::accumulate);
    gpu device;
    int const count = l.rows * l.channels;
    auto const x = lab::random_values<TestType>(count, 1);
    auto const residual = lab::random_values<TestType>(count, 2);
    auto const dy = lab::random_values<TestType>(count, 3);
    auto const scale = lab::random_values<float>(l.channels, 4);
    auto const offset = lab::random_values<float>(l.channels, 5);
    std::vector<double> mean(static_cast<std::size_t>(l.channels), 0.1);
    std::vector<double> variance(static_cast<std::size_t>(l.channels), 0.4);
    if (batch_statistics) l.statistics(lab::exact(x), mean, variance);
    auto const y = l.apply(lab::exact(x), mean, variance, lab::exact(scale), lab::exact(offset), lab::exact(residual), relu);

    auto x_memory = lab::on_device(device, x);
    auto residual_memory = lab::on_device(device, residual);
    auto dy_memory = lab::on_device(device, dy);
    auto scale_memory = lab::on_device(device, scale);
    auto offset_memory = lab::on_device(device, offset);
    auto mean_memory = lab::on_device(device, std::vector<float>(mean.begin(), mean.end()));
    auto variance_memory = lab::on_device(device, std::vector<float>(variance.begin(), variance.end()));
    buffer<TestType> y_memory(device, count);
    batch_norm_geometry const g{l.rows, l.channels, static_cast<float>(l.epsilon)};
    batch_norm_state const state{mean_memory.data(), variance_memory.data(), scale_memory.data(), offset_memory.data()};
    batch_norm_apply(device, g, state, x_memory.data(), residual_memory.data(), relu, y_memory.data());
    CHECK(lab::difference(lab::from_device(device, y_memory), y) < 4 * lab::tolerance<TestType>);

    // d (sum y dy) / d anything by central differences in float64; the ReLU's mask is the one the device saw
    auto const y_found = lab::exact(lab::from_device(device, y_memory));
    auto gradient = lab::exact(dy);
    for (std::size_t i = 0; relu && i < gradient.size(); ++i) gradient[i] = y_found[i] > 0 ? gradient[i] : 0;
    auto const total = [&](std::vector<double> const& x_, std::vector<double> const& scale_,
                           std::vector<double> const& offset_) {
        auto mean_ = mean;
        auto variance_ = variance;
        if (batch_statistics) l.statistics(x_, mean_, variance_);
        auto const values = l.apply(x_, mean_, variance_, scale_, offset_, std::vector<double>(x_.size()), false);
        double sum = 0;
        for (std::size_t i = 0; i < values.size(); ++i) sum += values[i] * gradient[i];
        return sum;
    };
    auto const slope = [&](std::vector<double> at, std::size_t i, auto const& f) {
        double const step = 1e-4;
        at[i] += step;
        double const up = f(at);
        at[i] -= 2 * step;
        return (up - f(at)) / (2 * step);
    };
    auto const old = lab::random_values<TestType>(count, 6);
    auto const old_parameters = lab::random_values<float>(l.channels, 7);
    auto const begin = [&](auto const& values) {
        return mode == store::write ? std::vector<double>(values.size()) : lab::exact(values);
    };
    auto dx = begin(old);
    auto dresidual = begin(old);
    auto dscale = begin(old_parameters);
    auto doffset = begin(old_parameters);
    auto const xs = lab::exact(x);
    auto const scales = lab::exact(scale);
    auto const offsets = lab::exact(offset);
    for (std::size_t i = 0; i < dx.size(); ++i) {
        dx[i] += slope(xs, i, [&](auto const& at) { return total(at, scales, offsets); });
        dresidual[i] += gradient[i];
    }
    for (std::size_t c = 0; c < dscale.size(); ++c) {
        dscale[c] += slope(scales, c, [&](auto const& at) { return total(xs, at, offsets); });
        doffset[c] += slope(offsets, c, [&](auto const& at) { return total(xs, scales, at); });
    }

    auto dx_memory = lab::on_device(device, old);
    auto dresidual_memory = lab::on_device(device, old);
    auto dscale_memory = lab::on_device(device, old_parameters);
    auto doffset_memory = lab::on_device(device, old_parameters);
    batch_norm_gradients<TestType> const out{dx_memory.data(), mode, dresidual_memory.data(), mode,
                                             dscale_memory.data(), doffset_memory.data(), mode};
    batch_norm_backward(device, g, state, batch_statistics, x_memory.data(), relu ? y_memory.data() : nullptr,
                        dy_memory.data(), out);
    double const loose = std::max(lab::tolerance<TestType>, 2e-5);
    CHECK(lab::difference(lab::from_device(device, dx_memory), dx) < loose);
    CHECK(lab::difference(lab::from_device(device, dresidual_memory), dresidual) < loose);
    CHECK(lab::difference(lab::from_device(device, dscale_memory), dscale) < 2e-5);
    CHECK(lab::difference(lab::from_device(device, doffset_memory), doffset) < 2e-5);
}

TEMPLATE_TEST_CASE("gpu batch norm: without a residual the mask is the one of y, bit for bit, and y is not read", "",
                   float, bf16, tempera::half) {
    emulation::with const machine(lab::any_order());
    auto const l = GENERATE(layer{7, 3}, layer{2200, 8}, layer{600, 40});
    bool const batch_statistics = GENERATE(true, false);
    gpu device;
    int const count = l.rows * l.channels;
    auto const x = lab::random_values<TestType>(count, 1);
    auto const dy = lab::random_values<TestType>(count, 2);
    auto x_memory = lab::on_device(device, x);
    auto dy_memory = lab::on_device(device, dy);
    auto mean = lab::on_device(device, lab::random_values<float>(l.channels, 3));
    auto variance = lab::on_device(device, std::vector<float>(static_cast<std::size_t>(l.channels), 0.3F));
    auto scale = lab::on_device(device, lab::random_values<float>(l.channels, 4));
    auto offset = lab::on_device(device, lab::random_values<float>(l.channels, 5));
    batch_norm_geometry const g{l.rows, l.channels, static_cast<float>(l.epsilon)};
    batch_norm_state const state{mean.data(), variance.data(), scale.data(), offset.data()};
    buffer<TestType> y(device, count);
    batch_norm_apply(device, g, state, x_memory.data(), nullptr, true, y.data());
    auto const gradients = [&](TestType const* seen) {
        buffer<TestType> dx(device, count);
        buffer<float> parameters(device, 2 * l.channels);
        batch_norm_backward(device, g, state, batch_statistics, x_memory.data(), seen, dy_memory.data(),
                            batch_norm_gradients<TestType>{.dx = dx.data(),
                                                           .dscale = parameters.data(),
                                                           .doffset = parameters.data() + l.channels,
                                                           .by_x = seen == nullptr});
        return std::pair(lab::exact(lab::from_device(device, dx)), lab::from_device(device, parameters));
    };
    CHECK(gradients(y.data()) == gradients(nullptr));
}

TEMPLATE_TEST_CASE("gpu batch norm: a residual's gradient is the same written, added, or not wanted", "", float, bf16,
                   tempera::half) {
    emulation::with const machine(lab::any_order());
    auto const l = GENERATE(layer{7, 3}, layer{2200, 8});
    gpu device;
    int const count = l.rows * l.channels;
    auto x = lab::on_device(device, lab::random_values<TestType>(count, 1));
    auto y = lab::on_device(device, lab::random_values<TestType>(count, 2));
    auto dy = lab::on_device(device, lab::random_values<TestType>(count, 3));
    auto mean = lab::on_device(device, std::vector<float>(static_cast<std::size_t>(l.channels), 0.1F));
    auto variance = lab::on_device(device, std::vector<float>(static_cast<std::size_t>(l.channels), 0.3F));
    batch_norm_geometry const g{l.rows, l.channels, static_cast<float>(l.epsilon)};
    batch_norm_state const state{mean.data(), variance.data(), nullptr, nullptr};
    std::vector<TestType> const zeros(static_cast<std::size_t>(count));
    auto const dx_with = [&](TestType* dresidual, store mode) {
        auto dx = lab::on_device(device, zeros);
        batch_norm_backward(
            device, g, state, true, x.data(), y.data(), dy.data(),
            batch_norm_gradients<TestType>{.dx = dx.data(), .dresidual = dresidual, .dresidual_store = mode});
        return lab::exact(lab::from_device(device, dx));
    };
    auto written = lab::on_device(device, zeros);
    auto added = lab::on_device(device, zeros);
    auto const dx = dx_with(nullptr, store::write);
    CHECK(dx_with(written.data(), store::write) == dx);
    CHECK(dx_with(added.data(), store::accumulate) == dx);
    CHECK(lab::exact(lab::from_device(device, written)) == lab::exact(lab::from_device(device, added)));
}

TEST_CASE("gpu batch norm: what is not wanted is not written") {
    gpu device;
    auto x = lab::on_device(device, std::vector<float>{1, 2, 3, 4});
    auto mean = lab::on_device(device, std::vector<float>{2, 3});
    auto variance = lab::on_device(device, std::vector<float>{1, 1});
    buffer<float> y(device, 4);
    batch_norm_geometry const g{2, 2, 0.0F};
    batch_norm_state const state{mean.data(), variance.data(), nullptr, nullptr};  // scale 1, offset 0
    batch_norm_apply(device, g, state, x.data(), nullptr, false, y.data());
    CHECK(lab::from_device(device, y) == std::vector<float>{-1, -1, 1, 1});
    buffer<float> dx(device, 4);
    batch_norm_backward(device, g, state, false, x.data(), nullptr, x.data(),
                        batch_norm_gradients<float>{.dx = dx.data()});
    CHECK(lab::from_device(device, dx) == std::vector<float>{1, 2, 3, 4});
    buffer<float> doffset(device, 2);
    batch_norm_backward(device, g, state, true, x.data(), nullptr, x.data(),
                        batch_norm_gradients<float>{.doffset = doffset.data()});
    CHECK(lab::from_device(device, doffset) == std::vector<float>{4, 6});
}
