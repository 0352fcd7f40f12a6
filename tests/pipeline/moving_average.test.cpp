// SPDX-License-Identifier: Apache-2.0
// A model that follows another's parameters by name, against the recursion in double.
#include "../catch.hpp"
#include "../refusal.hpp"
#include "tiny.hpp"

using namespace tempera;
using tiny::image;

TEST_CASE("moving_average: a follower without some parts has the mean of the others, by name", "[moving_average]") {
    cpu device{.threads = 1};
    // "extra" lies between what both share, so that the same tensors lie at other places
    auto const shared = [](value x) { return global_average_pool(relu(batch_norm{}(conv{.filters = 4}(x)))); };
    auto const whole = [&](value x) {
        x = named("first", shared)(x);
        value const extra = named("extra", dense{.units = 3})(x);
        return outputs(output{"extra", extra}, output{"last", named("last", dense{.units = 2})(x)});
    };
    auto const part = [&](value x) { return named("last", dense{.units = 2})(named("first", shared)(x)); };
    dynamic_model<cpu> followed(device, whole, image, {.max_batch = 4, .seed = 1});
    dynamic_model<cpu> follower(device, part, image, {.max_batch = 4, .seed = 2, .frozen = frozen("", bn::batch)});
    std::uint64_t const version = follower.version();
    moving_average follow(follower, followed, {.decay = 0.75F});
    CHECK(follower.version() > version);
    std::vector<std::string> const names{"first.conv1.weight", "first.norm1.scale", "first.norm1.offset", "last.weight",
                                         "last.bias"};
    std::vector<std::vector<double>> expected;
    for (auto const& name : names) {
        auto const values = tiny::values_of(followed, name);
        REQUIRE(!values.empty());
        CHECK(tiny::values_of(follower, name) == values);
        expected.emplace_back(values.begin(), values.end());
    }
    for (int step = 0; step < 3; ++step) {
        auto moved = followed.host_parameters();
        for (std::size_t i = 0; i < moved.size(); ++i) moved[i] += 0.1F * static_cast<float>(i % 7);
        followed.write_parameters(moved.data());
        double const decay = step == 2 ? 0.5 : 0.75;
        if (step == 2) follow.set_decay(0.5F);
        follow.update();
        for (std::size_t k = 0; k < names.size(); ++k) {
            auto const now = tiny::values_of(followed, names[k]), found = tiny::values_of(follower, names[k]);
            for (std::size_t i = 0; i < now.size(); ++i) {
                expected[k][i] = decay * expected[k][i] + (1 - decay) * static_cast<double>(now[i]);
                CHECK(std::abs(static_cast<double>(found[i]) - expected[k][i]) < 1e-6);
            }
        }
    }
}

TEST_CASE("moving_average: what cannot follow is refused", "[moving_average]") {
    cpu device{.threads = 1};
    auto const network = [](int units, char const* name) {
        return [=](value x) { return named(name, dense{.units = units})(global_average_pool(x)); };
    };
    dynamic_model<cpu> followed(device, network(3, "a"), image, {.max_batch = 2});
    dynamic_model<cpu> other(device, network(3, "b"), image, {.max_batch = 2}),
        larger(device, network(4, "a"), image, {.max_batch = 2}), same(device, network(3, "a"), image, {.max_batch = 2});
    auto const before = larger.host_parameters();
    CHECK(says(refusal([&] { moving_average(other, followed); }), {"moving_average", "b.weight", "found none"}));
    CHECK(says(refusal([&] { moving_average(larger, followed); }), {"a.weight", "another shape"}));
    CHECK(larger.host_parameters() == before);
    CHECK(says(refusal([&] { moving_average(same, followed, {.decay = 1.5F}); }), {"a decay from 0 to 1", "1.5"}));
    cpu elsewhere{.threads = 1};
    dynamic_model<cpu> far(elsewhere, network(3, "a"), image, {.max_batch = 2});
    CHECK(says(refusal([&] { moving_average(far, followed); }), {"two models on one device"}));
    CHECK(says(refusal([&] { moving_average(same, same); }), {"two models on one device"}));
    moving_average follow(same, followed);
    CHECK(says(refusal([&] { follow.set_decay(-1); }), {"a decay from 0 to 1", "-1"}));
}
