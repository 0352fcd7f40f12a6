// SPDX-License-Identifier: Apache-2.0
// The 13 published encoders: parameters, moving statistics and multiply-adds of SimCLRv2, table 1, proved at
// compile time.
#include <tempera/nn.hpp>

#include "../catch.hpp"

using namespace tempera;

namespace {

template <int Depth, int Width, bool Selective>
inline constexpr auto const& row =
    plan_of<resnet<resnet_config{.depth = Depth, .width = Width, .selective_kernel = Selective}>, shape{224, 224, 3}>;

template <int Depth, int Width, bool Selective>
constexpr bool has(std::int64_t parameters, std::int64_t statistics, std::int64_t multiply_adds) {
    auto const& p = row<Depth, Width, Selective>;
    return p.parameters == parameters && p.statistics == statistics && p.multiply_adds == multiply_adds;
}

static_assert(has<50, 1, false>(23'508'032, 53'120, 4'087'136'256));
static_assert(has<50, 1, true>(35'215'584, 61'824, 6'176'827'392));
static_assert(has<50, 2, false>(93'907'072, 106'240, 16'112'517'120));
static_assert(has<50, 2, true>(140'306'048, 122'816, 24'685'203'456));
static_assert(has<101, 1, false>(42'500'160, 105'344, 7'799'357'440));
static_assert(has<101, 1, true>(64'662'304, 123'840, 11'854'759'936));
static_assert(has<101, 2, false>(169'771'136, 210'688, 30'961'401'856));
static_assert(has<101, 2, true>(257'132'224, 245'760, 47'396'098'048));
static_assert(has<152, 1, false>(58'143'808, 151'424, 11'511'578'624));
static_assert(has<152, 1, true>(88'940'896, 178'688, 17'532'643'328));
static_assert(has<152, 2, false>(232'253'568, 302'848, 45'810'286'592));
static_assert(has<152, 2, true>(353'398'528, 354'368, 70'106'894'336));
static_assert(has<152, 3, true>(794'704'160, 531'200, 157'724'080'128));

}  // namespace

TEST_CASE("the slides' parameter column is trainable plus moving, rounded to millions", "[published]") {
    auto millions = [](auto const& p) { return (p.parameters + p.statistics + 500'000) / 1'000'000; };
    CHECK(millions(row<50, 1, false>) == 24);
    CHECK(millions(row<50, 1, true>) == 35);
    CHECK(millions(row<50, 2, false>) == 94);
    CHECK(millions(row<50, 2, true>) == 140);
    CHECK(millions(row<101, 1, false>) == 43);
    CHECK(millions(row<101, 1, true>) == 65);
    CHECK(millions(row<101, 2, false>) == 170);
    CHECK(millions(row<101, 2, true>) == 257);
    CHECK(millions(row<152, 1, false>) == 58);
    CHECK(millions(row<152, 1, true>) == 89);
    CHECK(millions(row<152, 2, false>) == 233);
    CHECK(millions(row<152, 2, true>) == 354);
    CHECK(millions(row<152, 3, true>) == 795);
}
