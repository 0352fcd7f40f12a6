// SPDX-License-Identifier: Apache-2.0
// Which tensors an optimizer decays and adapts.

#include <tempera/optim.hpp>

#include "../catch.hpp"

using namespace tempera;

namespace {

/// One tensor of each role, three elements each, and a frozen one at the end.
manifest every_role() {
    manifest out;
    for (role const r : {role::weight, role::bias, role::scale, role::offset, role::classifier_weight,
                         role::classifier_bias, role::other, role::moving_mean, role::moving_variance}) {
        manifest_entry e;
        e.role = r;
        e.offset = static_cast<std::int64_t>(out.size()) * 3;
        e.count = 3;
        out.push_back(e);
    }
    manifest_entry frozen;
    frozen.count = 3;
    frozen.trained = false;
    out.push_back(frozen);
    return out;
}

struct rule {
    float decay;
    bool adapt;
};

void check(std::vector<update_range> const& ranges, std::vector<rule> const& expected) {
    REQUIRE(ranges.size() == expected.size());
    for (std::size_t i = 0; i < ranges.size(); ++i) {
        CAPTURE(i);
        CHECK(ranges[i].offset == static_cast<std::int64_t>(i) * 3);
        CHECK(ranges[i].count == 3);
        CHECK(ranges[i].weight_decay == expected[i].decay);
        CHECK(ranges[i].adapt == expected[i].adapt);
    }
}

}  // namespace

TEST_CASE("LARS decays and adapts kernels, and decays the classifier's kernel", "[optim]") {
    check(lars{.weight_decay = 0.5F}.ranges(every_role()),
          {{0.5F, true}, {0, false}, {0, false}, {0, false}, {0.5F, false}, {0, false}, {0.5F, true}});
}

TEST_CASE("SGD and Adam decay everything but batch norm", "[optim]") {
    std::vector<rule> const expected{{0.5F, false}, {0.5F, false}, {0, false},   {0, false},
                                     {0.5F, false}, {0.5F, false}, {0.5F, false}};
    check(sgd{.weight_decay = 0.5F}.ranges(every_role()), expected);
    check(adam{.weight_decay = 0.5F}.ranges(every_role()), expected);
}

TEST_CASE("optimizers are copyable configurations with the published defaults", "[optim]") {
    lars const l;
    CHECK(l.momentum == 0.9F);
    CHECK(l.weight_decay == 1e-4F);
    CHECK(l.eta == 1e-3F);
    CHECK_FALSE(l.nesterov);
    CHECK(l.classic_momentum);
    CHECK(sgd{}.nesterov);
    CHECK(sgd{}.weight_decay == 0);
    CHECK((lars::slots == 1 && sgd::slots == 1 && adam::slots == 2));
}
