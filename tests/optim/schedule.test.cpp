// SPDX-License-Identifier: Apache-2.0
// Learning rates and step counts against the authors' own code (fixtures/schedule, 1e-6 of the peak) and the published
// checkpoint steps.

#include <tempera/optim.hpp>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "../catch.hpp"
#include "../fixture.hpp"

using namespace tempera;

TEST_CASE("schedules follow the reference", "[optim]") {
    auto const cases = nlohmann::json::parse(fixture::json("schedule", "/config"));
    REQUIRE(cases.size() == 2);
    fixture::file const values("schedule");
    for (auto const& [name, c] : cases.items()) {
        CAPTURE(name);
        int const batch = c.at("batch");
        std::int64_t const n = c.at("n");
        REQUIRE(c.at("train_steps") == 0);
        CHECK(total_steps(n, c.at("epochs"), batch) == c.at("total_steps").get<std::int64_t>());
        CHECK(warmup_steps(n, c.at("warmup"), batch) == c.at("warmup_steps").get<std::int64_t>());
        float const base = c.at("base");
        float const peak = c.at("scaling") == "linear" ? scale_linear(base, batch) : scale_sqrt(base, batch);
        warmup_cosine const rate{
            .peak = peak, .warmup_steps = c.at("warmup_steps"), .total_steps = c.at("total_steps")};
        auto const& steps = values[name + "/step"].values;
        auto const& rates = values[name + "/learning_rate"].values;
        REQUIRE(steps.size() == 20);
        for (std::size_t i = 0; i < steps.size(); ++i) {
            CAPTURE(steps[i]);
            CHECK(std::abs(rate(static_cast<std::int64_t>(steps[i])) - rates[i]) <= 1e-6F * peak);
        }
    }
}

TEST_CASE("steps of the published checkpoints", "[optim]") {
    std::int64_t const imagenet = 1281167;
    CHECK(total_steps(imagenet, 800, 4096) == 250228);
    CHECK(total_steps(imagenet, 30, 1024) == 37535);
    CHECK(total_steps(128116, 30, 1024) == 3754);
    CHECK(total_steps(12811, 60, 1024) == 751);
    CHECK(total_steps(imagenet, 90, 4096) == 28151);
    CHECK(warmup_steps(imagenet, 40, 4096) == 12511);
    CHECK(warmup_steps(100, 0, 32) == 0);
}

TEST_CASE("learning rates of a batch", "[optim]") {
    CHECK_THAT(scale_sqrt(0.1F, 4096), Catch::Matchers::WithinRel(6.4F, 1e-6F));
    CHECK_THAT(scale_sqrt(0.075F, 4096), Catch::Matchers::WithinRel(4.8F, 1e-6F));
    CHECK_THAT(scale_linear(0.3F, 4096), Catch::Matchers::WithinRel(4.8F, 1e-6F));
}

TEST_CASE("warmup_cosine at its corners", "[optim]") {
    warmup_cosine const rate{.peak = 2, .warmup_steps = 4, .total_steps = 12};
    CHECK(rate(0) == 0);
    CHECK(rate(1) == 0.5F);
    CHECK(rate(4) == 2);
    CHECK_THAT(rate(8), Catch::Matchers::WithinAbs(1.0F, 1e-6F));
    CHECK(rate(12) == 0);
    CHECK(rate(1000) == 0);
    CHECK(warmup_cosine{.peak = 2, .total_steps = 5}(0) == 2);
}

TEST_CASE("warmup_cosine refuses schedules without a cosine", "[optim]") {
    CHECK_THROWS_WITH((warmup_cosine{.peak = 1, .warmup_steps = 5, .total_steps = 5}(0)),
                      Catch::Matchers::Contains("expected 0 <= warmup_steps < total_steps, found 5 of 5"));
    CHECK_THROWS_AS((warmup_cosine{.peak = 1, .warmup_steps = -1, .total_steps = 5}(0)), error);
    CHECK_THROWS_AS((warmup_cosine{.peak = 1}(0)), error);
    CHECK_THROWS_AS((warmup_cosine{.peak = 1, .total_steps = 5}(-1)), error);
}
