// SPDX-License-Identifier: Apache-2.0
// Gradients through the shapes that graphs take, against central differences of the loss: shared values, several
// readers, outputs inside, unused values, two outputs, custom ops; each also unfused and recomputing.
#include <algorithm>
#include <cmath>
#include <functional>

#include <tempera/cpu.hpp>
#include <tempera/nn.hpp>
#include <tempera/runtime.hpp>

#include "../catch.hpp"
#include "../refusal.hpp"

using namespace tempera;

namespace {

/// y = x^3 with a saved value, so that the schedule must separate its writes from other gradients.
struct cube {
    static constexpr device_set devices = on_cpu;
    constexpr shape infer(input_shapes in, declaration& declare) const {
        declare.saved(in[0].size());
        return in[0];
    }
    static void forward(op_call& call) {
        auto const x = call.input<float>();
        for (std::int64_t i = 0; i < x.size(); ++i) {
            call.saved()[i] = x[i];
            call.output<float>()[i] = x[i] * x[i] * x[i];
        }
    }
    static void backward(op_call& call) {
        auto const dy = call.output_gradient<float>();
        for (std::int64_t i = 0; i < dy.size(); ++i)
            call.input_gradient<float>()[i] = 3 * call.saved()[i] * call.saved()[i] * dy[i];
    }
};

constexpr shape in{4, 5, 2};
constexpr int batch = 3;

/// Compares every parameter gradient of sum(outputs * weights) with a central difference.
template <class Network>
void check(Network const& network, name_list loss_outputs = {}, bool fuse = true, bool recompute = false) {
    cpu device{.threads = 1};
    dynamic_model<cpu> m(
        device, network, in,
        {.max_batch = batch, .seed = 3, .recompute = recompute, .loss_outputs = loss_outputs, .fuse = fuse});
    std::vector<float> x(static_cast<std::size_t>(batch * in.size()));
    philox_stream random(11);
    for (float& v : x) v = random.uniform(-1, 1);
    // batch norm's scales start at 0 in residual branches, dense kernels near 0: neither tests much
    auto parameters = m.host_parameters();
    for (float& p : parameters) p += random.uniform(-0.5F, 0.5F);
    m.write_parameters(parameters.data());
    view<float const> const images{x.data(), {batch, in.height, in.width, in.channels}};

    auto weight = [](std::size_t output, std::int64_t i) {
        return std::sin(static_cast<float>(i + 1) * (1.0F + static_cast<float>(output)));
    };
    auto loss = [&] {
        double sum = 0;
        auto const outputs = m.forward(images);
        auto const gradients = m.output_gradients();
        for (std::size_t k = 0; k < outputs.size(); ++k)
            if (gradients[k].values.data != nullptr)
                for (std::int64_t i = 0; i < outputs[k].values.size(); ++i)
                    sum += static_cast<double>(weight(k, i)) * static_cast<double>(outputs[k].values[i]);
        return sum;
    };
    loss();
    auto const gradients = m.output_gradients();
    for (std::size_t k = 0; k < gradients.size(); ++k)
        if (gradients[k].values.data != nullptr)
            for (std::int64_t i = 0; i < gradients[k].values.size(); ++i) gradients[k].values[i] = weight(k, i);
    m.backward(gradients);
    std::vector<float> const found(m.gradients().data(), m.gradients().data() + m.gradients().size());
    double largest = 0;
    for (float const f : found) largest = std::max(largest, std::abs(static_cast<double>(f)));
    REQUIRE(largest > 0);
    double const middle = loss();
    std::size_t kinks = 0;
    for (std::size_t i = 0; i < found.size(); ++i) {
        float& p = m.parameters().data()[i];
        float const kept = p;
        constexpr float step = 4e-3F;
        p = kept + step;
        double const above = loss();
        p = kept - step;
        double const below = loss();
        p = kept;
        // a ReLU changes sides within the step: the slopes on both sides differ and neither is the gradient
        if (std::abs(above - 2 * middle + below) > 2e-3 * largest * static_cast<double>(step)) {
            ++kinks;
            continue;
        }
        INFO("parameter " << i);
        CHECK(std::abs((above - below) / (2 * static_cast<double>(step)) - static_cast<double>(found[i])) <
              6e-3 * largest);
    }
    CHECK(4 * kinks <= found.size());
}

/// In every form of schedule.
template <class Network>
void check_all(Network const& network, name_list loss_outputs = {}) {
    check(network, loss_outputs);
    check(network, loss_outputs, false);
    check(network, loss_outputs, true, true);
}

constexpr auto smooth = [](value x) { return sigmoid(batch_norm{}(conv{.filters = 3}(x))); };
constexpr auto finish = [](value x) { return dense{.units = 2}(global_average_pool(x)); };

}  // namespace

TEST_CASE("a value added to itself", "[backward]") {
    check_all([](value x) {
        value const y = smooth(x);
        return finish(y + y);
    });
}

TEST_CASE("a value and a function of it are added", "[backward]") {
    check_all([](value x) {
        value const y = smooth(x);
        return finish(sigmoid(conv{.filters = 3}(y)) + y);
    });
}

TEST_CASE("three readers", "[backward]") {
    check_all([](value x) {
        value const y = smooth(x);
        return finish(conv{.filters = 3}(y) + sigmoid(y) + y * y);
    });
}

TEST_CASE("an unused value costs nothing and takes no gradient", "[backward]") {
    auto const network = [](value x) {
        value const y = smooth(x);
        (void)conv{.filters = 7}(y);
        return finish(y);
    };
    check_all(network);
    dynamic_plan const plan(network, in);
    for (op const& o : plan.ops) CHECK(plan.values[static_cast<std::size_t>(o.out)].channels != 7);
}

TEST_CASE("the input returned as an output, and an output that is also read inside", "[backward]") {
    check_all(
        [](value x) {
            value const y = smooth(x);
            return outputs(output{"input", x}, output{"middle", y},
                           output{"end", finish(sigmoid(conv{.filters = 3}(y)))});
        },
        {"middle", "end"});
}

TEST_CASE("the same value as two outputs", "[backward]") {
    check_all(
        [](value x) {
            value const y = finish(smooth(x));
            return outputs(output{"a", y}, output{"b", y});
        },
        {"a", "b"});
}

TEST_CASE("concat, slice, gate, l2 normalization and pools", "[backward]") {
    check_all([](value x) {
        value const y = smooth(x);
        value const z = concat(slice{.begin = 1, .count = 2}(y), y, conv{.filters = 2, .kernel = 1}(y));
        value const pooled = average_pool{.kernel = 3, .stride = 2}(l2_normalize(z));
        return finish(pooled * sigmoid(dense{.units = 7}(global_average_pool(z))));
    });
}

TEST_CASE("selective kernels and squeeze-excite", "[backward]") {
    check_all([](value x) {
        return finish(squeeze_excite{.ratio = 0.5F}(selective_kernel{.filters = 2, .stride = 2}(smooth(x))));
    });
}

TEST_CASE("a custom op beside another reader", "[backward]") {
    check_all([](value x) {
        value const y = smooth(x);
        return finish(sigmoid(conv{.filters = 3}(y)) + y.apply(cube{}));
    });
}

TEST_CASE("a custom op that takes a map for another type than it is stored in is told so", "[backward]") {
    cpu device{.threads = 1};
    auto const on_map = [](value x) { return finish(smooth(x).apply(cube{})); };
    auto const on_vector = [](value x) { return finish(global_average_pool(smooth(x)).apply(cube{})); };
    dynamic_model<cpu, precision::bfloat16> wrong(device, on_map, in, {.max_batch = batch}),
        right(device, on_vector, in, {.max_batch = batch});
    std::vector<float> const x(static_cast<std::size_t>(batch * in.size()), 0.5F);
    view<float const> const images{x.data(), {batch, in.height, in.width, in.channels}};
    CHECK_THROWS_WITH(wrong.forward(images),
                      "op_call, a custom op's view: expected elements of type bf16, found another type; "
                      "choose it by op_call::precision; vectors {1, 1, c} are float");
    CHECK_NOTHROW(right.forward(images));
}

TEST_CASE("a forward pass that is refused leaves nothing to go back through", "[backward]") {
    cpu device{.threads = 1};
    dynamic_model<cpu> m(device, [](value x) { return batch_norm{}(x); }, shape{1, 1, 2}, {.max_batch = 4});
    std::vector<float> const x{1, 2, 3, 4};
    m.forward({x.data(), {2, 1, 1, 2}});
    CHECK_THROWS_AS(m.forward({x.data(), {1, 1, 1, 2}}), error);  // statistics of one row
    CHECK(says(refusal([&] { m.backward(m.output_gradients()); }), {"backward: expected a forward pass before it"}));
}

TEST_CASE("finite_on looks at weights and at what they give, and changes nothing", "[backward]") {
    cpu device{.threads = 1};
    dynamic_model<cpu> m(device, [](value x) { return finish(relu(batch_norm{}(conv{.filters = 16}(x)))); }, in,
                         {.max_batch = batch});
    std::vector<float> const x(static_cast<std::size_t>(batch * in.size()), 0.5F);
    view<float const> const images{x.data(), {batch, in.height, in.width, in.channels}};
    auto const parameters = m.host_parameters(), statistics = m.host_statistics();
    std::uint32_t const passes = m.passes();
    CHECK(m.finite_on(images));
    CHECK(m.host_parameters() == parameters);
    CHECK(m.host_statistics() == statistics);
    CHECK(m.passes() == passes);
    std::fill_n(m.parameters().data(), 18, 3e38F);  // numbers still, but not their sum
    CHECK_FALSE(m.finite_on(images));
    m.parameters().data()[0] = std::numeric_limits<float>::infinity();
    CHECK_FALSE(m.finite_on(images));
    m.write_parameters(parameters.data());
    m.statistics().data()[0] = std::numeric_limits<float>::quiet_NaN();
    CHECK_FALSE(m.finite_on(images));
}

namespace {
template <precision P>
void names_first_non_finite() {
    cpu device{.threads = 1};
    auto const network = [](value x) {
        x = relu(batch_norm{}(named("first", conv{.filters = 16})(x)));
        return finish(relu(batch_norm{}(named("second", conv{.filters = 3})(x))));
    };
    dynamic_model<cpu, P> m(device, network, in, {.max_batch = batch, .frozen = frozen("first")});
    std::vector<float> const x(static_cast<std::size_t>(batch * in.size()), 0.5F);
    view<float const> const images{x.data(), {batch, in.height, in.width, in.channels}};
    m.forward(images);
    auto const before = m.host_statistics();
    CHECK(m.find_non_finite().empty());
    CHECK(m.host_statistics() == before);
    for (auto const& e : m.manifest())
        if (e.name.text() == "second.weight") m.parameters().data()[e.offset] = std::numeric_limits<float>::quiet_NaN();
    m.forward(images);
    CHECK(m.find_non_finite().find("second") != std::string::npos);
}
}  // namespace

TEST_CASE("find_non_finite names the first op whose result is no number, and changes nothing", "[backward]") {
    names_first_non_finite<precision::float32>();
    names_first_non_finite<precision::bfloat16>();
}

TEST_CASE("stop_gradient and frozen parts", "[backward]") {
    cpu device{.threads = 1};
    auto const network = [](value x) {
        value const a = named("first", smooth)(x);
        value const b = named("second", smooth)(a);
        return finish(b + stop_gradient(a));
    };
    dynamic_model<cpu> m(device, network, in, {.max_batch = batch, .frozen = frozen("first")});
    for (auto const& e : m.manifest())
        if (!is_statistic(e.role)) CHECK(e.trained == (e.name.text().substr(0, 5) != "first"));
    std::vector<float> x(static_cast<std::size_t>(batch * in.size()), 0.5F);
    m.forward({x.data(), {batch, in.height, in.width, in.channels}});
    m.backward(m.output_gradients());
    CHECK_THROWS_AS(m.backward(m.output_gradients()), error);
}

TEST_CASE("recomputing takes less memory and gives the same bits", "[backward]") {
    cpu device{.threads = 1};
    resnet_network const encoder{{.depth = 18, .base_filters = 4, .stem = stem::cifar}};
    std::vector<float> x(2 * 16 * 16 * 3);
    philox_stream random(4);
    for (float& v : x) v = random.uniform();
    std::vector<std::vector<float>> gradients;
    std::vector<std::int64_t> bytes;
    for (bool const recompute : {false, true}) {
        dynamic_model<cpu> m(device, encoder, shape{16, 16, 3}, {.max_batch = 2, .recompute = recompute});
        auto parameters = m.host_parameters();
        for (float& p : parameters) p += 0.01F;
        m.write_parameters(parameters.data());
        m.forward({x.data(), {2, 16, 16, 3}});
        auto const g = m.output_gradients().last();
        for (std::int64_t i = 0; i < g.size(); ++i) g[i] = static_cast<float>(i % 5) - 2;
        m.backward(m.output_gradients());
        gradients.emplace_back(m.gradients().data(), m.gradients().data() + m.gradients().size());
        bytes.push_back(m.allocated_bytes());
    }
    CHECK(gradients[0] == gradients[1]);
    CHECK(bytes[1] < bytes[0]);
}
