// SPDX-License-Identifier: Apache-2.0
// The vector functions of every instruction set this machine runs, and of the emulated one.

#include "../catch.hpp"

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#define TEMPERA_EMULATED_TARGET
#include <tempera/cpu/vector.hpp>

namespace tempera::cpu_kernels {
struct vector_calls {
    int width;
    void (*call)(int function, float const* x, float* y, int n);
    void (*call_bf16)(int function, bf16 const* x, bf16* y, int n);
    void (*call_scalar)(int function, float const* x, float* y, int n);
};
}  // namespace tempera::cpu_kernels

#define TEMPERA_TARGET 0
#include <tempera/cpu/begin_target.hpp>
#include "vector.kernels.hpp"
#include <tempera/cpu/end_target.hpp>
#define TEMPERA_TARGET 9
#include <tempera/cpu/begin_target.hpp>
#include "vector.kernels.hpp"
#include <tempera/cpu/end_target.hpp>
#if defined(__x86_64__)
#define TEMPERA_TARGET 2
#include <tempera/cpu/begin_target.hpp>
#include "vector.kernels.hpp"
#include <tempera/cpu/end_target.hpp>
#define TEMPERA_TARGET 3
#include <tempera/cpu/begin_target.hpp>
#include "vector.kernels.hpp"
#include <tempera/cpu/end_target.hpp>
#endif

using namespace tempera;
namespace kernels = tempera::cpu_kernels;

namespace {

struct region {
    std::string name;
    kernels::vector_calls const* table;
};

std::vector<region> regions() {
    std::vector<region> all{{"portable", &kernels::portable::table}, {"emulated", &kernels::emulated::table}};
    if (detected_isa() >= isa::avx2) all.push_back({"avx2", &kernels::avx2::table});
    if (detected_isa() >= isa::avx512) all.push_back({"avx512", &kernels::avx512::table});
    return all;
}

double ulps(float got, double expected) {
    double const spacing = std::ldexp(1.0, std::ilogb(std::fmax(std::fabs(expected), 1.2e-38)) - 23);
    return std::fabs(static_cast<double>(got) - expected) / spacing;
}

}  // namespace

TEST_CASE("exp and log agree with double to two units in the last place", "[cpu][vector]") {
    std::vector<float> x;
    for (float v = -86.0F; v < 88.5F; v += 0.00317F) x.push_back(v);
    std::vector<float> positive;
    for (float v = 1e-38F; v < 3e38F; v *= 1.0013F) positive.push_back(v);
    for (float v = 0.9F; v < 1.1F; v += 1.7e-5F) positive.push_back(v);
    for (auto const& r : regions()) {
        INFO(r.name);
        std::vector<float> y(x.size());
        r.table->call(1, x.data(), y.data(), static_cast<int>(x.size()));
        double worst = 0;
        for (std::size_t i = 0; i < x.size(); ++i) worst = std::fmax(worst, ulps(y[i], std::exp(double{x[i]})));
        CHECK(worst < 2.0);

        y.resize(positive.size());
        r.table->call(2, positive.data(), y.data(), static_cast<int>(y.size()));
        worst = 0;
        for (std::size_t i = 0; i < y.size(); ++i) worst = std::fmax(worst, ulps(y[i], std::log(double{positive[i]})));
        CHECK(worst < 2.0);

        std::vector<float> one(y.size());
        r.table->call_scalar(2, positive.data(), one.data(), static_cast<int>(y.size()));
        CHECK(std::memcmp(one.data(), y.data(), y.size() * sizeof(float)) == 0);
    }
}

TEST_CASE("exp and log at the ends of the range", "[cpu][vector]") {
    float const inf = std::numeric_limits<float>::infinity();
    float const nan = std::numeric_limits<float>::quiet_NaN();
    for (auto const& r : regions()) {
        INFO(r.name);
        float const x[] = {0.0F, -inf, inf, -200.0F, 200.0F, nan, 88.72283F, -103.0F};
        float y[8];
        r.table->call(1, x, y, 8);
        CHECK(y[0] == 1.0F);
        CHECK(y[1] == 0.0F);
        CHECK(y[2] == inf);
        CHECK(y[3] == 0.0F);
        CHECK(y[4] == inf);
        CHECK(std::isnan(y[5]));
        CHECK(std::isfinite(y[6]));
        CHECK(y[7] == static_cast<float>(std::exp(-103.0)));

        float const z[] = {1.0F, 0.0F, -0.0F, inf, -1.0F, nan, -inf, 1e-40F};
        r.table->call(2, z, y, 8);
        CHECK(y[0] == 0.0F);
        CHECK(y[1] == -inf);
        CHECK(y[2] == -inf);
        CHECK(y[3] == inf);
        CHECK(std::isnan(y[4]));
        CHECK(std::isnan(y[5]));
        CHECK(std::isnan(y[6]));
        CHECK(ulps(y[7], std::log(double{z[7]})) < 2.0);
    }
}

TEST_CASE("selection, rounding and reductions of vectors", "[cpu][vector]") {
    for (auto const& r : regions()) {
        INFO(r.name);
        std::vector<float> x;
        for (int i = 0; i < 37; ++i) x.push_back(static_cast<float>(i % 7) - 3.0F);
        int const n = static_cast<int>(x.size());
        std::vector<float> y(x.size());
        r.table->call(4, x.data(), y.data(), n);
        for (int i = 0; i < n; ++i) CHECK(y[std::size_t(i)] == (x[std::size_t(i)] > 0 ? x[std::size_t(i)] : -1.0F));
        r.table->call(5, x.data(), y.data(), n);
        for (int i = 0; i < n; ++i) CHECK(y[std::size_t(i)] == std::fmax(x[std::size_t(i)], 0.25F));
        r.table->call(6, x.data(), y.data(), n);
        for (int i = 0; i < n; ++i) CHECK(y[std::size_t(i)] == std::fmin(x[std::size_t(i)], 0.25F));
        r.table->call(7, x.data(), y.data(), n);
        for (int i = 0; i < n; ++i) CHECK(y[std::size_t(i)] == x[std::size_t(i)] * x[std::size_t(i)] + 1.0F);
        r.table->call(3, std::vector<float>{4.0F, 0.25F}.data(), y.data(), 2);
        CHECK(y[0] == 0.5F);
        CHECK(y[1] == 2.0F);
        r.table->call(8, x.data(), y.data(), r.table->width);
        float sum = 0;
        float largest = x[0];
        for (int i = 0; i < r.table->width; ++i) {
            sum += x[std::size_t(i)];
            largest = std::fmax(largest, x[std::size_t(i)]);
        }
        CHECK(y[0] == sum);
        r.table->call(9, x.data(), y.data(), r.table->width);
        CHECK(y[0] == largest);
    }
}

TEST_CASE("partial loads and stores touch nothing else", "[cpu][vector]") {
    for (auto const& r : regions()) {
        for (int n = 0; n <= 40; ++n) {
            std::vector<float> x(static_cast<std::size_t>(n));
            for (int i = 0; i < n; ++i) x[std::size_t(i)] = static_cast<float>(i + 1);
            std::vector<float> y(48, -5.0F);
            r.table->call(0, x.data(), y.data(), n);
            for (int i = 0; i < 48; ++i) REQUIRE(y[std::size_t(i)] == (i < n ? static_cast<float>(i + 1) : -5.0F));

            std::vector<bf16> x16(static_cast<std::size_t>(n));
            for (int i = 0; i < n; ++i) x16[std::size_t(i)] = bf16(static_cast<float>(i + 1));
            std::vector<bf16> y16(48, bf16(-5.0F));
            r.table->call_bf16(0, x16.data(), y16.data(), n);
            for (int i = 0; i < 48; ++i) {
                REQUIRE(static_cast<float>(y16[std::size_t(i)]) == (i < n ? static_cast<float>(i + 1) : -5.0F));
            }
        }
    }
}

TEST_CASE("bf16 vectors round as bf16 does", "[cpu][vector]") {
    for (auto const& r : regions()) {
        INFO(r.name);
        std::vector<bf16> x;
        for (std::uint32_t bits = 0; bits < 65536; bits += 3) {
            bf16 v;
            v.bits = static_cast<std::uint16_t>(bits);
            x.push_back(v);
        }
        std::vector<bf16> y(x.size());
        r.table->call_bf16(7, x.data(), y.data(), static_cast<int>(x.size()));
        for (std::size_t i = 0; i < x.size(); ++i) {
            float const v = static_cast<float>(x[i]);
            bf16 const expected(std::fma(v, v, 1.0F));
            if (std::isnan(v)) {
                REQUIRE(std::isnan(static_cast<float>(y[i])));
            } else {
                REQUIRE(y[i].bits == expected.bits);
            }
        }
    }
}
