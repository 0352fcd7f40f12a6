// SPDX-License-Identifier: Apache-2.0
// The search for infinities and NaN finds one anywhere.

#include <tempera/cpu/finite.hpp>

#include <limits>

#include "../catch.hpp"
#include "every_isa.hpp"
#include "sample.hpp"

using namespace tempera;

TEST_CASE("all_finite finds one bad element anywhere", "[cpu][finite]") {
    every_isa([](cpu& device) {
        std::int64_t const n = 140'003;
        std::vector<float> x(sample::at(n), std::numeric_limits<float>::max());
        x[5] = std::numeric_limits<float>::denorm_min();
        CHECK(all_finite(device, n, x.data()));
        CHECK(all_finite(device, 0, x.data()));
        for (std::int64_t const i : {std::int64_t{0}, std::int64_t{7}, std::int64_t{65536}, n - 1})
            for (float const bad : {NAN, INFINITY, -INFINITY}) {
                float const kept = std::exchange(x[sample::at(i)], bad);
                CHECK_FALSE(all_finite(device, n, x.data()));
                CHECK(all_finite(device, i, x.data()));
                x[sample::at(i)] = kept;
            }
    });
}
