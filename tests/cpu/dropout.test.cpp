// SPDX-License-Identifier: Apache-2.0
// Dropout and DropBlock on the CPU against masks drawn here from the same counters.

#include <tempera/cpu/dropout.hpp>

#include <algorithm>

#include "../catch.hpp"
#include "every_isa.hpp"
#include "sample.hpp"

using namespace tempera;
using sample::at;

namespace {

/// The uniform draw of element i: word i % 4 of the counter block offset + i / 4.
double draw(random_stream const& r, std::int64_t i) {
    std::uint64_t const block = r.offset + static_cast<std::uint64_t>(i / 4);
    auto const words = philox(
        r.key, {static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32), 0U, 0U});
    return static_cast<double>(words[at(i % 4)] >> 8) / 16777216.0;
}

/// DropBlock by its definition: a position falls when any seed whose block lies inside the map covers it.
std::vector<double> drop_block(drop_block_geometry const& g, random_stream const& r) {
    int const side = std::min({g.block, g.height, g.width});
    double const gamma = (1.0 - static_cast<double>(g.keep)) * g.height * g.width / (side * side) /
                         ((g.height - side + 1) * (g.width - side + 1));
    std::vector<double> mask(at(std::int64_t{1} * g.batch * g.height * g.width * g.channels), 1.0);
    auto const element = [&g](int n, int i, int j, int c) {
        return ((std::int64_t{n} * g.height + i) * g.width + j) * g.channels + c;
    };
    for (int n = 0; n < g.batch; ++n)
        for (int c = 0; c < g.channels; ++c)
            for (int i = side / 2; i < g.height - (side - 1) / 2; ++i)
                for (int j = side / 2; j < g.width - (side - 1) / 2; ++j) {
                    if (draw(r, element(n, i, j, c)) >= gamma) continue;
                    for (int a = i - side / 2; a < i - side / 2 + side; ++a)
                        for (int b = j - side / 2; b < j - side / 2 + side; ++b) mask[at(element(n, a, b, c))] = 0.0;
                }
    double ones = 0;
    for (double const m : mask) ones += m;
    for (double& m : mask)
        if (m > 0) m = static_cast<double>(mask.size()) / ones;
    return mask;
}

}  // namespace

TEMPLATE_TEST_CASE("dropout draws element i from block offset + i / 4", "[cpu][dropout]", float, bf16) {
    every_isa([](cpu& device) {
        for (auto const offset : {std::uint64_t{0}, std::uint64_t{12345}, (std::uint64_t{1} << 32) - 3}) {
            for (std::int64_t const n : {1, 4, 5, 63, 1001, 5000}) {
                for (float const rate : {0.0F, 0.1F, 0.5F, 0.9F}) {
                    CAPTURE(offset, n, rate);
                    random_stream const r{{7U, 9U}, offset};
                    auto const x = sample::uniform<TestType>(n, 1, 0.5F, 1.5F);
                    std::vector<double> expected(x.size());
                    for (std::int64_t i = 0; i < n; ++i)
                        expected[at(i)] = draw(r, i) >= static_cast<double>(rate)
                                              ? static_cast<double>(static_cast<float>(x[at(i)])) /
                                                    (1.0 - static_cast<double>(rate))
                                              : 0.0;
                    std::vector<TestType> y(x.size(), TestType(5.0F));
                    apply_dropout(device, n, rate, r, x.data(), y.data(), store::write);
                    CHECK(sample::difference(y, expected) < sample::tolerance<TestType>);
                    apply_dropout(device, n, rate, r, x.data(), y.data(), store::accumulate);
                    for (double& v : expected) v *= 2;
                    CHECK(sample::difference(y, expected) < 2 * sample::tolerance<TestType>);
                }
            }
        }
    });
}

TEST_CASE("dropout keeps the mean", "[cpu][dropout]") {
    cpu device{.threads = 2};
    std::vector<float> const x(100000, 1.0F);
    std::vector<float> y(x.size());
    apply_dropout(device, 100000, 0.3F, random_stream{{1U, 2U}, 0}, x.data(), y.data(), store::write);
    double sum = 0;
    for (float const v : y) sum += static_cast<double>(v);
    CHECK(std::fabs(sum / 100000 - 1.0) < 0.01);  // five standard deviations: 5 sqrt(0.3 / 0.7 / 1e5) = 0.0104
}

TEST_CASE("drop_block_mask equals its definition", "[cpu][dropout]") {
    every_isa([](cpu& device) {
        for (drop_block_geometry const& g :
             {drop_block_geometry{4, 14, 14, 8, 7, 0.8F}, drop_block_geometry{3, 8, 8, 1, 4, 0.7F},
              drop_block_geometry{2, 5, 5, 3, 7, 0.4F}, drop_block_geometry{5, 9, 6, 2, 3, 0.9F},
              drop_block_geometry{2, 6, 6, 2, 1, 0.5F}, drop_block_geometry{2, 6, 6, 2, 3, 1.0F}}) {
            CAPTURE(g.height, g.width, g.block, g.keep);
            random_stream const r{{3U, 4U}, 1000};
            std::vector<float> mask(at(std::int64_t{1} * g.batch * g.height * g.width * g.channels), -1.0F);
            drop_block_mask(device, g, r, mask.data());
            CHECK(sample::difference(mask, drop_block(g, r)) < 1e-6);
        }
    });
}

TEST_CASE("drop_block_mask keeps about the fraction asked for", "[cpu][dropout]") {
    cpu device{.threads = 2};
    drop_block_geometry const g{300, 14, 14, 1, 3, 0.9F};
    std::vector<float> mask(300 * 14 * 14);
    drop_block_mask(device, g, random_stream{{5U, 6U}, 0}, mask.data());
    double kept = 0, sum = 0;
    for (float const m : mask) kept += m > 0 ? 1 : 0, sum += static_cast<double>(m);
    double const total = static_cast<double>(mask.size());
    CHECK(kept / total > 0.89);  // blocks overlap, so a little more than `keep` stays
    CHECK(kept / total < 0.93);
    CHECK(std::fabs(sum / total - 1) < 1e-5);
}

TEST_CASE("a mask with every position dropped is zero", "[cpu][dropout]") {
    cpu device{.threads = 1};
    std::vector<float> mask(2 * 4 * 4, 1.0F);
    drop_block_mask(device, drop_block_geometry{2, 4, 4, 1, 4, 0.0F}, random_stream{}, mask.data());
    CHECK(mask == std::vector<float>(32, 0.0F));
}

TEMPLATE_TEST_CASE("mask_elements multiplies element by element", "[cpu][dropout]", float, bf16) {
    every_isa([](cpu& device) {
        for (std::int64_t const n : {1, 21, 1280, 1197}) {
            auto const x = sample::uniform<TestType>(n, 2), before = sample::uniform<TestType>(n, 3);
            auto mask = sample::uniform<float>(n, 4);
            mask[0] = 0.0F;
            std::vector<double> expected(x.size()), sum(x.size());
            for (std::size_t i = 0; i < x.size(); ++i) {
                expected[i] = static_cast<double>(mask[i]) * static_cast<double>(static_cast<float>(x[i]));
                sum[i] = expected[i] + static_cast<double>(static_cast<float>(before[i]));
            }
            auto y = before;
            mask_elements(device, n, mask.data(), x.data(), y.data(), store::accumulate);
            CHECK(sample::difference(y, sum) < sample::tolerance<TestType>);
            mask_elements(device, n, mask.data(), x.data(), y.data(), store::write);
            CHECK(sample::difference(y, expected) < sample::tolerance<TestType>);
        }
    });
}

TEMPLATE_TEST_CASE("dropout is bitwise the same for any number of threads and any instruction set", "[cpu][dropout]",
                   float, bf16) {
    std::int64_t const n = 200003;
    auto const x = sample::uniform<TestType>(n, 5);
    drop_block_geometry const g{100, 28, 28, 1, 5, 0.8F};
    std::vector<TestType> first_y;
    std::vector<float> first_mask;
    auto check = [&](cpu& device) {
        std::vector<TestType> y(x.size());
        std::vector<float> mask(100 * 28 * 28);
        apply_dropout(device, n, 0.4F, random_stream{{8U, 9U}, 77}, x.data(), y.data(), store::write);
        drop_block_mask(device, g, random_stream{{8U, 9U}, 77}, mask.data());
        if (first_y.empty()) first_y = y, first_mask = mask;
        CHECK(sample::same_bits(y, first_y));
        CHECK(sample::same_bits(mask, first_mask));
    };
    for (int const threads : {1, 2, 3, 5}) {
        cpu device{.threads = threads};
        check(device);
    }
    every_isa(check);
}

TEST_CASE("dropout refuses a rate that drops everything, and leaves nothing of nothing", "[cpu][dropout]") {
    cpu device{.threads = 1};
    float const one = 1.0F;
    float y = 0;
    CHECK_THROWS_AS(apply_dropout(device, 1, 1.0F, random_stream{}, &one, &y, store::write), tempera::error);
    CHECK_THROWS_AS(apply_dropout(device, 1, -0.1F, random_stream{}, &one, &y, store::write), tempera::error);
    float const* none = nullptr;
    float* nowhere = nullptr;
    apply_dropout(device, 0, 0.5F, random_stream{}, none, nowhere, store::write);
    drop_block_mask(device, drop_block_geometry{0, 4, 4, 1, 3, 0.9F}, random_stream{}, nowhere);
    mask_elements(device, 0, none, none, nowhere, store::write);
}
