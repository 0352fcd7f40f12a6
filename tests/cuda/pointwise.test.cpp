// SPDX-License-Identifier: Apache-2.0
// Element by element functions against their formulas in float64.

#include "lab.hpp"

using namespace tempera;

namespace {

constexpr int count = 4099;  // more than two blocks of threads, and a rest behind the last pack

/// One function of two inputs into a third array: what the device gives beside what `formula` says. Arrays that begin one
/// element late are not aligned to packs.
template <class T>
void compare(auto const& run, auto const& formula, store mode) {
    gpu device;
    for (std::ptrdiff_t const shift : {0, 1}) {
        auto const a = lab::random_values<T>(count + shift, 1);
        auto const b = lab::random_values<T>(count + shift, 2);
        auto const old = lab::random_values<T>(count + shift, 3);
        auto expected = lab::exact(old);
        for (auto i = static_cast<std::size_t>(shift); i < expected.size(); ++i)
            expected[i] = (mode == store::write ? 0 : expected[i]) +
                          formula(static_cast<double>(static_cast<float>(a[i])), static_cast<double>(static_cast<float>(b[i])));
        auto a_memory = lab::on_device(device, a);
        auto b_memory = lab::on_device(device, b);
        auto out = lab::on_device(device, old);
        run(device, a_memory.data() + shift, b_memory.data() + shift, out.data() + shift);
        CHECK(lab::difference(lab::from_device(device, out), expected) < lab::tolerance<T>);
    }
}

}  // namespace

TEMPLATE_TEST_CASE("gpu pointwise: functions that write", "", float, bf16, tempera::half) {
    emulation::with const machine(lab::any_order());
    using T = TestType;
    compare<T>([](gpu& d, T* a, T*, T* y) { relu_forward(d, count, a, y); },
               [](double a, double) { return std::max(a, 0.0); }, store::write);
    compare<T>([](gpu& d, T* a, T*, T* y) { sigmoid_forward(d, count, a, y); },
               [](double a, double) { return 1 / (1 + std::exp(-a)); }, store::write);
    compare<T>([](gpu& d, T* a, T* b, T* y) { add_forward(d, count, a, b, y); },
               [](double a, double b) { return a + b; }, store::write);
    compare<T>([](gpu& d, T* a, T* b, T* y) { multiply_forward(d, count, a, b, y); },
               [](double a, double b) { return a * b; }, store::write);
    compare<T>([](gpu& d, T*, T*, T* y) { fill(d, count, 0.75F, y); }, [](double, double) { return 0.75; }, store::write);
    compare<T>([](gpu& d, T* a, T*, T* y) { copy(d, count, a, y, store::write), scale(d, count, -3.0F, y); },
               [](double a, double) { return -3 * a; }, store::write);
}

TEMPLATE_TEST_CASE("gpu pointwise: functions that write or accumulate", "", float, bf16, tempera::half) {
    emulation::with const machine(lab::any_order());
    using T = TestType;
    store const mode = GENERATE(store::write, store::accumulate);
    compare<T>([&](gpu& d, T* a, T* b, T* y) { relu_backward(d, count, a, b, y, mode); },
               [](double a, double b) { return a > 0 ? b : 0; }, mode);
    compare<T>([&](gpu& d, T* a, T* b, T* y) { sigmoid_backward(d, count, a, b, y, mode); },
               [](double a, double b) { return b * a * (1 - a); }, mode);
    compare<T>([&](gpu& d, T* a, T* b, T* y) { multiply_backward(d, count, a, b, y, mode); },
               [](double a, double b) { return a * b; }, mode);
    compare<T>([&](gpu& d, T* a, T*, T* y) { copy(d, count, a, y, mode); }, [](double a, double) { return a; }, mode);
}

TEST_CASE("gpu pointwise: relu keeps NaN") {
    gpu device;
    auto x = lab::on_device(device, std::vector<float>{NAN, -1, 2});
    relu_forward(device, 3, x.data(), x.data());
    auto const y = lab::from_device(device, x);
    CHECK(std::isnan(y[0]));
    CHECK(y[1] == 0);
    CHECK(y[2] == 2);
}

TEMPLATE_TEST_CASE("gpu pointwise: conversions round as the library does", "", bf16, tempera::half) {
    gpu device;
    auto values = lab::random_values<float>(count, 1);
    values[0] = 1e-6F;
    values[1] = 1e30F;
    values[2] = INFINITY;
    auto from = lab::on_device(device, values);
    buffer<TestType> to(device, count);
    buffer<float> back(device, count);
    convert(device, count, from.data(), to.data());
    convert(device, count, to.data(), back.data());
    auto const stored = lab::from_device(device, to);
    auto const read = lab::from_device(device, back);
    for (std::size_t i = 0; i < count; ++i) {
        CHECK(stored[i] == TestType(values[i]));
        CHECK(read[i] == static_cast<float>(TestType(values[i])));
    }
}

TEMPLATE_TEST_CASE("gpu pointwise: channels of one array into another", "", float, bf16, tempera::half) {
    emulation::with const machine(lab::any_order());
    gpu device;
    store const mode = GENERATE(store::write, store::accumulate);
    channel_copy const c = GENERATE(channel_copy{5, 4, 1, 7, 3, 2}, channel_copy{1, 1, 0, 1, 0, 1},
                                    channel_copy{300, 32, 8, 40, 24, 16},  // packs
                                    channel_copy{3, 32, 4, 40, 24, 16}, channel_copy{3, 36, 8, 40, 24, 16});
    auto const x = lab::random_values<TestType>(c.rows * c.source_channels, 1);
    auto const y = lab::random_values<TestType>(c.rows * c.target_channels, 2);
    auto const xs = lab::exact(x);
    auto expected = lab::exact(y);
    for (std::int64_t row = 0; row < c.rows; ++row)
        for (int k = 0; k < c.count; ++k) {
            double const v = xs[static_cast<std::size_t>(row * c.source_channels + c.source_begin + k)];
            double& to = expected[static_cast<std::size_t>(row * c.target_channels + c.target_begin + k)];
            to = mode == store::write ? v : to + v;
        }
    auto x_memory = lab::on_device(device, x);
    auto y_memory = lab::on_device(device, y);
    copy_channels(device, c, x_memory.data(), y_memory.data(), mode);
    CHECK(lab::difference(lab::from_device(device, y_memory), expected) < lab::tolerance<TestType>);
}

TEMPLATE_TEST_CASE("gpu pointwise: gate", "", float, bf16, tempera::half) {
    emulation::with const machine(lab::any_order());
    gpu device;
    store const mode = GENERATE(store::write, store::accumulate);
    auto const [batch, positions, channels] = GENERATE(std::tuple(2, 6, 5), std::tuple(1, 1, 1), std::tuple(3, 700, 24));
    gate_geometry const g{.batch = batch, .positions = positions, .channels = channels};
    int const size = batch * positions * channels;
    auto const x = lab::random_values<TestType>(size, 1);
    auto const dy = lab::random_values<TestType>(size, 2);
    auto const gate = lab::random_values<float>(batch * channels, 3);
    auto const old = lab::random_values<TestType>(size, 4);
    auto const old_gate = lab::random_values<float>(batch * channels, 5);
    auto const xs = lab::exact(x);
    auto const dys = lab::exact(dy);
    std::vector<double> y(x.size());
    auto dx = mode == store::write ? std::vector<double>(x.size()) : lab::exact(old);
    auto dgate = mode == store::write ? std::vector<double>(gate.size()) : lab::exact(old_gate);
    for (std::size_t i = 0; i < x.size(); ++i) {
        auto const width = static_cast<std::size_t>(channels);
        std::size_t const of = i / width / static_cast<std::size_t>(positions) * width + i % width;
        y[i] = xs[i] * static_cast<double>(gate[of]);
        dx[i] += dys[i] * static_cast<double>(gate[of]);
        dgate[of] += dys[i] * xs[i];
    }
    auto x_memory = lab::on_device(device, x);
    auto dy_memory = lab::on_device(device, dy);
    auto gate_memory = lab::on_device(device, gate);
    auto out = lab::on_device(device, old);
    auto out_gate = lab::on_device(device, old_gate);
    buffer<TestType> y_memory(device, size);
    gate_forward(device, g, x_memory.data(), gate_memory.data(), y_memory.data());
    gate_backward(device, g, x_memory.data(), gate_memory.data(), dy_memory.data(), out.data(), mode, nullptr, mode);
    gate_backward(device, g, x_memory.data(), gate_memory.data(), dy_memory.data(), nullptr, mode, out_gate.data(), mode);
    CHECK(lab::difference(lab::from_device(device, y_memory), y) < lab::tolerance<TestType>);
    CHECK(lab::difference(lab::from_device(device, out), dx) < lab::tolerance<TestType>);
    CHECK(lab::difference(lab::from_device(device, out_gate), dgate) < lab::tolerance<float>);

    auto both = lab::on_device(device, old);
    auto both_gate = lab::on_device(device, old_gate);
    gate_backward(device, g, x_memory.data(), gate_memory.data(), dy_memory.data(), both.data(), mode, both_gate.data(), mode);
    CHECK(lab::from_device(device, both) == lab::from_device(device, out));
    CHECK(lab::from_device(device, both_gate) == lab::from_device(device, out_gate));
}

TEMPLATE_TEST_CASE("gpu pointwise: dropout draws from the stream by element", "", float, bf16, tempera::half) {
    gpu device;
    float const rate = 0.4F;
    random_stream const random{{12, 34}, (std::uint64_t{1} << 32) - 2};  // the counter's first word overflows on the way
    auto const x = lab::random_values<TestType>(count, 1);
    std::vector<double> expected(count);
    for (std::size_t i = 0; i < count; ++i) {
        std::uint64_t const block = random.offset + i / 4;
        auto const words = philox(random.key, {static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32), 0, 0});
        bool const kept = static_cast<float>(words[i % 4] >> 8) * 0x1p-24F >= rate;
        expected[i] = kept ? static_cast<double>(static_cast<float>(x[i])) / (1 - static_cast<double>(rate)) : 0;
    }
    auto x_memory = lab::on_device(device, x);
    buffer<TestType> y(device, count);
    apply_dropout(device, count, rate, random, x_memory.data(), y.data(), store::write);
    CHECK(lab::difference(lab::from_device(device, y), expected) < lab::tolerance<TestType>);
    apply_dropout(device, count, rate, random, x_memory.data(), y.data(), store::accumulate);
    for (auto& v : expected) v *= 2;
    CHECK(lab::difference(lab::from_device(device, y), expected) < lab::tolerance<TestType>);
    CHECK_THROWS_AS(apply_dropout(device, count, 1.0F, random, x_memory.data(), y.data(), store::write), error);
}

TEST_CASE("gpu pointwise: DropBlock zeroes whole blocks and keeps the sum of the mask") {
    emulation::with const machine(lab::any_order());
    gpu device;
    int const block = GENERATE(1, 3, 4);
    drop_block_geometry const g{.batch = 3, .height = 9, .width = 8, .channels = 2, .block = block, .keep = 0.6F};
    buffer<float> memory(device, 3 * 9 * 8 * 2);
    drop_block_mask(device, g, {{5, 6}, 0}, memory.data());
    auto const mask = lab::from_device(device, memory);
    auto const at = [&](int n, int i, int j) { return mask[static_cast<std::size_t>(((n / 2 * 9 + i) * 8 + j) * 2 + n % 2)]; };
    double sum = 0;
    int zeros = 0;
    for (int n = 0; n < 6; ++n)  // samples and their channels
        for (int i = 0; i < 9; ++i)
            for (int j = 0; j < 8; ++j) {
                sum += static_cast<double>(at(n, i, j));
                if (at(n, i, j) != 0) continue;
                ++zeros;
                // some block of zeros inside the map covers this zero
                bool covered = false;
                for (int top = std::max(0, i - block + 1); top <= std::min(i, 9 - block); ++top)
                    for (int left = std::max(0, j - block + 1); left <= std::min(j, 8 - block); ++left) {
                        bool all = true;
                        for (int r = top; r < top + block; ++r)
                            for (int s = left; s < left + block; ++s) all = all && at(n, r, s) == 0;
                        covered = covered || all;
                    }
                CHECK(covered);
            }
    CHECK(zeros > 0);
    CHECK(zeros < 6 * 9 * 8 * 2 / 3);
    CHECK(std::abs(sum - 6 * 9 * 8) < 1e-3);

    auto x = lab::on_device(device, std::vector<float>(mask.size(), 2.0F));
    auto y = lab::on_device(device, std::vector<float>(mask.size(), 1.0F));
    mask_elements(device, 3 * 9 * 8 * 2, memory.data(), x.data(), y.data(), store::accumulate);
    auto const masked = lab::from_device(device, y);
    for (std::size_t i = 0; i < masked.size(); ++i) CHECK(masked[i] == 1 + 2 * mask[i]);
}

TEMPLATE_TEST_CASE("gpu pointwise: L2 normalization", "", float, bf16, tempera::half) {
    emulation::with const machine(lab::any_order());
    gpu device;
    store const mode = GENERATE(store::write, store::accumulate);
    int const rows = 3;
    int const channels = GENERATE(1, 5, 200);
    auto x = lab::random_values<TestType>(rows * channels, 1);
    for (int c = 0; c < channels; ++c) x[static_cast<std::size_t>(channels + c)] = TestType(0.0F);  // shorter than 1e-6
    auto const dy = lab::random_values<TestType>(rows * channels, 2);
    auto const old = lab::random_values<TestType>(rows * channels, 3);
    auto x_memory = lab::on_device(device, x);
    auto dy_memory = lab::on_device(device, dy);
    auto dx_memory = lab::on_device(device, old);
    buffer<TestType> y_memory(device, rows * channels);
    buffer<float> inverse(device, rows);
    l2_normalize_forward(device, rows, channels, x_memory.data(), y_memory.data(), inverse.data());
    l2_normalize_backward(device, rows, channels, y_memory.data(), inverse.data(), dy_memory.data(), dx_memory.data(), mode);

    auto const xs = lab::exact(x);
    auto const dys = lab::exact(dy);
    auto const y_found = lab::exact(lab::from_device(device, y_memory));
    auto const before = mode == store::write ? std::vector<double>(old.size()) : lab::exact(old);
    std::vector<double> y(xs.size());
    std::vector<double> dx(xs.size());
    for (int row : {0, 2, 1}) {  // the zero row last: its gradient is as large as 1e6
        auto const first = static_cast<std::size_t>(row * channels);
        auto const width = static_cast<std::size_t>(channels);
        double squares = 0;
        for (std::size_t c = first; c < first + width; ++c) squares += xs[c] * xs[c];
        double const r = 1 / std::sqrt(std::max(squares, 1e-12));
        double along = 0;
        for (std::size_t c = first; c < first + width; ++c) y[c] = xs[c] * r;
        for (std::size_t c = first; c < first + width; ++c) along += (row == 1 ? y[c] : y_found[c]) * dys[c];
        for (std::size_t c = first; c < first + width; ++c)
            dx[c] = before[c] + r * (dys[c] - (row == 1 ? 0 : y_found[c] * along));
    }
    CHECK(lab::difference(lab::from_device(device, y_memory), y) < lab::tolerance<TestType>);
    auto const found = lab::from_device(device, dx_memory);
    auto const part = [&](auto const& values, int row) {
        return std::decay_t<decltype(values)>(values.begin() + row * channels, values.begin() + (row + 1) * channels);
    };
    double const loose = 2 * lab::tolerance<TestType>;
    for (int row : {0, 2})
        if (channels > 1) CHECK(lab::difference(part(found, row), part(dx, row)) < loose);
    if constexpr (!std::is_same_v<TestType, tempera::half>) CHECK(lab::difference(part(found, 1), part(dx, 1)) < loose);  // half ends at 65504
}
