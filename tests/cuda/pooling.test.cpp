// SPDX-License-Identifier: Apache-2.0
// Pooling and the selective merge against their definitions in float64; gradients by scattering from each window.

#include "lab.hpp"

using namespace tempera;

namespace {

pool_geometry geometry(int height, int width, int kernel, int stride, int channels = 3) {
    pool_geometry g;
    g.batch = 2;
    g.channels = channels;
    g.in_height = height;
    g.in_width = width;
    g.kernel = kernel;
    g.stride = stride;
    g.out_height = (height + stride - 1) / stride;
    g.out_width = (width + stride - 1) / stride;
    g.pad_top = std::max(0, (g.out_height - 1) * stride + kernel - height) / 2;
    g.pad_left = std::max(0, (g.out_width - 1) * stride + kernel - width) / 2;
    return g;
}
pool_geometry any_geometry() {
    // then whole packs, windows of more columns than are loaded at once, and rows that take more than one block
    return GENERATE(geometry(6, 5, 3, 2), geometry(4, 4, 2, 2), geometry(7, 7, 3, 1), geometry(1, 1, 3, 2),
                    geometry(5, 3, 2, 3), geometry(6, 5, 3, 2, 16), geometry(5, 9, 5, 2, 8), geometry(4, 6, 2, 2, 24),
                    geometry(3, 230, 3, 2, 40));
}
std::int64_t in_size(pool_geometry const& g) {
    return std::int64_t{1} * g.batch * g.in_height * g.in_width * g.channels;
}
std::int64_t out_size(pool_geometry const& g) {
    return std::int64_t{1} * g.batch * g.out_height * g.out_width * g.channels;
}

/// f(y index, x indices of its window in order, their places in the window)
void each_window(pool_geometry const& g, auto const& f) {
    for (int n = 0; n < g.batch; ++n)
        for (int i = 0; i < g.out_height; ++i)
            for (int j = 0; j < g.out_width; ++j)
                for (int c = 0; c < g.channels; ++c) {
                    std::vector<std::size_t> inputs;
                    std::vector<int> places;
                    for (int r = 0; r < g.kernel; ++r)
                        for (int s = 0; s < g.kernel; ++s) {
                            int const row = i * g.stride + r - g.pad_top;
                            int const column = j * g.stride + s - g.pad_left;
                            if (row < 0 || row >= g.in_height || column < 0 || column >= g.in_width) continue;
                            inputs.push_back(static_cast<std::size_t>(
                                ((n * g.in_height + row) * g.in_width + column) * g.channels + c));
                            places.push_back(r * g.kernel + s);
                        }
                    f(static_cast<std::size_t>(((n * g.out_height + i) * g.out_width + j) * g.channels + c), inputs,
                      places);
                }
}

}  // namespace

TEMPLATE_TEST_CASE("gpu pooling: maximum", "", float, bf16, tempera::half) {
    emulation::with const machine(lab::any_order());
    auto const g = any_geometry();
    store const mode = GENERATE(store::write, store::accumulate);
    gpu device;
    auto x = lab::random_values<TestType>(in_size(g), 1);
    for (std::size_t i = 0; i < x.size(); ++i)  // ties, and maps that are negative all over
        x[i] = TestType(std::round(4 * static_cast<float>(x[i])) / 4 - (i % 3 == 0 ? 5.0F : 0.0F));
    auto const dy = lab::random_values<TestType>(out_size(g), 2);
    auto const old = lab::random_values<TestType>(in_size(g), 3);
    auto const xs = lab::exact(x);
    auto const dys = lab::exact(dy);
    std::vector<double> y(dy.size());
    std::vector<std::uint8_t> argmax(dy.size());
    auto dx = mode == store::write ? std::vector<double>(x.size()) : lab::exact(old);
    each_window(g, [&](std::size_t out, auto const& inputs, auto const& places) {
        std::size_t best = 0;
        for (std::size_t k = 1; k < inputs.size(); ++k)
            if (xs[inputs[k]] > xs[inputs[best]]) best = k;
        y[out] = xs[inputs[best]];
        argmax[out] = static_cast<std::uint8_t>(places[best]);
        dx[inputs[best]] += dys[out];
    });
    auto x_memory = lab::on_device(device, x);
    auto dy_memory = lab::on_device(device, dy);
    auto dx_memory = lab::on_device(device, old);
    buffer<TestType> y_memory(device, out_size(g));
    buffer<std::uint8_t> argmax_memory(device, out_size(g));
    max_pool_forward(device, g, x_memory.data(), y_memory.data(), nullptr);
    CHECK(lab::difference(lab::from_device(device, y_memory), y) == 0);
    max_pool_forward(device, g, x_memory.data(), y_memory.data(), argmax_memory.data());
    max_pool_backward(device, g, static_cast<std::uint8_t const*>(argmax_memory.data()), dy_memory.data(),
                      dx_memory.data(), mode);
    CHECK(lab::difference(lab::from_device(device, y_memory), y) == 0);
    CHECK(lab::from_device(device, argmax_memory) == argmax);
    CHECK(lab::difference(lab::from_device(device, dx_memory), dx) < lab::tolerance<TestType>);
}

TEMPLATE_TEST_CASE("gpu pooling: maps that are not aligned to packs give the same bits", "", float, bf16,
                   tempera::half) {
    auto const g = geometry(5, 4, 3, 2, 8);
    gpu device;
    auto const run = [&](std::int64_t offset) {
        auto values = lab::random_values<TestType>(in_size(g), 1);
        values.insert(values.begin(), static_cast<std::size_t>(offset), TestType(0.0F));
        auto x = lab::on_device(device, values);
        auto means = lab::on_device(device, values);
        buffer<TestType> y(device, out_size(g));
        buffer<float> mean(device, g.batch * g.channels);
        buffer<std::uint8_t> argmax(device, out_size(g));
        auto const positions = std::int64_t{g.in_height} * g.in_width;
        max_pool_forward(device, g, x.data() + offset, y.data(), argmax.data());
        max_pool_backward(device, g, static_cast<std::uint8_t const*>(argmax.data()), y.data(), x.data() + offset,
                          store::accumulate);
        average_pool_forward(device, g, x.data() + offset, y.data());
        average_pool_backward(device, g, y.data(), x.data() + offset, store::accumulate);
        global_average_pool_forward(device, g.batch, positions, g.channels, x.data() + offset, mean.data());
        global_average_pool_backward(device, g.batch, positions, g.channels, static_cast<float const*>(mean.data()),
                                     means.data() + offset, store::accumulate);
        auto found = lab::exact(lab::from_device(device, x));
        for (double v : lab::exact(lab::from_device(device, means))) found.push_back(v);
        std::erase(found, 0);  // what lies before the maps
        return found;
    };
    CHECK(run(0) == run(1));
}

TEST_CASE("gpu pooling: the maximum of a window with NaN is NaN") {
    gpu device;
    auto x = lab::on_device(device, std::vector<float>{1, NAN, 3, NAN});
    buffer<float> y(device, 1);
    buffer<std::uint8_t> argmax(device, 1);
    pool_geometry const g{.batch = 1, .in_height = 2, .in_width = 2};
    max_pool_forward(device, g, x.data(), y.data(), argmax.data());
    CHECK(std::isnan(lab::from_device(device, y)[0]));
    CHECK(lab::from_device(device, argmax)[0] == 1);
}

TEMPLATE_TEST_CASE("gpu pooling: average over the positions inside, or over all", "", float, bf16, tempera::half) {
    emulation::with const machine(lab::any_order());
    auto g = any_geometry();
    g.count_padding = GENERATE(false, true);
    store const mode = GENERATE(store::write, store::accumulate);
    gpu device;
    auto const x = lab::random_values<TestType>(in_size(g), 1);
    auto const dy = lab::random_values<TestType>(out_size(g), 2);
    auto const old = lab::random_values<TestType>(in_size(g), 3);
    auto const xs = lab::exact(x);
    auto const dys = lab::exact(dy);
    std::vector<double> y(dy.size());
    auto dx = mode == store::write ? std::vector<double>(x.size()) : lab::exact(old);
    each_window(g, [&](std::size_t out, auto const& inputs, auto const&) {
        double const counted = g.count_padding ? g.kernel * g.kernel : static_cast<double>(inputs.size());
        for (std::size_t in : inputs) {
            y[out] += xs[in] / counted;
            dx[in] += dys[out] / counted;
        }
    });
    auto x_memory = lab::on_device(device, x);
    auto dy_memory = lab::on_device(device, dy);
    auto dx_memory = lab::on_device(device, old);
    buffer<TestType> y_memory(device, out_size(g));
    average_pool_forward(device, g, x_memory.data(), y_memory.data());
    average_pool_backward(device, g, dy_memory.data(), dx_memory.data(), mode);
    CHECK(lab::difference(lab::from_device(device, y_memory), y) < lab::tolerance<TestType>);
    CHECK(lab::difference(lab::from_device(device, dx_memory), dx) < lab::tolerance<TestType>);
}

TEMPLATE_TEST_CASE("gpu pooling: whole maps", "", float, bf16, tempera::half) {
    emulation::with const machine(lab::any_order());
    gpu device;
    store const mode = GENERATE(store::write, store::accumulate);
    int const batch = 3;
    int const positions = GENERATE(1, 10, 77);
    int const channels = GENERATE(1, 4, 13, 72);
    auto const x = lab::random_values<TestType>(batch * positions * channels, 1);
    auto const dy = lab::random_values<float>(batch * channels, 2);
    auto const old = lab::random_values<TestType>(batch * positions * channels, 3);
    std::vector<double> y(dy.size());
    auto dx = mode == store::write ? std::vector<double>(x.size()) : lab::exact(old);
    for (std::size_t i = 0; i < x.size(); ++i) {
        std::size_t const sample = i / static_cast<std::size_t>(positions * channels);
        std::size_t const to = sample * static_cast<std::size_t>(channels) + i % static_cast<std::size_t>(channels);
        y[to] += static_cast<double>(static_cast<float>(x[i])) / positions;
        dx[i] += static_cast<double>(dy[to]) / positions;
    }
    auto x_memory = lab::on_device(device, x);
    auto dy_memory = lab::on_device(device, dy);
    auto dx_memory = lab::on_device(device, old);
    buffer<float> y_memory(device, batch * channels);
    global_average_pool_forward(device, batch, positions, channels, x_memory.data(), y_memory.data());
    global_average_pool_backward(device, batch, positions, channels, static_cast<float const*>(dy_memory.data()),
                                 dx_memory.data(), mode);
    CHECK(lab::difference(lab::from_device(device, y_memory), y) < lab::tolerance<float>);
    CHECK(lab::difference(lab::from_device(device, dx_memory), dx) < lab::tolerance<TestType>);
}

TEMPLATE_TEST_CASE("gpu selective merge: forward and backward", "", float, bf16, tempera::half) {
    emulation::with const machine(lab::any_order());
    gpu device;
    store const mode = GENERATE(store::write, store::accumulate);
    auto const [batch, positions, filters, shift] =
        GENERATE(std::tuple(2, 5, 3, 0), std::tuple(1, 1, 1, 0), std::tuple(2, 700, 24, 0), std::tuple(2, 700, 24, 1),
                 std::tuple(1, 9, 264, 0), std::tuple(3, 0, 8, 0));
    selective_geometry const g{.batch = batch, .positions = positions, .filters = filters};
    auto const width = static_cast<std::size_t>(filters);
    int const size = batch * positions * filters;
    auto const x = lab::random_values<TestType>(2 * size + shift, 1);
    auto logits = lab::random_values<float>(2 * batch * filters, 2);
    for (auto& v : logits) v *= 3;
    logits[0] = 200;  // exp of the difference overflows
    auto const dy = lab::random_values<TestType>(size + shift, 3);
    auto const old = lab::random_values<TestType>(2 * size + shift, 4);
    auto const old_logits = lab::random_values<float>(2 * batch * filters, 5);
    auto const xs = lab::exact(x);
    auto const dys = lab::exact(dy);
    auto const from = static_cast<std::size_t>(shift);
    auto y = std::vector<double>(dy.size());
    auto dx = lab::exact(old);
    if (mode == store::write) std::fill(dx.begin() + shift, dx.end(), 0.0);
    auto dlogits = mode == store::write ? std::vector<double>(logits.size()) : lab::exact(old_logits);
    for (std::size_t n = 0; n < static_cast<std::size_t>(batch); ++n)
        for (std::size_t f = 0; f < width; ++f) {
            std::size_t const of[2] = {n * 2 * width + f, (n * 2 + 1) * width + f};
            double const l0 = static_cast<double>(logits[of[0]]);
            double const l1 = static_cast<double>(logits[of[1]]);
            double const largest = std::max(l0, l1);
            double const a[2] = {std::exp(l0 - largest) / (std::exp(l0 - largest) + std::exp(l1 - largest)),
                                 std::exp(l1 - largest) / (std::exp(l0 - largest) + std::exp(l1 - largest))};
            double da[2] = {0, 0};
            for (std::size_t p = 0; p < static_cast<std::size_t>(positions); ++p) {
                std::size_t const row = n * static_cast<std::size_t>(positions) + p;
                for (std::size_t k = 0; k < 2; ++k) {
                    std::size_t const in = from + (row * 2 + k) * width + f;
                    std::size_t const out = from + row * width + f;
                    y[out] += a[k] * xs[in];
                    dx[in] += a[k] * dys[out];
                    da[k] += dys[out] * xs[in];
                }
            }
            for (std::size_t k = 0; k < 2; ++k)  // softmax: dl_k = a_k (da_k - sum_i a_i da_i)
                dlogits[of[k]] += a[k] * (da[k] - a[0] * da[0] - a[1] * da[1]);
        }
    auto x_memory = lab::on_device(device, x);
    auto logits_memory = lab::on_device(device, logits);
    auto dy_memory = lab::on_device(device, dy);
    auto dx_memory = lab::on_device(device, old);
    auto dlogits_memory = lab::on_device(device, old_logits);
    auto y_memory = lab::on_device(device, std::vector<TestType>(dy.size()));
    selective_merge_forward(device, g, x_memory.data() + shift, logits_memory.data(), y_memory.data() + shift);
    selective_merge_backward(device, g, x_memory.data() + shift, logits_memory.data(), dy_memory.data() + shift,
                             dx_memory.data() + shift, mode, dlogits_memory.data(), mode);
    CHECK(lab::difference(lab::from_device(device, y_memory), y) < lab::tolerance<TestType>);
    CHECK(lab::difference(lab::from_device(device, dx_memory), dx) < lab::tolerance<TestType>);
    CHECK(lab::difference(lab::from_device(device, dlogits_memory), dlogits) < 4 * lab::tolerance<float>);

    // without the gradient of x, and without that of the logits
    auto const found = lab::from_device(device, dlogits_memory);
    auto again = lab::on_device(device, old_logits);
    TestType* const no_maps = nullptr;
    float* const no_logits = nullptr;
    selective_merge_backward(device, g, x_memory.data() + shift, logits_memory.data(), dy_memory.data() + shift, no_maps,
                             mode, again.data(), mode);
    CHECK(lab::from_device(device, again) == found);
    auto maps = lab::on_device(device, old);
    selective_merge_backward(device, g, x_memory.data() + shift, logits_memory.data(), dy_memory.data() + shift,
                             maps.data() + shift, mode, no_logits, mode);
    CHECK(lab::from_device(device, maps) == lab::from_device(device, dx_memory));
}
