// SPDX-License-Identifier: Apache-2.0
// Row normalization on the CPU against float64 and finite differences.

#include <tempera/cpu/l2_normalize.hpp>

#include "../catch.hpp"
#include "every_isa.hpp"
#include "sample.hpp"

using namespace tempera;
using sample::at;

namespace {

std::vector<double> normalized(std::vector<double> const& x, std::size_t channels) {
    std::vector<double> y(x.size());
    for (std::size_t row = 0; row < x.size(); row += channels) {
        double sum = 0;
        for (std::size_t c = 0; c < channels; ++c) sum += x[row + c] * x[row + c];
        for (std::size_t c = 0; c < channels; ++c) y[row + c] = x[row + c] / std::sqrt(std::fmax(sum, 1e-12));
    }
    return y;
}

std::vector<double> slopes(std::vector<double> x, std::vector<double> const& dy, std::size_t channels, double step) {
    auto loss = [&] {
        auto const y = normalized(x, channels);
        double sum = 0;
        for (std::size_t i = 0; i < y.size(); ++i) sum += y[i] * dy[i];
        return sum;
    };
    std::vector<double> out(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
        double const kept = x[i];
        x[i] = kept + step;
        double const up = loss();
        x[i] = kept - step;
        out[i] = (up - loss()) / (2 * step);
        x[i] = kept;
    }
    return out;
}

}  // namespace

TEMPLATE_TEST_CASE("l2_normalize equals float64 and finite differences", "[cpu][l2_normalize]", float, bf16) {
    struct size {
        std::int64_t rows;
        int channels;
    };
    every_isa([](cpu& device) {
        for (size const s : {size{1, 1}, size{3, 5}, size{4, 64}, size{2, 133}, size{5, 128}}) {
            CAPTURE(s.rows, s.channels);
            auto const n = s.rows * s.channels;
            auto const x = sample::uniform<TestType>(n, 1), dy = sample::uniform<TestType>(n, 2);
            auto const before = sample::uniform<TestType>(n, 3);
            auto const expected = normalized(sample::widen(x), at(s.channels));
            std::vector<TestType> y(x.size());
            std::vector<float> inverse_norm(at(s.rows));
            l2_normalize_forward(device, s.rows, s.channels, x.data(), y.data(), inverse_norm.data());
            CHECK(sample::difference(y, expected) < sample::tolerance<TestType>);

            auto slope = slopes(sample::widen(x), sample::widen(dy), at(s.channels), 1e-6);
            // y in bf16 is rounded before it is used, which weighs |dy| sqrt(channels) times the slope
            double const loose = std::is_same_v<TestType, float> ? 1e-5 : 3e-2;
            bool const vanishes = s.channels == 1;  // a one-channel row is its sign: the slope is zero
            std::vector<TestType> dx = before;
            l2_normalize_backward(device, s.rows, s.channels, y.data(), inverse_norm.data(), dy.data(), dx.data(),
                                  store::write);
            if (vanishes) CHECK(std::fabs(static_cast<float>(dx[0])) < 1e-5F * inverse_norm[0]);
            else CHECK(sample::difference(dx, slope) < loose);
            auto const b = sample::widen(before);
            for (std::size_t i = 0; i < slope.size(); ++i) slope[i] += b[i];
            dx = before;
            l2_normalize_backward(device, s.rows, s.channels, y.data(), inverse_norm.data(), dy.data(), dx.data(),
                                  store::accumulate);
            CHECK(sample::difference(dx, slope) < loose);
        }
    });
}

TEST_CASE("l2_normalize below its smallest norm is a plain factor", "[cpu][l2_normalize]") {
    every_isa([](cpu& device) {
        std::vector<float> const x{1e-8F, -3e-8F, 2e-8F, 0, 0, 0}, dy{1, 2, 3, 4, 5, 6};
        std::vector<float> y(6), dx(6), inverse_norm(2);
        l2_normalize_forward(device, 2, 3, x.data(), y.data(), inverse_norm.data());
        CHECK(sample::difference(y, normalized(sample::widen(x), 3)) < 1e-6);
        l2_normalize_backward(device, 2, 3, y.data(), inverse_norm.data(), dy.data(), dx.data(), store::write);
        CHECK(sample::difference(dx, slopes(sample::widen(x), sample::widen(dy), 3, 1e-10)) < 1e-5);
    });
}

TEMPLATE_TEST_CASE("l2_normalize is bitwise the same for any number of threads", "[cpu][l2_normalize]", float, bf16) {
    std::int64_t const rows = 2000;
    auto const x = sample::uniform<TestType>(rows * 133, 4), dy = sample::uniform<TestType>(rows * 133, 5);
    std::vector<TestType> first_y, first_dx;
    for (int const threads : {1, 2, 3, 5}) {
        cpu device{.threads = threads};
        std::vector<TestType> y(x.size()), dx(x.size());
        std::vector<float> inverse_norm(at(rows));
        l2_normalize_forward(device, rows, 133, x.data(), y.data(), inverse_norm.data());
        l2_normalize_backward(device, rows, 133, y.data(), inverse_norm.data(), dy.data(), dx.data(), store::write);
        if (threads == 1) first_y = y, first_dx = dx;
        CHECK(sample::same_bits(y, first_y));
        CHECK(sample::same_bits(dx, first_dx));
    }
}

TEST_CASE("l2_normalize of no rows touches nothing", "[cpu][l2_normalize]") {
    cpu device{.threads = 2};
    float const* none = nullptr;
    float* nowhere = nullptr;
    l2_normalize_forward(device, 0, 3, none, nowhere, nowhere);
    l2_normalize_backward(device, 0, 3, none, none, none, nowhere, store::write);
    SUCCEED();
}
