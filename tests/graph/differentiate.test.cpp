// SPDX-License-Identifier: Apache-2.0
// Outputs and gradients of every form of schedule against a double network: values with none, one and several
// readers, residuals, outputs, stops, frozen parts; custom ops against the ops that they stand for.
#include <memory>

#include "compared.hpp"

using namespace tempera;
using compared::agrees;
using compared::erased_network;

namespace {

constexpr shape map{4, 3, 2};
value a_of(value x) { return named("a", conv{.filters = 3, .bias = true})(x); }
value b_of(value x) { return named("b", conv{.filters = 3, .kernel = 1})(x); }

/// f of the layer "a", or of the layers "a" and "b", agrees.
template <class F>
void agrees_after_a(F const& f) {
    agrees([f](value x) { return f(a_of(x)); }, map);
}
template <class F>
auto after_both(F const& f) {
    return erased_network([f](value x) {
        value const a = a_of(x);
        return f(a, b_of(x));
    });
}

/// y = x^2, or y = x z with two inputs.
struct product {
    constexpr shape infer(input_shapes in, declaration& declare) const {
        declare.saved(in[0].size());
        return in[0];
    }
    static constexpr device_set devices = on_cpu;
    static view<float const> second(op_call const& c) { return c.input<float>(c.input_data[1] != nullptr ? 1 : 0); }
    static void forward(op_call& c) {
        auto const x = c.input<float>(), z = second(c);
        for (std::int64_t i = 0; i < x.size(); ++i) {
            c.saved()[i] = z[i];
            c.output<float>()[i] = x[i] * z[i];
        }
    }
    static void backward(op_call& c) {
        auto const x = c.input<float>(), dy = c.output_gradient<float>();
        bool const two = c.input_data[1] != nullptr;
        for (int k = 0; k < 2; ++k) {
            auto const dx = c.input_gradient<float>(k);
            if (dx.data == nullptr) continue;
            for (std::int64_t i = 0; i < x.size(); ++i) dx[i] = dy[i] * (k == 0 ? c.saved()[i] * (two ? 1 : 2) : x[i]);
        }
    }
};

/// The steps of a schedule of some kind for an op of some kind.
int count(schedule const& s, plan_view const& p, step_kind kind, op_kind of) {
    int n = 0;
    for (int i = 0; i < s.step_count; ++i) n += s.steps[i].kind == kind && p.ops[s.steps[i].op].kind == of;
    return n;
}
std::unique_ptr<schedule> scheduled(plan_view const& p, schedule_options const& o) {
    auto s = std::make_unique<schedule>();
    schedule_of(p, o, *s);
    return s;
}

}  // namespace

TEST_CASE("values with several readers", "[differentiate]") {
    SECTION("x + x") {
        agrees_after_a([](value x) { return x + x; });
    }
    SECTION("relu(x) + x") {
        agrees_after_a([](value x) { return relu(x) + x; });
    }
    SECTION("x + relu(x)") {
        agrees_after_a([](value x) { return x + relu(x); });
    }
    SECTION("three readers") {
        agrees_after_a([](value x) { return sigmoid(x) + x * x + relu(x); });
    }
    SECTION("x x") {
        agrees_after_a([](value x) { return x * x; });
    }
    SECTION("sums of sums") {
        agrees(after_both([](value a, value b) {
                   value const s = a + b;
                   return (s + s) + (conv{.filters = 3}(s) + s);
               }),
               map);
    }
    SECTION("both operands read again") {
        agrees(after_both([](value a, value b) { return sigmoid(a) * b + (a + b) * (a + b) + a; }), map);
    }
    SECTION("concat with itself and overlapping slices") {
        agrees_after_a([](value x) {
            value const both = concat(x, x, sigmoid(x));
            return slice{.begin = 0, .count = 5}(both) * slice{.begin = 3, .count = 5}(both);
        });
    }
    SECTION("a gate made of what it gates") {
        agrees_after_a([](value x) { return sigmoid(global_average_pool(x)) * x + x; });
    }
}

TEST_CASE("normalizations with residuals", "[differentiate]") {
    auto const norm = [](value x) { return batch_norm{}(x); };
    SECTION("relu(norm(x) + x)") {
        agrees_after_a([&](value x) { return relu(norm(x) + x); });
    }
    SECTION("relu(x + norm(x)), x read again") {
        agrees_after_a([&](value x) { return relu(x + norm(x)) * sigmoid(x); });
    }
    SECTION("relu(norm(a) + norm(b))") {
        agrees(after_both([&](value a, value b) { return relu(norm(a) + norm(b)); }), map);
    }
    SECTION("relu(norm(a) + b), b made later") {
        agrees(
            [&](value x) {
                value const a = norm(a_of(x));
                return relu(a + b_of(x));
            },
            map);
    }
    SECTION("one normalization for two additions") {
        agrees_after_a([&](value x) {
            value const y = norm(x);
            return relu(y + x) * relu(y + sigmoid(x));
        });
    }
    SECTION("norm of norm") {
        agrees_after_a([&](value x) { return relu(norm(relu(norm(norm(x))))); });
    }
    SECTION("blocks in a row") {
        agrees_after_a([&](value x) {
            x = relu(norm(x));
            for (int i = 0; i < 2; ++i) x = relu(norm(conv{.filters = 3}(relu(norm(conv{.filters = 3}(x))))) + x);
            return global_average_pool(x);
        });
    }
    SECTION("without scale and offset") {
        agrees_after_a([](value x) { return relu(batch_norm{.scale = false, .offset = false}(x)); });
    }
}

TEST_CASE("outputs", "[differentiate]") {
    SECTION("an output that is also read inside") {
        agrees(
            [](value x) {
                x = a_of(x);
                return outputs(output{"first", x}, output{"second", sigmoid(x) + x});
            },
            map, {.loss_outputs = {"first", "second"}});
    }
    SECTION("a sum and its operand") {
        agrees(after_both([](value a, value b) {
                   return outputs(output{"sum", a + b}, output{"a", a});
               }),
               map, {.loss_outputs = {"sum", "a"}});
    }
    SECTION("only one of two is trained") {
        erased_network const network = [](value x) {
            value const a = a_of(x);
            return outputs(output{"used", sigmoid(a)}, output{"spare", b_of(a)});
        };
        agrees(network, map, {.loss_outputs = "used"});
        cpu device{.threads = 1};
        dynamic_model<cpu> const m(device, network, map, {.max_batch = 2, .loss_outputs = "used"});
        for (auto const& e : m.manifest()) CHECK(e.trained == (e.name.text().substr(0, 1) == "a"));
    }
    SECTION("the input itself") {
        cpu device{.threads = 1};
        dynamic_model<cpu> m(device, erased_network([](value x) { return x; }), map, {.max_batch = 2});
        auto const x = compared::draw(map.size() * 2, 1);
        auto const y = m.forward({x.data(), {2, 4, 3, 2}}).last();
        CHECK(std::vector<float>(y.data, y.data + y.size()) == x);
        m.backward(m.output_gradients());
        auto const again = m.predict({x.data(), {2, 4, 3, 2}}).last();
        CHECK(std::vector<float>(again.data, again.data + again.size()) == x);
    }
}

TEST_CASE("a value that nobody reads costs nothing", "[differentiate]") {
    erased_network const network = [](value x) {
        x = a_of(x);
        (void)relu(conv{.filters = 50}(x));
        return sigmoid(x);
    };
    agrees(network, map);
    CHECK(dynamic_plan(network, map).parameters == 3 * 9 * 2 + 3);
}

TEST_CASE("stop_gradient", "[differentiate]") {
    SECTION("beside a path") {
        agrees_after_a([](value x) { return stop_gradient(x) * x + b_of(stop_gradient(x)); });
    }
    SECTION("of an output") {
        agrees_after_a([](value x) { return outputs(output{"stopped", stop_gradient(x)}, output{"last", x * x}); });
    }
    SECTION("before everything: no step is left") {
        erased_network const network = [](value x) { return stop_gradient(a_of(x)); };
        cpu device{.threads = 1};
        dynamic_model<cpu> m(device, network, map, {.max_batch = 3});
        auto const got = compared::run(m, 3);
        CHECK(got.gradients == std::vector<float>(got.gradients.size()));
        dynamic_plan const p(network, map);
        auto const s = scheduled(p, {.batch = 3});
        CHECK(s->step_count == s->forward_count);
    }
}

TEST_CASE("custom ops", "[differentiate]") {
    // product against multiply, which the double network knows
    auto const same = [](auto const& with_custom, auto const& plain) {
        cpu device{.threads = 1};
        for (bool const fuse : {true, false}) {
            dynamic_model<cpu> m(device, after_both(with_custom), map, {.max_batch = 3, .fuse = fuse});
            dynamic_model<cpu> n(device, after_both(plain), map, {.max_batch = 3, .fuse = fuse});
            auto const got = compared::run(m, 3), wanted = compared::run(n, 3);
            CHECK(compared::difference(got.outputs[0], compared::wide(wanted.outputs[0])) < 1e-6);
            CHECK(compared::difference(got.gradients, compared::wide(wanted.gradients)) < 1e-5);
        }
    };
    SECTION("alone") {
        same([](value a, value) { return a.apply(product{}); }, [](value a, value) { return a * a; });
    }
    SECTION("two inputs") {
        same([](value a, value b) { return a.apply(product{}, b) + a + b; },
             [](value a, value b) { return a * b + a + b; });
    }
    SECTION("two inputs that are the same value") {
        same([](value a, value) { return a.apply(product{}, a) + a; }, [](value a, value) { return a * a + a; });
    }
    SECTION("an input that needs no gradient") {
        same([](value a, value b) { return a.apply(product{}, stop_gradient(b)); },
             [](value a, value b) { return a * stop_gradient(b); });
    }
}

TEST_CASE("frozen parts", "[differentiate]") {
    auto const block = [](char const* name) {
        return named(name, [](value x) { return relu(batch_norm{}(conv{.filters = 3}(x))); });
    };
    erased_network const network = [&](value x) { return block("third")(block("second")(block("first")(x))); };
    SECTION("in the middle, gradients pass") {
        agrees(network, map, {.frozen = frozen("second")});
        agrees(network, map, {.frozen = frozen("second", bn::batch)});
        agrees(network, map, {.frozen = {frozen("second", bn::batch_without_update), frozen("third", bn::moving)}});
    }
    SECTION("a prefix: no backward step before what is trained") {
        agrees(network, map, {.frozen = {frozen("first"), frozen("second", bn::batch)}});
        dynamic_plan const p(network, map);
        auto const all = scheduled(p, {.batch = 2});
        auto const tail = scheduled(p, {.batch = 2, .frozen = {frozen("first"), frozen("second", bn::batch)}});
        CHECK(count(*all, p, step_kind::backward, op_kind::conv) == 3);
        CHECK(count(*tail, p, step_kind::backward, op_kind::conv) == 1);
        CHECK(count(*tail, p, step_kind::backward, op_kind::batch_norm) == 1);
        CHECK(tail->arena_bytes < all->arena_bytes);
    }
    SECTION("everything: nothing but the forward pass") {
        dynamic_plan const p(network, map);
        auto const s = scheduled(p, {.batch = 2, .frozen = frozen("")});
        CHECK(s->step_count == s->forward_count);
    }
    SECTION("normalizations without parameters need no backward step") {
        erased_network const head = [&](value x) {
            return dense{.units = 2}(global_average_pool(batch_norm{.scale = false, .offset = false}(x)));
        };
        dynamic_plan const p(head, map);
        CHECK(count(*scheduled(p, {.batch = 2}), p, step_kind::backward, op_kind::batch_norm) == 0);
        agrees(head, map);
    }
    SECTION("moving statistics change by mode") {
        cpu device{.threads = 1};
        for (bn const mode : {bn::batch, bn::batch_without_update, bn::moving}) {
            dynamic_model<cpu> m(device, network, map, {.max_batch = 3, .frozen = frozen("second", mode)});
            auto const x = compared::draw(map.size() * 3, 1);
            auto const before = m.host_statistics();
            (void)m.forward({x.data(), {3, 4, 3, 2}});
            auto const after = m.host_statistics();
            for (auto const& e : m.manifest()) {
                if (!is_statistic(e.role)) continue;
                bool const updated = e.name.text().substr(0, 6) != "second" || mode == bn::batch;
                auto const at = static_cast<std::size_t>(e.offset);
                CHECK((before[at] != after[at]) == updated);
            }
        }
    }
}
