// SPDX-License-Identifier: Apache-2.0
// matmul of every instruction set against sums written out in double.

#include "../catch.hpp"
#include "kernel_tables.hpp"

#include <tempera/cpu/matmul.hpp>

#include <cmath>
#include <cstring>
#include <vector>

using namespace tempera;
using namespace tempera::cpu_kernels;

namespace {

float number(std::uint32_t& state, bool integers) {
    state = state * 1664525U + 1013904223U;
    std::uint32_t const bits = state >> 8;
    return integers ? static_cast<float>(static_cast<int>(bits % 7U) - 3)
                    : static_cast<float>(bits & 0xffffU) / 32768.0F - 1.0F;
}

std::vector<float> filled(int count, std::uint32_t seed, bool integers) {
    std::vector<float> v(static_cast<std::size_t>(count));
    for (float& x : v) x = number(seed, integers);
    return v;
}

void check(cpu& device, gemm_kernels<float> const& kernels, matmul_geometry const& g, store mode, bool integers) {
    INFO(kernels.name << " " << g.m << " x " << g.n << " x " << g.k << " transposed " << g.transpose_a
                      << g.transpose_b);
    auto const a = filled(g.m * g.k, 1, integers);
    auto const b = filled(g.k * g.n, 2, integers);
    auto const before = filled(g.m * g.n, 3, integers);
    auto c = before;
    matmul_with(device, kernels, g, a.data(), b.data(), c.data(), mode);
    double worst = 0;
    for (int i = 0; i < g.m; ++i) {
        for (int j = 0; j < g.n; ++j) {
            std::size_t const at = static_cast<std::size_t>(i * g.n + j);
            double sum = mode == store::accumulate ? static_cast<double>(before[at]) : 0.0;
            for (int k = 0; k < g.k; ++k) {
                double const left =
                    static_cast<double>(a[static_cast<std::size_t>(g.transpose_a ? k * g.m + i : i * g.k + k)]);
                double const right =
                    static_cast<double>(b[static_cast<std::size_t>(g.transpose_b ? j * g.k + k : k * g.n + j)]);
                sum += left * right;
            }
            worst = std::fmax(worst, std::fabs(static_cast<double>(c[at]) - sum));
        }
    }
    CHECK(worst <= (integers ? 0.0 : 3e-7 * std::sqrt(g.k) * 4));
}

}  // namespace

TEST_CASE("matmul agrees with sums in double", "[cpu][matmul]") {
    cpu device{.threads = 2};
    int const sizes[][3] = {{1, 1, 1},    {1, 17, 5},    {13, 1, 9},     {7, 33, 0},
                            {31, 40, 27}, {65, 64, 130}, {20, 150, 512}, {3, 5, 1300}};
    for (auto const* const kernels : test::kernel_tables<float>()) {
        for (auto const& s : sizes) {
            for (int transposed = 0; transposed < 4; ++transposed) {
                matmul_geometry const g{s[0], s[1], s[2], (transposed & 1) != 0, (transposed & 2) != 0};
                check(device, *kernels, g, store::write, true);
                check(device, *kernels, g, store::accumulate, true);
                check(device, *kernels, g, store::write, false);
            }
        }
    }
}

TEST_CASE("matmul gives the same bits for any number of threads", "[cpu][matmul]") {
    for (int transposed = 0; transposed < 4; ++transposed) {
        matmul_geometry const g{75, 90, 200, (transposed & 1) != 0, (transposed & 2) != 0};
        auto const a = filled(g.m * g.k, 5, false);
        auto const b = filled(g.k * g.n, 6, false);
        std::vector<std::vector<float>> results;
        for (int const threads : {1, 2, 3, 5}) {
            cpu device{.threads = threads};
            std::vector<float> c(static_cast<std::size_t>(g.m * g.n));
            matmul(device, g, a.data(), b.data(), c.data(), store::write);
            results.push_back(c);
        }
        for (auto const& r : results) CHECK(std::memcmp(r.data(), results[0].data(), r.size() * sizeof(float)) == 0);
    }
}

TEST_CASE("matmul of nothing does nothing", "[cpu][matmul]") {
    cpu device{.threads = 2};
    float const one = 1;
    float kept = 5;
    matmul(device, {0, 1, 1}, &one, &one, &kept, store::write);
    matmul(device, {1, 0, 1}, &one, &one, &kept, store::write);
    matmul(device, {1, 1, 0}, &one, &one, &kept, store::accumulate);
    CHECK(kept == 5);
    matmul(device, {1, 1, 0}, &one, &one, &kept, store::write);
    CHECK(kept == 0);
}
