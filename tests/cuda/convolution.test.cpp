// SPDX-License-Identifier: Apache-2.0
// Convolution and its gradients against the defining sum in float64; the gradients by scattering each product.

#include <array>
#include <tuple>

#include "lab.hpp"

using namespace tempera;

namespace {

convolution_geometry geometry(int batch, int height, int width, int in, int out, int kernel, int stride) {
    convolution_geometry g;
    g.batch = batch;
    g.in_height = height;
    g.in_width = width;
    g.in_channels = in;
    g.out_channels = out;
    g.kernel = kernel;
    g.stride = stride;
    g.pad_top = (kernel - 1) / 2;
    g.pad_left = (kernel - 1) / 2;
    g.out_height = (height + stride - 1) / stride;
    g.out_width = (width + stride - 1) / stride;
    return g;
}

/// Calls f(x index, w index, y index) for every product of the defining sum.
void each_product(convolution_geometry const& g, auto const& f) {
    for (int n = 0; n < g.batch; ++n)
        for (int i = 0; i < g.out_height; ++i)
            for (int j = 0; j < g.out_width; ++j)
                for (int r = 0; r < g.kernel; ++r)
                    for (int s = 0; s < g.kernel; ++s) {
                        int const row = i * g.stride + r - g.pad_top;
                        int const column = j * g.stride + s - g.pad_left;
                        if (row < 0 || row >= g.in_height || column < 0 || column >= g.in_width) continue;
                        for (int o = 0; o < g.out_channels; ++o)
                            for (int c = 0; c < g.in_channels; ++c)
                                f(static_cast<std::size_t>(
                                      ((n * g.in_height + row) * g.in_width + column) * g.in_channels + c),
                                  static_cast<std::size_t>(((o * g.kernel + r) * g.kernel + s) * g.in_channels + c),
                                  static_cast<std::size_t>(((n * g.out_height + i) * g.out_width + j) * g.out_channels +
                                                           o));
                    }
}

/// Then what the kernels for tensor cores take, output channels in chunks of 8: more rows, columns and depth than one tile
/// holds, and fewer; windows that leave gaps; no padding before the map; positions for two splits, a depth for four; input
/// channels that are no chunks, and so few that positions come in blocks, padded by even and odd numbers.
convolution_geometry any_geometry() {
    auto unpadded = geometry(1, 4, 7, 8, 16, 3, 2);
    unpadded.pad_top = 0;
    auto uneven = geometry(2, 8, 7, 3, 16, 7, 2);
    uneven.pad_top = 2;
    auto g =
        GENERATE_COPY(geometry(2, 5, 6, 3, 4, 3, 1), geometry(3, 7, 7, 2, 5, 3, 2), geometry(2, 4, 3, 6, 7, 1, 1),
                      geometry(2, 5, 5, 4, 3, 1, 2), geometry(1, 9, 8, 3, 2, 7, 2), geometry(4, 1, 1, 10, 3, 1, 1),
                      geometry(1, 1, 1, 1, 1, 3, 1), geometry(2, 6, 4, 2, 3, 2, 2),  //
                      geometry(2, 9, 8, 8, 72, 2, 1), geometry(3, 7, 5, 24, 8, 3, 2), geometry(2, 5, 6, 16, 24, 1, 2),
                      geometry(1, 11, 9, 8, 8, 5, 3), geometry(1, 1, 1, 8, 16, 3, 1), geometry(2, 7, 5, 8, 8, 2, 3),
                      geometry(2, 23, 24, 8, 8, 2, 1), geometry(1, 3, 4, 136, 16, 3, 1), unpadded,
                      geometry(2, 9, 8, 3, 72, 7, 2), geometry(3, 6, 5, 12, 16, 3, 1), geometry(2, 7, 5, 1, 8, 2, 3),
                      geometry(1, 5, 4, 20, 8, 1, 2), uneven, geometry(1, 6, 5, 4, 8, 2, 2),
                      geometry(2, 5, 8, 2, 8, 5, 2), geometry(1, 2, 1, 3, 8, 3, 2));
    return g;
}

}  // namespace

TEMPLATE_TEST_CASE("gpu convolution: forward", "", float, bf16, tempera::half) {
    emulation::with const machine(lab::any_order());
    auto const g = any_geometry();
    bool const biased = GENERATE(false, true);
    gpu device;
    auto const x = lab::random_values<TestType>(g.in_size(), 1);
    auto const w = lab::exact(lab::random_values<TestType>(g.weight_size(), 2));
    auto const bias = lab::random_values<float>(g.out_channels, 3);
    std::vector<double> expected(static_cast<std::size_t>(g.out_size()));
    auto const xs = lab::exact(x);
    each_product(g, [&](auto in, auto weight, auto out) { expected[out] += xs[in] * w[weight]; });
    for (std::size_t i = 0; biased && i < expected.size(); ++i)
        expected[i] += static_cast<double>(bias[i % static_cast<std::size_t>(g.out_channels)]);

    auto x_memory = lab::on_device(device, x);
    auto w_memory = lab::on_device(device, std::vector<float>(w.begin(), w.end()));
    auto bias_memory = lab::on_device(device, bias);
    buffer<TestType> y_memory(device, g.out_size());
    convolution_forward(device, g, x_memory.data(), w_memory.data(), biased ? bias_memory.data() : nullptr,
                        y_memory.data());
    CHECK(lab::difference(lab::from_device(device, y_memory), expected) < lab::tolerance<TestType>);
}

TEMPLATE_TEST_CASE("gpu convolution: forward with bias, residual and ReLU, by filters packed or not", "", float, bf16,
                   tempera::half) {
    emulation::with const machine(lab::any_order());
    auto const g = any_geometry();
    bool const packs = !std::is_same_v<TestType, float> && GENERATE(true, false);
    auto const [biased, added, cut, shift] = GENERATE(table<bool, bool, bool, int>(
        {{true, true, true, 0}, {true, false, true, 0}, {false, true, false, 0}, {true, true, true, 1}}));
    gpu device;
    auto const x = lab::random_values<TestType>(g.in_size(), 1);
    auto const w = lab::exact(lab::random_values<TestType>(g.weight_size(), 2));
    auto const bias = lab::random_values<float>(g.out_channels, 3);
    auto const residual = lab::random_values<TestType>(g.out_size() + 1, 4);
    std::vector<double> expected(static_cast<std::size_t>(g.out_size()));
    auto const xs = lab::exact(x);
    auto const residuals = lab::exact(residual);
    each_product(g, [&](auto in, auto weight, auto out) { expected[out] += xs[in] * w[weight]; });
    for (std::size_t i = 0; i < expected.size(); ++i) {
        if (biased) expected[i] += static_cast<double>(bias[i % static_cast<std::size_t>(g.out_channels)]);
        if (added) expected[i] += residuals[i + static_cast<std::size_t>(shift)];
        if (cut) expected[i] = std::max(expected[i], 0.0);
    }

    auto x_memory = lab::on_device(device, x);
    auto w_memory = lab::on_device(device, std::vector<float>(w.begin(), w.end()));
    auto bias_memory = lab::on_device(device, bias);
    auto residual_memory = lab::on_device(device, residual);
    buffer<float> packed;
    if constexpr (!std::is_same_v<TestType, float>) {
        if (packs) {
            packed = buffer<float>(device, packed_filters<TestType>(device, g));
            pack_filters<TestType>(device, g, w_memory.data(), packed.data());
        }
    }
    buffer<TestType> y_memory(device, g.out_size());
    convolution_epilogue<TestType> const epilogue{biased ? bias_memory.data() : nullptr,
                                                  added ? residual_memory.data() + shift : nullptr, cut};
    convolution_forward(device, g, static_cast<TestType const*>(x_memory.data()),
                        static_cast<float const*>(w_memory.data()),
                        static_cast<float const*>(packed.data()), epilogue, y_memory.data());
    CHECK(lab::difference(lab::from_device(device, y_memory), expected) < 2 * lab::tolerance<TestType>);
}

TEMPLATE_TEST_CASE("gpu convolution: forward with the statistics of what it writes", "", float, bf16, tempera::half) {
    emulation::with const machine(lab::any_order());
    // several parts, the last one cut; kernel 1; channels that are no chunk, of x and of y
    auto const g = GENERATE(geometry(2, 13, 11, 8, 72, 2, 1), geometry(2, 7, 5, 16, 8, 1, 1),
                            geometry(2, 13, 11, 3, 16, 7, 2), geometry(1, 5, 4, 3, 5, 3, 1));
    gpu device;
    auto const x = lab::random_values<TestType>(g.in_size(), 1);
    auto w = lab::random_values<TestType>(g.weight_size(), 2);
    std::vector<float> bias(static_cast<std::size_t>(g.out_channels),
                            300);  // the mean is far from 0: sums of squares cancel
    auto x_memory = lab::on_device(device, x);
    auto w_values = lab::exact(w);
    auto w_memory = lab::on_device(device, std::vector<float>(w_values.begin(), w_values.end()));
    auto bias_memory = lab::on_device(device, bias);
    buffer<TestType> y_memory(device, g.out_size());
    buffer<TestType> twin_memory(device, g.out_size());
    buffer<float> mean_memory(device, g.out_channels);
    buffer<float> variance_memory(device, g.out_channels);
    auto const channels = static_cast<std::size_t>(g.out_channels);
    auto moving_mean = lab::on_device(device, std::vector<float>(channels, 100));
    auto moving_variance = lab::on_device(device, std::vector<float>(channels, 1));
    bool const moves = GENERATE(false, true);
    convolution_statistics(device, g, x_memory.data(), w_memory.data(), bias_memory.data(), y_memory.data(),
                           {.mean = mean_memory.data(),
                            .variance = variance_memory.data(),
                            .moving_mean = moves ? moving_mean.data() : nullptr,
                            .moving_variance = moves ? moving_variance.data() : nullptr,
                            .decay = 0.75F,
                            .factor = 2});
    convolution_forward(device, g, x_memory.data(), w_memory.data(), bias_memory.data(), twin_memory.data());
    auto const y = lab::from_device(device, y_memory);
    CHECK(lab::difference(y, lab::exact(lab::from_device(device, twin_memory))) < lab::tolerance<TestType>);

    auto const rows = static_cast<double>(y.size() / channels);
    std::vector<double> mean(channels);
    std::vector<double> variance(channels);
    auto const ys = lab::exact(y);
    for (std::size_t i = 0; i < ys.size(); ++i) mean[i % channels] += ys[i] / rows;
    for (std::size_t i = 0; i < ys.size(); ++i)
        variance[i % channels] += (ys[i] - mean[i % channels]) * (ys[i] - mean[i % channels]) / rows;
    CHECK(lab::difference(lab::from_device(device, mean_memory), mean) < 1e-6);
    CHECK(lab::difference(lab::from_device(device, variance_memory), variance) < 1e-4);
    for (std::size_t c = 0; c < channels; ++c) {
        mean[c] = moves ? 75 + 0.25 * mean[c] : 100;
        variance[c] = moves ? 0.75 + 0.5 * variance[c] : 1;
    }
    CHECK(lab::difference(lab::from_device(device, moving_mean), mean) < 1e-6);
    CHECK(lab::difference(lab::from_device(device, moving_variance), variance) < 1e-4);
}

TEMPLATE_TEST_CASE("gpu convolution: backward to the data", "", float, bf16, tempera::half) {
    emulation::with const machine(lab::any_order());
    auto const g = any_geometry();
    store const mode = GENERATE(store::write, store::accumulate);
    gpu device;
    auto const dy = lab::random_values<TestType>(g.out_size(), 1);
    auto const w = lab::exact(lab::random_values<TestType>(g.weight_size(), 2));
    auto const old = lab::random_values<TestType>(g.in_size(), 3);
    auto expected = mode == store::write ? std::vector<double>(old.size()) : lab::exact(old);
    auto const dys = lab::exact(dy);
    each_product(g, [&](auto in, auto weight, auto out) { expected[in] += dys[out] * w[weight]; });

    auto dy_memory = lab::on_device(device, dy);
    auto w_memory = lab::on_device(device, std::vector<float>(w.begin(), w.end()));
    auto dx_memory = lab::on_device(device, old);
    convolution_backward_data(device, g, dy_memory.data(), w_memory.data(), dx_memory.data(), mode);
    CHECK(lab::difference(lab::from_device(device, dx_memory), expected) < lab::tolerance<TestType>);
}

TEMPLATE_TEST_CASE("gpu convolution: backward to weights and bias", "", float, bf16, tempera::half) {
    emulation::with const machine(lab::any_order());
    auto const g = any_geometry();
    store const mode = GENERATE(store::write, store::accumulate);
    gpu device;
    auto const x = lab::random_values<TestType>(g.in_size(), 1);
    auto const dy = lab::random_values<TestType>(g.out_size(), 2);
    auto const old = lab::random_values<float>(g.weight_size(), 3);
    auto const old_bias = lab::random_values<float>(g.out_channels, 4);
    auto expected = mode == store::write ? std::vector<double>(old.size()) : lab::exact(old);
    auto expected_bias = mode == store::write ? std::vector<double>(old_bias.size()) : lab::exact(old_bias);
    auto const xs = lab::exact(x);
    auto const dys = lab::exact(dy);
    each_product(g, [&](auto in, auto weight, auto out) { expected[weight] += xs[in] * dys[out]; });
    for (std::size_t i = 0; i < dys.size(); ++i) expected_bias[i % static_cast<std::size_t>(g.out_channels)] += dys[i];

    auto x_memory = lab::on_device(device, x);
    auto dy_memory = lab::on_device(device, dy);
    auto dw_memory = lab::on_device(device, old);
    auto dbias_memory = lab::on_device(device, old_bias);
    convolution_backward_weights(device, g, x_memory.data(), dy_memory.data(), dw_memory.data(), dbias_memory.data(),
                                 mode);
    // gradients of weights are float32 whatever the activations are
    CHECK(lab::difference(lab::from_device(device, dw_memory), expected) < lab::tolerance<float>);
    CHECK(lab::difference(lab::from_device(device, dbias_memory), expected_bias) < lab::tolerance<float>);
}

TEST_CASE("gpu convolution: chunks of samples give what one chunk gives", "[emulated]") {
    auto const g = geometry(5, 6, 5, 3, 4, 3, 1);
    store const mode = GENERATE(store::write, store::accumulate);
    auto const x = lab::random_values<float>(g.in_size(), 1);
    auto const w = lab::random_values<float>(g.weight_size(), 2);
    auto const dy = lab::random_values<float>(g.out_size(), 3);
    auto const run = [&](std::int64_t tile_bytes, long products) {
        gpu device;
        device.context.tile_bytes = tile_bytes;
        long const before = emulation::counts().products;
        auto x_memory = lab::on_device(device, x);
        auto w_memory = lab::on_device(device, w);
        auto dy_memory = lab::on_device(device, dy);
        auto dx_memory = lab::on_device(device, x);
        auto dw_memory = lab::on_device(device, w);
        buffer<float> y_memory(device, g.out_size());
        convolution_forward(device, g, x_memory.data(), w_memory.data(), nullptr, y_memory.data());
        convolution_backward_data(device, g, dy_memory.data(), w_memory.data(), dx_memory.data(), mode);
        convolution_backward_weights(device, g, x_memory.data(), dy_memory.data(), dw_memory.data(), nullptr, mode);
        CHECK(emulation::counts().products - before == products);
        return std::array<std::vector<float>, 3>{lab::from_device(device, y_memory),
                                                 lab::from_device(device, dx_memory),
                                                 lab::from_device(device, dw_memory)};
    };
    auto const whole = run(1 << 20, 3);
    auto const chunks = run(2 * 30 * 27 * 4, 9);  // two samples at a time, one in the last chunk
    auto const single = run(1, 15);
    for (std::size_t i = 0; i < 3; ++i) {
        CHECK(lab::difference(chunks[i], lab::exact(whole[i])) < 1e-6);
        CHECK(lab::difference(single[i], lab::exact(whole[i])) < 1e-6);
    }
}

TEMPLATE_TEST_CASE("gpu convolution: tensor cores take 16-bit maps whose output channels are chunks", "", float, bf16,
                   tempera::half) {
    using cuda_kernels::convolution_method;
    auto const tensor =
        std::is_same_v<TestType, float> ? convolution_method::columns : convolution_method::tensor_cores;
    alignas(16) TestType const memory[16] = {};
    TestType const* const y = &memory[0];
    CHECK(cuda_kernels::method_of(geometry(2, 5, 6, 8, 16, 3, 1), y) == tensor);
    CHECK(cuda_kernels::method_of(geometry(2, 5, 6, 8, 16, 1, 2), y) == tensor);
    CHECK(cuda_kernels::method_of(geometry(2, 5, 6, 3, 16, 3, 1), y) == tensor);
    CHECK(cuda_kernels::method_of(geometry(2, 5, 6, 8, 16, 1, 1), y) == convolution_method::product);
    CHECK(cuda_kernels::method_of(geometry(2, 5, 6, 8, 12, 3, 1), y) == convolution_method::columns);
    CHECK(cuda_kernels::method_of(geometry(2, 5, 6, 8, 16, 3, 1), y + 1) == convolution_method::columns);
    CHECK(cuda_kernels::method_of(geometry(1, 1 << 15, 1 << 12, 9, 16, 3, 1), y) == convolution_method::columns);

    bool const wide = std::is_same_v<TestType, float>;
    auto const with_residual = [&](convolution_geometry const& g, TestType const* residual) {
        return cuda_kernels::method_of(g, convolution_epilogue<TestType>{.residual = residual}, y);
    };
    CHECK(with_residual(geometry(2, 5, 6, 8, 16, 1, 1), y) == (wide ? convolution_method::product : tensor));
    CHECK(with_residual(geometry(2, 5, 6, 8, 16, 1, 1), y + 1) == convolution_method::product);
    CHECK(with_residual(geometry(2, 5, 6, 8, 16, 3, 1), y + 1) == convolution_method::columns);
}

TEMPLATE_TEST_CASE("gpu convolution: maps that are not aligned to chunks give the same bits", "", bf16, tempera::half) {
    emulation::with const machine(lab::any_order());
    auto const g = geometry(2, 6, 5, 8, 16, 3, 2);
    gpu device;
    auto const run = [&](std::int64_t offset) {
        auto values = lab::random_values<TestType>(g.in_size(), 1);
        values.insert(values.begin(), static_cast<std::size_t>(offset), TestType(0.0F));
        auto x = lab::on_device(device, values);
        auto w = lab::on_device(device, lab::random_values<float>(g.weight_size(), 2));
        auto dy = lab::on_device(device, lab::random_values<TestType>(g.out_size(), 3));
        buffer<TestType> y(device, g.out_size());
        auto dx = lab::on_device(device, std::vector<TestType>(values.size()));
        buffer<float> dw(device, g.weight_size());
        convolution_forward(device, g, x.data() + offset, w.data(), nullptr, y.data());
        convolution_backward_data(device, g, dy.data(), w.data(), dx.data() + offset, store::write);
        convolution_backward_weights(device, g, x.data() + offset, dy.data(), dw.data(), nullptr, store::write);
        auto dxs = lab::from_device(device, dx);
        dxs.erase(dxs.begin(), dxs.begin() + offset);
        return std::tuple(lab::from_device(device, y), dxs, lab::from_device(device, dw));
    };
    CHECK((run(0) == run(3)));
}

TEMPLATE_TEST_CASE("gpu convolution: an empty batch has a gradient of zero", "", float, bf16, tempera::half) {
    auto const g = geometry(0, 4, 4, 8, 16, 3, 1);
    gpu device;
    buffer<TestType> none(device, 1);
    auto dw_memory = lab::on_device(device, lab::random_values<float>(g.weight_size(), 1));
    convolution_forward(device, g, none.data(), dw_memory.data(), nullptr, none.data());
    convolution_backward_data(device, g, none.data(), dw_memory.data(), none.data(), store::write);
    convolution_backward_weights(device, g, none.data(), none.data(), dw_memory.data(), nullptr, store::write);
    CHECK(lab::from_device(device, dw_memory) == std::vector<float>(static_cast<std::size_t>(g.weight_size())));
}
