// SPDX-License-Identifier: Apache-2.0
// embedding_map: exact components of data of rank two, clusters that stay apart, the same map every time.
#include "../catch.hpp"
#include "../refusal.hpp"

#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include <tempera/core/philox.hpp>
#include <tempera/pipeline/embedding_map.hpp>

namespace {

using tempera::embedding_map;
using tempera::view;
using points = std::vector<std::array<float, 2>>;

view<float const> rows_of(std::vector<float> const& values, int width) {
    return {values.data(), {static_cast<int>(values.size()) / width, 1, 1, width}};
}

/// Rows around ten centers; row i belongs to center i % 10.
std::vector<float> clusters(int rows, int width, float spread) {
    tempera::philox_stream draws(11);
    std::vector<float> centers(static_cast<std::size_t>(10 * width)), out;
    for (float& c : centers) c = draws.uniform(-1, 1);
    for (int i = 0; i < rows; ++i)
        for (int j = 0; j < width; ++j)
            out.push_back(centers[static_cast<std::size_t>(i % 10 * width + j)] + spread * draws.uniform(-1, 1));
    return out;
}

/// Share of points whose nearest point has the same cluster.
double agreement(points const& map) {
    int right = 0;
    for (std::size_t i = 0; i < map.size(); ++i) {
        std::size_t nearest = i;
        float best = INFINITY;
        for (std::size_t j = 0; j < map.size(); ++j) {
            float const dx = map[i][0] - map[j][0], dy = map[i][1] - map[j][1];
            if (j == i || dx * dx + dy * dy >= best) continue;
            best = dx * dx + dy * dy;
            nearest = j;
        }
        right += nearest % 10 == i % 10;
    }
    return right / static_cast<double>(map.size());
}

bool finite(points const& map) {
    for (auto const& p : map)
        if (!std::isfinite(p[0]) || !std::isfinite(p[1])) return false;
    return true;
}

}  // namespace

TEST_CASE("embedding_map: components of data of rank two are exact", "[pipeline]") {
    // x_i = 5 cos(t_i) u + 2 sin(t_i) v + c with orthonormal u, v: the scores are 5 cos(t_i) and 2 sin(t_i).
    int const n = 60, width = 7;
    std::array<double, 7> u{}, v{};
    for (std::size_t j = 0; j < 7; ++j) {
        u[j] = std::cos(2 * M_PI * static_cast<double>(j) / 7) * std::sqrt(2.0 / 7);
        v[j] = std::sin(2 * M_PI * static_cast<double>(j) / 7) * std::sqrt(2.0 / 7);
    }
    std::vector<float> rows;
    for (int i = 0; i < n; ++i)
        for (std::size_t j = 0; j < 7; ++j)
            rows.push_back(static_cast<float>(5 * std::cos(2 * M_PI * i / n) * u[j] +
                                              2 * std::sin(2 * M_PI * i / n) * v[j] + 3.5));
    auto const map = embedding_map(rows_of(rows, width), {.iterations = 0});
    REQUIRE(map.size() == 60);
    // The largest entry of u is its first and positive; v is largest at j = 2 (positive) and j = 5 (negative), equal
    // to rounding, so its sign is either.
    double const sign = map[15][1] > 0 ? 1 : -1;
    for (int i = 0; i < n; ++i) {
        auto const& p = map[static_cast<std::size_t>(i)];
        INFO(i);
        CHECK_THAT(static_cast<double>(p[0]), Catch::Matchers::WithinAbs(5 * std::cos(2 * M_PI * i / n), 1e-4));
        CHECK_THAT(sign * static_cast<double>(p[1]), Catch::Matchers::WithinAbs(2 * std::sin(2 * M_PI * i / n), 1e-4));
    }
}

TEST_CASE("embedding_map: clusters that are apart stay apart", "[pipeline]") {
    auto const rows = clusters(300, 24, 0.4F);
    auto const map = embedding_map(rows_of(rows, 24), {.iterations = 300});
    REQUIRE(map.size() == 300);
    CHECK(finite(map));
    CHECK(agreement(map) > 0.99);
    CHECK(agreement(embedding_map(rows_of(rows, 24), {.iterations = 0})) < 0.9);  // a plane cannot do it
}

TEST_CASE("embedding_map: no structure is invented", "[pipeline]") {
    tempera::philox_stream draws(5);
    std::vector<float> rows(200 * 16);
    for (float& r : rows) r = draws.uniform(-1, 1);
    double const share = agreement(embedding_map(rows_of(rows, 16), {.iterations = 200}));
    CHECK(share < 0.3);
}

TEST_CASE("embedding_map: the same rows and options give the same bits, another seed another map", "[pipeline]") {
    auto const rows = clusters(120, 12, 0.5F);
    auto const options = tempera::embedding_map_options{.iterations = 100, .seed = 3};
    auto const first = embedding_map(rows_of(rows, 12), options);
    CHECK(first == embedding_map(rows_of(rows, 12), options));
    CHECK(first != embedding_map(rows_of(rows, 12), {.iterations = 100, .seed = 4}));
}

TEST_CASE("embedding_map: few rows, equal rows, one column", "[pipeline]") {
    CHECK(embedding_map({}).empty());
    for (int n : {1, 2, 3, 4, 5, 10}) {
        INFO(n);
        auto const rows = clusters(n, 6, 0.5F);
        auto const map = embedding_map(rows_of(rows, 6));
        CHECK(map.size() == static_cast<std::size_t>(n));
        CHECK(finite(map));
    }
    std::vector<float> const constant(50 * 4, 2.5F);
    CHECK(finite(embedding_map(rows_of(constant, 4))));
    CHECK(finite(embedding_map(rows_of(clusters(50, 1, 0.1F), 1), {.iterations = 50})));
    auto twice = clusters(60, 5, 0.5F);
    for (std::size_t i = 0; i < 150; ++i) twice[i + 150] = twice[i];  // every row of the first half again
    CHECK(finite(embedding_map(rows_of(twice, 5), {.iterations = 100})));
}

TEST_CASE("embedding_map: refuses what it cannot draw", "[pipeline]") {
    std::vector<float> rows(20, 1.0F);
    rows[7] = NAN;
    CHECK(says(refusal([&] { embedding_map(rows_of(rows, 4)); }), {"embedding_map", "finite"}));
    CHECK(says(refusal([&] { embedding_map({rows.data(), {10'001, 1, 1, 1}}); }), {"10000 rows", "10001"}));
}
