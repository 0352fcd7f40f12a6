// SPDX-License-Identifier: Apache-2.0
// Predictors: what they give is what the network's definition in double gives, with every normalization folded away that
// can be; from several threads; and nothing of the model that they were made from changes.
#include <thread>

#include <tempera/cpu.hpp>
#include <tempera/nn.hpp>
#include <tempera/runtime.hpp>
#include <tempera/runtime/predictor.hpp>

#include "../bits.hpp"
#include "../catch.hpp"
#include "../graph/double_network.hpp"
#include "../refusal.hpp"

using namespace tempera;

namespace {

constexpr shape image{8, 7, 3};
resnet_network const encoder{
    {.depth = 10, .base_filters = 4, .stages = 2, .stem = stem::small, .selective_kernel = true}};
auto const tuned = classifier(encoder, projection_network{{.layers = 2, .out = 5}}, {.tap = 1, .classes = 6});

std::vector<float> drawn(std::int64_t count, std::uint32_t stream, float low = -1, float high = 1) {
    philox_stream random(5, stream);
    std::vector<float> out(static_cast<std::size_t>(count));
    for (float& x : out) x = random.uniform(low, high);
    return out;
}

/// Weights and statistics as after some training: none of them at its starting value.
template <class Model>
void draw(Model& m) {
    m.write_parameters(drawn(m.plan().parameters, 1).data());
    m.write_statistics(drawn(m.plan().statistics, 2, 0.5F, 2.0F).data());
}

struct batch_of_images {
    explicit batch_of_images(int images, std::uint32_t stream = 3, shape s = image)
        : values(drawn(images * s.size(), stream)), seen{values.data(), {images, s.height, s.width, s.channels}} {}
    std::vector<float> values;
    view<float const> seen;
};

/// The outputs of the definition, with moving statistics.
std::vector<numbers> defined(basic_model<cpu> const& m, batch_of_images const& x) {
    double_network d;
    d.plan = m.plan();
    d.batch = x.seen.dims.n;
    d.input = {x.values.begin(), x.values.end()};
    auto const parameters = m.host_parameters(), statistics = m.host_statistics();
    d.parameters = {parameters.begin(), parameters.end()};
    d.statistics = {statistics.begin(), statistics.end()};
    d.moving.assign(static_cast<std::size_t>(m.plan().ops.size()), true);
    d.run();
    std::vector<numbers> out;
    for (output_record const& o : m.plan().outputs) out.push_back(d.values[static_cast<std::size_t>(o.value)]);
    return out;
}

/// Every output within a fraction of its largest value.
void close(output_views const& found, std::vector<numbers> const& expected, double tolerance) {
    REQUIRE(found.size() == expected.size());
    for (std::size_t o = 0; o < expected.size(); ++o) {
        REQUIRE(found[o].values.size() == static_cast<std::int64_t>(expected[o].size()));
        double worst = 0, largest = 0;
        for (std::size_t i = 0; i < expected[o].size(); ++i) {
            double const ours = static_cast<double>(found[o].values[static_cast<std::int64_t>(i)]);
            worst = std::max(worst, std::isfinite(ours) ? std::abs(ours - expected[o][i]) : 1e300);
            largest = std::max(largest, std::abs(expected[o][i]));
        }
        INFO("output " << found[o].name << ", largest " << largest);
        CHECK(largest > 1e-3);
        CHECK(worst <= tolerance * largest);
    }
}

int normalizations(plan_view const& p) {
    int n = 0;
    for (op const& o : p.ops) n += o.kind == op_kind::batch_norm;
    return n;
}

/// A model of the network gives what its definition gives; so does a predictor, which keeps `after` of `before` normalizations.
template <class Network>
void folds(Network const& network, int before, int after) {
    cpu device{.threads = 1};
    dynamic_model<cpu> m(device, network, image, {.max_batch = 2});
    draw(m);
    batch_of_images const x(2);
    auto const expected = defined(m, x);
    close(m.predict(x.seen), expected, 1e-4);
    close(predictor<cpu>(m, 2).make_session().predict(x.seen), expected, 1e-4);
    CHECK(normalizations(m.plan()) == before);
    CHECK(normalizations(fold(m.plan(), m.host_parameters(), m.host_statistics()).plan) == after);
}

}  // namespace

TEST_CASE("a predictor of a selective-kernel network gives what the model gives", "[predictor]") {
    folds(tuned, 10, 0);
    cpu device{.threads = 2};
    dynamic_model<cpu> m(device, tuned, image, {.max_batch = 3});
    draw(m);
    batch_of_images const x(3);
    auto const expected = defined(m, x);
    // bfloat16 keeps 8 bits of every map; the weights stay float32
    dynamic_model<cpu, precision::bfloat16> narrow(device, tuned, image, {.max_batch = 3});
    narrow.load_matching(m);
    close(narrow.predict(x.seen), expected, 5e-2);
    predictor<cpu, precision::bfloat16> const from_narrow(narrow, 3), from_wide(m, 3);
    auto session = from_narrow.make_session();
    close(session.predict(x.seen), expected, 5e-2);
    CHECK(bits_of(session.predict(x.seen).last()) == bits_of(from_wide.make_session().predict(x.seen).last()));
}

TEST_CASE("normalizations fold where the layer before has no other reader", "[predictor]") {
    constexpr conv three{.filters = 3};
    SECTION("after conv and dense, with and without bias, scale and offset") {
        folds(
            [](value x) {
                x = relu(batch_norm{.scale = false}(conv{.filters = 4, .bias = true}(x)));
                x = batch_norm{.offset = false}(dense{.units = 3}(global_average_pool(x)));
                return batch_norm{.scale = false, .offset = false}(dense{.units = 2, .bias = false}(x));
            },
            3, 0);
    }
    SECTION("not of the input, of a sum, or of what is folded") {
        folds(
            [=](value x) {
                x = batch_norm{}(x);
                value const y = batch_norm{}(batch_norm{}(three(x)));
                return relu(batch_norm{}(y + x));
            },
            4, 3);
    }
    SECTION("not where the layer is read twice or is an output") {
        folds(
            [=](value x) {
                value const y = three(x), z = three(y);
                return outputs(output{"y", batch_norm{}(y)}, output{"z", z}, output{"n", relu(batch_norm{}(z))});
            },
            2, 2);
    }
    SECTION("a normalized value that is itself an output and read inside") {
        folds(
            [=](value x) {
                x = batch_norm{}(three(x));
                return outputs(output{"norm", x}, output{"last", batch_norm{}(three(relu(x))) + x});
            },
            2, 0);
    }
}

TEST_CASE("threads with sessions of one predictor get the bits of one after the other", "[predictor][thread]") {
    cpu device{.threads = 2};
    dynamic_model<cpu> m(device, tuned, image, {.max_batch = 3});
    draw(m);
    predictor<cpu> const shared(m, 3);
    constexpr int threads = 2, rounds = 6;
    auto const run = [&](int thread) {
        std::vector<std::vector<std::uint32_t>> out;
        auto session = shared.make_session();
        for (int i = 0; i < rounds; ++i) {
            batch_of_images const x(1 + (thread + i) % 3, static_cast<std::uint32_t>(10 * thread + i));
            for (auto const& [name, y] : session.predict(x.seen)) out.push_back(bits_of(y));
        }
        return out;
    };
    std::vector<std::vector<std::vector<std::uint32_t>>> alone, together(threads);
    for (int t = 0; t < threads; ++t) alone.push_back(run(t));
    std::vector<std::thread> running;
    for (int t = 0; t < threads; ++t) running.emplace_back([&, t] { together[static_cast<std::size_t>(t)] = run(t); });
    for (std::thread& t : running) t.join();
    CHECK(together == alone);
    CHECK(alone[0] != alone[1]);
}

TEST_CASE("a session takes smaller batches after larger ones", "[predictor]") {
    cpu device{.threads = 1};
    dynamic_model<cpu> m(device, tuned, image, {.max_batch = 3});
    draw(m);
    predictor<cpu> const shared(m, 3);
    auto session = shared.make_session();
    for (int const images : {3, 1, 2}) {
        batch_of_images const x(images, static_cast<std::uint32_t>(images));
        close(session.predict(x.seen), defined(m, x), 1e-4);
    }
}

TEST_CASE("a predictor keeps the weights that it was made from, and changes no training state", "[predictor]") {
    cpu device{.threads = 1};
    dynamic_model<cpu> m(device, tuned, image, {.max_batch = 3});
    draw(m);
    predictor<cpu> const shared(m, 3);
    auto session = shared.make_session();
    batch_of_images const x(3), other(2, 4);
    auto const gradients = [&](bool predicts_between) {
        m.forward(x.seen);
        auto const g = m.output_gradients().last();
        for (std::int64_t i = 0; i < g.size(); ++i) g[i] = static_cast<float>(i % 5) - 2;
        if (predicts_between) session.predict(other.seen);
        m.backward(m.output_gradients());
        return bits_of(view<float const>{m.gradients().data(), {static_cast<int>(m.plan().parameters)}});
    };
    auto const state = state_of(m);
    auto const before = bits_of(session.predict(x.seen).last());
    m.predict(x.seen);
    CHECK(state_of(m) == state);
    auto const undisturbed = gradients(false);
    CHECK(state_of(m) != state);  // a training pass moves the statistics
    CHECK(gradients(true) == undisturbed);
    m.reset(9);
    auto const fresh = state_of(m);
    CHECK(bits_of(session.predict(x.seen).last()) == before);
    CHECK(state_of(m) == fresh);
}

TEST_CASE("a predictor says what it takes: weights and packed filters once, an arena for each session", "[predictor]") {
    cpu device{.threads = 1};
    auto const network = [](value x) {
        return dense{.units = 3}(global_average_pool(relu(batch_norm{}(conv{.filters = 16}(x)))));
    };
    dynamic_model<cpu> m(device, network, {8, 8, 16}, {.max_batch = 2});
    predictor<cpu> const p(m, 2);
    std::int64_t const arena = p.allocated_bytes(2) - p.allocated_bytes(1);
    // the folded network: filters with a bias, a dense layer with its own; at least the input of a batch in the arena
    std::int64_t const weights = 4 * (16 * 16 * 9 + 16 + 16 * 3 + 3);
    CHECK(arena >= 4 * 2 * 8 * 8 * 16);
    CHECK(p.allocated_bytes(0) >= weights);
    CHECK(p.allocated_bytes(0) <= 8 * weights);  // packed filters, Winograd's among them
    CHECK(p.allocated_bytes(3) == p.allocated_bytes(0) + 3 * arena);
}

TEST_CASE("a predictor refuses batches of another size or shape", "[predictor]") {
    cpu device{.threads = 1};
    dynamic_model<cpu> m(device, tuned, image, {.max_batch = 3});
    predictor<cpu> const shared(m, 2);
    auto session = shared.make_session();
    batch_of_images const x(3);
    auto const refused = [&](view<float const> batch, std::initializer_list<std::string_view> words) {
        std::string const by_predictor = refusal([&] { session.predict(batch); });
        INFO(by_predictor);
        CHECK(says(by_predictor,
                   {"predictor input: expected a batch of 1..2 samples {8, 7, 3}", "check the view's extents"}));
        CHECK(says(by_predictor, words));
        if (batch.dims.n > 2) batch.dims.n = 4;
        CHECK(says(refusal([&] { m.predict(batch); }), {"model input: expected a batch of 1..3 samples {8, 7, 3}"}));
        CHECK(says(refusal([&] { m.forward(batch); }), {"model input: expected a batch of 1..3 samples {8, 7, 3}"}));
    };
    refused(x.seen, {"found 3 samples {8, 7, 3}"});
    refused({x.seen.data, {2, 7, 8, 3}}, {"found 2 samples {7, 8, 3}"});
    refused({x.seen.data, {1, 8, 7, 1}}, {"found 1 samples {8, 7, 1}"});
    refused({x.seen.data, {0, 8, 7, 3}}, {"found 0 samples"});
    refused({nullptr, {1, 8, 7, 3}}, {"found no data"});
    CHECK(says(refusal([&] { predictor<cpu>(m, 0); }),
               {"predictor", "max_batch of at least 1", "found 0", "largest batch"}));
}
