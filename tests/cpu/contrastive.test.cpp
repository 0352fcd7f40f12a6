// SPDX-License-Identifier: Apache-2.0
// NT-Xent on the CPU against the written-out formula in double, finite differences, ties, extremes and threads.

#include <tempera/cpu/contrastive.hpp>

#include "../catch.hpp"
#include "every_isa.hpp"
#include "sample.hpp"

using namespace tempera;
using sample::at;

namespace {

struct value {
    double loss = 0, accuracy = 0, entropy = 0;
};

/// SimCLR eq. 1 row by row with the whole matrix, view a's rows first.
value written_out(std::vector<double> const& h, int pairs, int channels, double temperature, bool normalize) {
    std::size_t const n = at(2 * pairs), d = at(channels), half = at(pairs);
    std::vector<double> u = h;
    for (std::size_t i = 0; normalize && i < n; ++i) {
        double sum = 0;
        for (std::size_t c = 0; c < d; ++c) sum += h[i * d + c] * h[i * d + c];
        for (std::size_t c = 0; c < d; ++c) u[i * d + c] = h[i * d + c] / std::sqrt(std::fmax(sum, 1e-12));
    }
    auto similarity = [&](std::size_t i, std::size_t j) {
        double dot = 0;
        for (std::size_t c = 0; c < d; ++c) dot += u[i * d + c] * u[j * d + c];
        return dot / temperature;
    };
    value v;
    for (std::size_t i = 0; i < n; ++i) {
        std::size_t const partner = (i + half) % n;
        double const own = similarity(i, partner);
        double sum = 0, top = own;
        for (std::size_t j = 0; j < n; ++j)
            if (j != i) top = std::fmax(top, similarity(i, j));
        for (std::size_t j = 0; j < n; ++j)
            if (j != i) sum += std::exp(similarity(i, j) - top);
        v.loss += (top - own + std::log(sum)) / pairs;
    }
    for (std::size_t i = 0; i < half; ++i) {
        std::vector<double> p(half);
        double top = -INFINITY, sum = 0;
        std::size_t best = 0;
        for (std::size_t j = 0; j < half; ++j) {
            p[j] = similarity(i, half + j);
            if (p[j] > top) top = p[j], best = j;
        }
        for (double& x : p) sum += x = std::exp(x - top);
        for (double const x : p) v.entropy -= x > 0 ? x / sum * std::log(x / sum) / pairs : 0;
        v.accuracy += (best == i ? 1.0 : 0.0) / pairs;
    }
    return v;
}

/// Central differences of the written-out loss along each coordinate of h.
std::vector<double> slopes(std::vector<double> h, int pairs, int channels, double temperature, bool normalize,
                           double step) {
    std::vector<double> out(h.size());
    for (std::size_t i = 0; i < h.size(); ++i) {
        double const kept = h[i];
        h[i] = kept + step;
        double const up = written_out(h, pairs, channels, temperature, normalize).loss;
        h[i] = kept - step;
        out[i] = (up - written_out(h, pairs, channels, temperature, normalize).loss) / (2 * step);
        h[i] = kept;
    }
    return out;
}

/// Views that resemble each other, as after some training.
std::vector<float> embeddings(int pairs, int channels, std::uint64_t seed, float size = 1) {
    auto h = sample::uniform<float>(std::int64_t{2} * pairs * channels, seed, -size, size);
    auto const noise = sample::uniform<float>(std::int64_t{1} * pairs * channels, seed + 1, -size, size);
    for (std::size_t i = 0; i < noise.size(); ++i) h[noise.size() + i] = h[i] + 0.6F * noise[i];
    return h;
}

}  // namespace

TEST_CASE("nt_xent equals the written-out formula in double", "[cpu][contrastive]") {
    struct size {
        int pairs, channels;
    };
    every_isa([](cpu& device) {
        for (size const s :
             {size{1, 4}, size{2, 1}, size{3, 7}, size{111, 16}, size{112, 33}, size{113, 8}, size{200, 5}})
            for (float const temperature : {0.1F, 0.5F})
                for (bool const normalize : {false, true}) {
                    CAPTURE(s.pairs, s.channels, temperature, normalize);
                    auto const h = embeddings(s.pairs, s.channels, 1);
                    auto const expected =
                        written_out(sample::widen(h), s.pairs, s.channels, static_cast<double>(temperature), normalize);
                    loss_value const got = contrastive_cross_entropy(
                        device, {s.pairs, s.channels, temperature, normalize}, h.data(), 1, nullptr, store::write);
                    CHECK(std::fabs(static_cast<double>(got.loss) - expected.loss) <= 2e-6 * expected.loss + 1e-7);
                    CHECK(std::fabs(static_cast<double>(got.entropy) - expected.entropy) <=
                          2e-6 * expected.entropy + 1e-6);
                    if (s.channels > 1) CHECK(std::fabs(static_cast<double>(got.accuracy) - expected.accuracy) < 1e-6);
                }
    });
}

TEST_CASE("the gradient of nt_xent equals finite differences in double", "[cpu][contrastive]") {
    struct size {
        int pairs, channels;
    };
    every_isa([](cpu& device) {
        for (size const s : {size{1, 3}, size{2, 2}, size{5, 9}, size{17, 3}})
            for (bool const normalize : {false, true}) {
                CAPTURE(s.pairs, s.channels, normalize);
                auto const h = embeddings(s.pairs, s.channels, 3);
                auto expected = slopes(sample::widen(h), s.pairs, s.channels, 0.25, normalize, 1e-6);
                auto const before = sample::uniform<float>(std::ssize(h), 5);
                auto dh = before;
                contrastive_geometry const g{s.pairs, s.channels, 0.25F, normalize};
                contrastive_cross_entropy(device, g, h.data(), 1, dh.data(), store::write);
                if (s.pairs == 1) {
                    for (float const x : dh) CHECK(x == 0);
                } else {
                    CHECK(sample::difference(dh, expected) < 1e-5);
                }
                for (std::size_t i = 0; i < expected.size(); ++i)
                    expected[i] = static_cast<double>(before[i]) + 0.5 * (s.pairs == 1 ? 0 : expected[i]);
                dh = before;
                contrastive_cross_entropy(device, g, h.data(), 0.5F, dh.data(), store::accumulate);
                CHECK(sample::difference(dh, expected) < 1e-5);
            }
    });
}

TEST_CASE("gradients across many blocks add up along a direction", "[cpu][contrastive]") {
    int const pairs = 210, channels = 20;
    auto const h = embeddings(pairs, channels, 6);
    auto const direction = sample::uniform<double>(std::ssize(h), 8);
    auto moved = [&](double step) {
        auto x = sample::widen(h);
        for (std::size_t i = 0; i < x.size(); ++i) x[i] += step * direction[i];
        return written_out(x, pairs, channels, 0.1, true).loss;
    };
    double const expected = (moved(1e-6) - moved(-1e-6)) / 2e-6;
    every_isa([&](cpu& device) {
        std::vector<float> dh(h.size());
        contrastive_cross_entropy(device, {pairs, channels, 0.1F, true}, h.data(), 1, dh.data(), store::write);
        double got = 0;
        for (std::size_t i = 0; i < dh.size(); ++i) got += static_cast<double>(dh[i]) * direction[i];
        CHECK_THAT(got, Catch::Matchers::WithinRel(expected, 1e-5));
    });
}

TEST_CASE("rows of very different length keep their place in the softmax", "[cpu][contrastive]") {
    every_isa([](cpu& device) {
        int const pairs = 100, channels = 4;
        auto h = embeddings(pairs, channels, 9);
        for (std::size_t i = 0; i < h.size(); ++i) h[i] *= i / 4 % 3 == 0 ? 12.0F : i / 4 % 3 == 1 ? 1.0F : 0.01F;
        auto const expected = written_out(sample::widen(h), pairs, channels, 0.5, false);
        std::vector<float> dh(h.size());
        loss_value const got =
            contrastive_cross_entropy(device, {pairs, channels, 0.5F, false}, h.data(), 1, dh.data(), store::write);
        CHECK_THAT(static_cast<double>(got.loss), Catch::Matchers::WithinRel(expected.loss, 2e-6));
        CHECK_THAT(static_cast<double>(got.entropy), Catch::Matchers::WithinRel(expected.entropy, 1e-5));
        auto const expected_slopes = slopes({h.begin(), h.begin() + 24}, 3, channels, 0.5, false, 1e-6);
        contrastive_cross_entropy(device, {3, channels, 0.5F, false}, h.data(), 1, dh.data(), store::write);
        CHECK(sample::difference(std::vector<float>(dh.begin(), dh.begin() + 24), expected_slopes) < 2e-5);
    });
}

TEST_CASE("a row of zeros has a finite loss and the gradient of its clamped norm", "[cpu][contrastive]") {
    every_isa([](cpu& device) {
        auto h = embeddings(4, 3, 11);
        for (std::size_t c = 0; c < 3; ++c) h[6 + c] = 0;
        auto const expected = slopes(sample::widen(h), 4, 3, 0.5, true, 1e-11);
        std::vector<float> dh(h.size());
        loss_value const got =
            contrastive_cross_entropy(device, {4, 3, 0.5F, true}, h.data(), 1, dh.data(), store::write);
        CHECK(std::isfinite(got.loss));
        for (std::size_t i = 6; i < 9; ++i)
            CHECK_THAT(static_cast<double>(dh[i]), Catch::Matchers::WithinRel(expected[i], 1e-3));
    });
}

TEST_CASE("equal similarities count for the first row, as argmax does", "[cpu][contrastive]") {
    every_isa([](cpu& device) {
        for (int const pairs : {4, 130}) {
            std::vector<float> const h(at(2 * pairs * 3), 1.0F);
            loss_value const got =
                contrastive_cross_entropy(device, {pairs, 3, 0.1F, true}, h.data(), 1, nullptr, store::write);
            CHECK(got.accuracy == 1.0F / static_cast<float>(pairs));
            CHECK_THAT(got.entropy, Catch::Matchers::WithinRel(std::log(static_cast<float>(pairs)), 1e-6F));
            CHECK_THAT(got.loss, Catch::Matchers::WithinRel(2 * std::log(static_cast<float>(2 * pairs - 1)), 1e-6F));
        }
    });
}

TEST_CASE("NaN among the embeddings shows in the loss", "[cpu][contrastive]") {
    every_isa([](cpu& device) {
        auto h = embeddings(5, 3, 12);
        h[7] = NAN;
        CHECK(
            std::isnan(contrastive_cross_entropy(device, {5, 3, 0.1F, true}, h.data(), 1, nullptr, store::write).loss));
    });
}

TEST_CASE("nt_xent is bitwise the same for any number of threads", "[cpu][contrastive]") {
    int const pairs = 500, channels = 24;
    auto const h = embeddings(pairs, channels, 13);
    std::vector<float> expected;
    loss_value first;
    for (int const threads : {1, 2, 3, 5}) {
        cpu device{.threads = threads};
        std::vector<float> dh(h.size());
        loss_value const got =
            contrastive_cross_entropy(device, {pairs, channels, 0.1F, true}, h.data(), 1, dh.data(), store::write);
        if (threads == 1) expected = dh, first = got;
        CHECK(sample::same_bits(dh, expected));
        CHECK((got.loss == first.loss && got.accuracy == first.accuracy && got.entropy == first.entropy));
    }
}
