// SPDX-License-Identifier: Apache-2.0
// Names of layers and parts, and the numbers of a trace.
#include "traced.hpp"

#include "../catch.hpp"
#include "../refusal.hpp"

using namespace tempera;
using strings = std::vector<std::string>;

TEST_CASE("unnamed layers are called by their kind and a number", "[trace]") {
    auto const network = [](value x) {
        x = conv{.filters = 4, .bias = true}(x);
        x = batch_norm{.scale = false}(conv{.filters = 4}(x));
        x = batch_norm{.offset = false}(x);
        return dense{.units = 2}(global_average_pool(relu(x)));
    };
    CHECK(names_of(network, {6, 6, 3}) ==
          strings{"conv1.weight", "conv1.bias", "conv2.weight", "norm1.offset", "norm1.moving_mean",
                  "norm1.moving_variance", "norm2.scale", "norm2.moving_mean", "norm2.moving_variance", "dense1.weight",
                  "dense1.bias"});
}

namespace {
inline constexpr auto layer_named_inside = [](value x) {
    return named("second", named("inner", conv{.filters = 2}))(named("first", conv{.filters = 4})(x));
};
}  // namespace

TEST_CASE("a layer named inside a network function is a constant", "[trace]") {
    STATIC_REQUIRE(plan_of<layer_named_inside, shape{8, 8, 3}>.parameters == 9 * 3 * 4 + 9 * 4 * 2);
    CHECK(names_of(layer_named_inside, {8, 8, 3}) == strings{"first.weight", "second.inner.weight"});
}

TEST_CASE("named and sequential give levels of the path", "[trace]") {
    auto const flat = [](value x) { return global_average_pool(x); };
    SECTION("parts of sequential are numbered by their place; named ones keep their name") {
        auto const network = sequential(conv{.filters = 4}, relu, named("pooled", flat), named("last", dense{.units = 3}));
        CHECK(names_of(network, {4, 4, 1}) == strings{"0.weight", "last.weight", "last.bias"});
    }
    SECTION("they nest") {
        auto const network = named("trunk", sequential(named("first", sequential(conv{.filters = 2}, batch_norm{})),
                                                       sequential(flat, dense{.units = 3, .bias = false})));
        CHECK(names_of(network, {4, 4, 1}) ==
              strings{"trunk.first.0.weight", "trunk.first.1.scale", "trunk.first.1.offset", "trunk.first.1.moving_mean",
                      "trunk.first.1.moving_variance", "trunk.1.1.weight"});
    }
    SECTION("a layer in a part that is no layer itself has its default name there") {
        auto const network = named("part", [](value x) { return relu(conv{.filters = 2}(x)); });
        CHECK(names_of(network, {4, 4, 1}) == strings{"part.conv1.weight"});
    }
    SECTION("a name goes to one layer only") {
        auto const network = [](value x) { return conv{.filters = 2}(named("first", conv{.filters = 2})(x)); };
        CHECK(names_of(network, {4, 4, 1}) == strings{"first.weight", "conv1.weight"});
    }
    SECTION("names that end in digits stay as they were written") {
        auto const network = [](value x) {
            x = named("a01", conv{.filters = 2})(x);
            x = named("a1", conv{.filters = 2})(x);
            x = named("7", conv{.filters = 2})(x);
            x = named("2000000000000", conv{.filters = 2})(x);
            x = named("a00", conv{.filters = 2})(x);
            return named("a0", conv{.filters = 2})(x);
        };
        CHECK(names_of(network, {4, 4, 1}) == strings{"a01.weight", "a1.weight", "7.weight", "2000000000000.weight",
                                                      "a00.weight", "a0.weight"});
    }
}

TEST_CASE("names that spell alike are duplicates", "[trace]") {
    auto const twice = [](char const* a, char const* b) {
        return [a, b](value x) { return named(b, conv{.filters = 2})(named(a, conv{.filters = 2})(x)); };
    };
    CHECK(diagnosis_of(twice("left", "left"), {4, 4, 1}).what == fault::duplicate_name);
    CHECK(diagnosis_of(twice("left", "right"), {4, 4, 1}).what == fault::none);
    CHECK(diagnosis_of(twice("a1", "a01"), {4, 4, 1}).what == fault::none);
    SECTION("a chosen name and a default name") {
        auto const network = [](value x) { return conv{.filters = 2}(named("conv1", conv{.filters = 2})(x)); };
        diagnosis const d = diagnosis_of(network, {4, 4, 1});
        CHECK(d.what == fault::duplicate_name);
        CHECK(d.where.text() == "conv1");
    }
    SECTION("a name and a numbered level") {
        auto const network = [](value x) {
            x = named("block1", conv{.filters = 2})(x);
            scope const level(x, "block", 1);
            return conv{.filters = 2}(x);
        };
        CHECK(diagnosis_of(network, {4, 4, 1}).what == fault::duplicate_name);
    }
    SECTION("levels whose digits touch") {
        auto const network = [](value x) {
            x = named("a12", conv{.filters = 2})(x);
            scope const level(x, "a1", 2);
            return conv{.filters = 2}(x);
        };
        CHECK(diagnosis_of(network, {4, 4, 1}).what == fault::duplicate_name);
    }
    SECTION("two outputs") {
        auto const network = [](value x) { return outputs(output{"same", x}, output{"same", relu(x)}); };
        diagnosis const d = diagnosis_of(network, {4, 4, 1});
        CHECK(d.what == fault::duplicate_name);
        CHECK(d.where.text() == "same");
    }
    SECTION("the same name on different levels is none") {
        auto const part = named("conv", conv{.filters = 2});
        CHECK(names_of(sequential(named("a", part), named("b", part)), {4, 4, 1}) ==
              strings{"a.conv.weight", "b.conv.weight"});
    }
}

TEST_CASE("every tensor has its role, dimensions and place", "[trace]") {
    auto const network = [](value x) {
        x = batch_norm{}(conv{.filters = 5, .kernel = 3, .bias = true}(x));
        return dense{.units = 7, .classifies = true}(global_average_pool(x));
    };
    dynamic_plan const p(network, shape{9, 8, 2});
    CHECK(p.parameters == 5 * 3 * 3 * 2 + 5 + 5 + 5 + 7 * 5 + 7);
    CHECK(p.statistics == 10);
    CHECK(p.multiply_adds == 9 * 8 * 5 * 3 * 3 * 2 + 7 * 5);
    auto const entry = [&](int i) { return p.view().entry(i); };
    CHECK(entry(0).dims == std::array<int, 4>{5, 3, 3, 2});
    CHECK(entry(0).rank == 4);
    CHECK(entry(6).dims == std::array<int, 4>{7, 1, 1, 5});
    CHECK(entry(6).rank == 2);
    CHECK(entry(6).role == role::classifier_weight);
    CHECK(entry(7).role == role::classifier_bias);
    CHECK(entry(7).rank == 1);
    std::int64_t parameters = 0, statistics = 0;
    for (int i = 0; i < p.view().tensors.size(); ++i) {
        auto const e = entry(i);
        std::int64_t& place = is_statistic(e.role) ? statistics : parameters;
        CHECK(e.offset == place);
        place += e.count;
    }
    CHECK(parameters == p.parameters);
    CHECK(statistics == p.statistics);
}

TEST_CASE("a network returns a value, called \"output\", or its own list", "[trace]") {
    dynamic_plan const one([](value x) { return relu(x); }, shape{2, 2, 1});
    REQUIRE(one.outputs.size() == 1);
    CHECK(one.outputs[0].name.text() == "output");
    dynamic_plan const two([](value x) { return outputs(output{"b", x}, output{"a", relu(x)}); }, shape{2, 2, 1});
    REQUIRE(two.outputs.size() == 2);
    CHECK(two.outputs[0].name.text() == "b");
    CHECK(two.outputs[0].value == 0);
    CHECK(two.outputs[1].value == 1);
}

TEST_CASE("a name that does not fit is refused, never cut", "[trace]") {
    CHECK(says(refusal([] { return named("a_name_of_more_than_24_letters", relu); }),
               {"at most 24 characters", "a_name_of_more_than_24_letters"}));
}
