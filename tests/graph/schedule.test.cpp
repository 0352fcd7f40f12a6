// SPDX-License-Identifier: Apache-2.0
// What is fused, and where everything lies: no two slots that are in use at the same step share memory, and the bytes
// that are promised are the bytes that a model takes.
#include <memory>
#include <vector>

#include "arena.hpp"
#include "compared.hpp"

using namespace tempera;
using compared::erased_network;

namespace {

struct scheduled {
    explicit scheduled(erased_network const& network, shape sample, schedule_options const& o = {})
        : plan(network, sample), steps(std::make_unique<schedule>()) {
        schedule_of(plan, o, *steps);
    }
    int forward_steps(op_kind kind) const {
        int n = 0;
        for (int i = 0; i < steps->forward_count; ++i)
            n += plan.ops[static_cast<std::size_t>(steps->steps[i].op)].kind == kind;
        return n;
    }
    int fused() const {
        int n = 0;
        for (int i = 0; i < steps->forward_count; ++i) n += steps->steps[i].relu;
        return n;
    }
    int residuals() const {
        int n = 0;
        for (int i = 0; i < steps->forward_count; ++i) n += steps->steps[i].relu && steps->steps[i].in1 != no_slot;
        return n;
    }
    dynamic_plan plan;
    std::unique_ptr<schedule> steps;
};

constexpr shape map{6, 5, 3};
value norm(value x) { return batch_norm{}(x); }
value convolved(value x) { return conv{.filters = 3}(x); }

/// A network drawn from a stream: layers with random inputs among the values so far.
struct random_network {
    std::uint32_t number;
    output_list operator()(value x) const {
        philox_stream random(11, number);
        std::vector<value> made{convolved(x)};
        auto const pick = [&] { return made[random.below(static_cast<std::uint32_t>(made.size()))]; };
        for (int i = 0; i < 14; ++i) {
            value const a = pick(), b = pick();
            switch (random.below(10)) {
                case 0: made.push_back(convolved(a)); break;
                case 1: made.push_back(norm(a)); break;
                case 2: made.push_back(relu(norm(a))); break;
                case 3: made.push_back(a + b); break;
                case 4: made.push_back(relu(norm(a) + b)); break;
                case 5: made.push_back(a * sigmoid(global_average_pool(b))); break;
                case 6: made.push_back(slice{.begin = 1, .count = 3}(concat(a, b))); break;
                case 7: made.push_back(stop_gradient(a) * b); break;
                case 8: made.push_back(selective_kernel{.filters = 3}(a)); break;
                default: made.push_back(max_pool{.kernel = 3, .stride = 1}(a)); break;
            }
        }
        return outputs(output{"one", pick()}, output{"two", pick()}, output{"three", made.back()});
    }
};

inline constexpr auto small =
    resnet<resnet_config{.depth = 10, .base_filters = 8, .stages = 3, .selective_kernel = true}>;
inline constexpr auto small_classifier = classifier(small, classifier_config{.classes = 5});
inline constexpr memory_options memory{.batch = 6};
constexpr std::int64_t promised = training_bytes(plan_of<small_classifier, shape{16, 16, 3}>, memory);
constexpr std::int64_t promised_recomputed =
    training_bytes(plan_of<small_classifier, shape{16, 16, 3}>, {.batch = 6, .recompute = true, .slots = 2});
constexpr std::int64_t promised_narrow =
    training_bytes(plan_of<small_classifier, shape{16, 16, 3}>, {.batch = 6, .precision = precision::bfloat16});
static_assert(promised_narrow < promised &&
              promised_recomputed - 4 * plan_of<small_classifier, shape{16, 16, 3}>.parameters < promised);

}  // namespace

TEST_CASE("batch_norm and ReLU become one step where nobody else reads between", "[fuse]") {
    SECTION("norm, relu") {
        CHECK(scheduled([](value x) { return relu(norm(convolved(x))); }, map).fused() == 1);
    }
    SECTION("two readers of the normalized value") {
        CHECK(scheduled(
                  [](value x) {
                      x = norm(convolved(x));
                      return relu(x) + x;
                  },
                  map)
                  .fused() == 0);
    }
    SECTION("the normalized value is an output") {
        auto const network = [](value x) {
            x = norm(convolved(x));
            return outputs(output{"norm", x}, output{"relu", relu(x)});
        };
        CHECK(scheduled(network, map).fused() == 0);
    }
    SECTION("two readers of the result") {
        CHECK(scheduled(
                  [](value x) {
                      x = relu(norm(convolved(x)));
                      return x * x;
                  },
                  map)
                  .fused() == 1);
    }
    SECTION("not where it is switched off") {
        scheduled const s([](value x) { return relu(norm(convolved(x)) + x); }, map, {.fuse = false});
        CHECK(s.fused() == 0);
        CHECK(s.forward_steps(op_kind::relu) == 1);
        CHECK(s.forward_steps(op_kind::add) == 1);
    }
}

TEST_CASE("so does a residual, in either order, when it was made before", "[fuse]") {
    for (bool const first : {true, false}) {
        scheduled const s(
            [first](value x) {
                value const y = norm(convolved(x));
                return relu(first ? y + x : x + y);
            },
            map);
        CHECK(s.residuals() == 1);
        CHECK(s.forward_steps(op_kind::add) == 0);
        CHECK(s.forward_steps(op_kind::relu) == 0);
    }
    SECTION("of two normalizations, the later one") {
        scheduled const s(
            [](value x) {
                value const y = norm(x);
                return relu(y + norm(convolved(x)));
            },
            map);
        CHECK(s.residuals() == 1);
        CHECK(s.forward_steps(op_kind::batch_norm) == 2);
    }
    SECTION("not when the other operand is made later") {
        CHECK(scheduled(
                  [](value x) {
                      value const y = norm(x);
                      return relu(y + convolved(x));
                  },
                  map)
                  .fused() == 0);
    }
    SECTION("not when the sum has two readers, is an output, or no ReLU follows") {
        CHECK(scheduled(
                  [](value x) {
                      x = norm(x) + x;
                      return relu(x) + x;
                  },
                  map)
                  .fused() == 0);
        CHECK(scheduled(
                  [](value x) {
                      x = norm(x) + x;
                      return outputs(output{"sum", x}, output{"relu", relu(x)});
                  },
                  map)
                  .fused() == 0);
        scheduled const s([](value x) { return sigmoid(norm(x) + x); }, map);
        CHECK(s.fused() == 0);
        CHECK(s.forward_steps(op_kind::add) == 1);
    }
    SECTION("x + x of one normalization") {
        CHECK(scheduled(
                  [](value x) {
                      x = norm(x);
                      return relu(x + x);
                  },
                  map)
                  .fused() == 0);
    }
}

TEST_CASE("the ops of a selective kernel apply the batch norm before them where nobody else reads its map", "[fuse]") {
    auto const kernel = [](value x) { return selective_kernel{.filters = 4}(x); };
    /// The steps that apply a batch norm, which then has a step for its statistics alone and no map.
    auto const applied = [](scheduled const& s) {
        int n = 0;
        for (int i = 0; i < s.steps->forward_count; ++i) {
            schedule_step const& t = s.steps->steps[i];
            op_kind const kind = s.plan.ops[static_cast<std::size_t>(t.op)].kind;
            if (t.norm == no_value || kind == op_kind::conv) continue;
            ++n;
            op const& norm = s.plan.ops[static_cast<std::size_t>(t.norm)];
            CHECK(t.in0 == s.steps->value_slot[norm.in0]);
            CHECK(s.steps->value_slot[norm.out] == no_slot);
        }
        return n;
    };
    for (precision const p : {precision::float32, precision::bfloat16})
        for (device_kind const d : {device_kind::cpu, device_kind::gpu})
            for (bool const training : {true, false})
                CHECK(applied(scheduled(kernel, map, {.precision = p, .device = d, .training = training})) == 2);
    CHECK(applied(scheduled(kernel, map, {.fuse = false})) == 0);
    scheduled const whole(kernel, map, {.batch = 8}), apart(kernel, map, {.batch = 8, .fuse = false});
    CHECK(whole.steps->arena_bytes < apart.steps->arena_bytes);
    CHECK(whole.forward_steps(op_kind::batch_norm) == 2);  // its statistics, and the norm of the features
    CHECK(whole.forward_steps(op_kind::relu) == 0);
}

TEST_CASE("slots in use at the same step never share memory", "[layout]") {
    for (std::uint32_t number = 0; number < 24; ++number) {
        for (int form = 0; form < 12; ++form) {
            INFO("network " << number << ", form " << form);
            schedule_options o;
            o.device = number % 2 == 0 ? device_kind::cpu : device_kind::gpu;
            o.batch = 1 + static_cast<int>(number % 5);
            o.precision = form % 2 == 0 ? precision::float32 : precision::bfloat16;
            o.recompute = form / 2 % 2 == 1;
            o.training = form < 8;
            o.fuse = form % 3 != 0;
            o.loss_outputs = number % 8;
            scheduled const s(random_network{number}, map, o);
            arena::check_layout(*s.steps, o.batch);
            arena::played(*s.steps, o.batch, static_cast<int>(s.plan.outputs.size()));
        }
    }
}

TEST_CASE("a fused schedule has one step less for each op that it absorbs", "[fuse]") {
    int shorter = 0;
    for (std::uint32_t number = 0; number < 60; ++number) {
        INFO("network " << number);
        scheduled const whole(random_network{number}, map), apart(random_network{number}, map, {.fuse = false});
        int const absorbed = whole.fused() + whole.residuals();
        CHECK(whole.steps->forward_count == apart.steps->forward_count - absorbed);
        CHECK(whole.steps->step_count <= apart.steps->step_count - absorbed);
        shorter += absorbed > 0;
    }
    CHECK(shorter > 20);
}

TEST_CASE("a convolution goes on to its residual and ReLU for inference", "[fuse]") {
    schedule_options const gpu{.precision = precision::bfloat16, .device = device_kind::gpu, .training = false};
    auto const alone = [](value x) { return relu(convolved(x)); };
    auto const residual = [](value x) { return relu(convolved(x) + x); };
    CHECK(scheduled(alone, map, gpu).fused() == 1);
    CHECK(scheduled(residual, map, gpu).residuals() == 1);
    CHECK(scheduled([](value x) { return relu(dense{.units = 4}(global_average_pool(x))); }, map, gpu).fused() == 1);
    SECTION("of two convolutions, the later one") {
        scheduled const s([](value x) { return relu(convolved(x) + convolved(x)); }, map, gpu);
        CHECK(s.residuals() == 1);
        CHECK(s.steps->forward_count == 2 + 1);  // and the map widened
    }
    SECTION("on either device") {
        auto cpu = gpu;
        cpu.device = device_kind::cpu;
        CHECK(scheduled(residual, map, cpu).residuals() == 1);
    }
    SECTION("not for training, apart, or from a map to a vector, which is of another type") {
        auto training = gpu, apart = gpu;
        training.training = true;
        apart.fuse = false;
        for (schedule_options const& o : {training, apart}) {
            CHECK(scheduled(alone, map, o).fused() == 0);
            CHECK(scheduled(residual, map, o).fused() == 0);
        }
        auto const to_vector = [](value x) { return relu(conv{.filters = 3, .stride = 2}(x)); };
        CHECK(scheduled(to_vector, {2, 2, 3}, gpu).fused() == 0);
    }
}

TEST_CASE("a convolution takes the statistics of its map where the device can and a batch norm wants them",
          "[measure]") {
    schedule_options const gpu{.precision = precision::bfloat16, .device = device_kind::gpu};
    auto const measured = [](erased_network const& network, schedule_options const& o) {
        scheduled const s(network, map, o);
        int n = 0;
        for (int i = 0; i < s.steps->forward_count; ++i) {
            schedule_step const& t = s.steps->steps[i];
            if (!t.measured) continue;
            ++n;
            int const conv = s.plan.ops[static_cast<std::size_t>(t.op)].in0;
            for (int j = 0; j < i; ++j)
                if (schedule_step const& taken = s.steps->steps[j]; taken.op == conv) {
                    CHECK(taken.saved == t.saved);
                    CHECK(taken.norm == t.op);
                    CHECK(taken.mode == t.mode);
                }
        }
        return n;
    };
    auto const two = [](value x) { return norm(convolved(relu(norm(convolved(x))))); };
    auto inference = gpu, frozen_part = gpu, apart = gpu, exact = gpu, cpu = gpu;
    inference.training = false;
    frozen_part.frozen = frozen_list(frozen("norm1"));
    apart.fuse = false;
    exact.precision = precision::float32;
    cpu.device = device_kind::cpu;
    CHECK(measured(two, gpu) == 2);
    CHECK(measured(two, {}) == 2);  // the cpu in float32
    CHECK(measured(two, cpu) == 0);
    CHECK(measured(two, inference) == 0);
    CHECK(measured(two, frozen_part) == 1);
    CHECK(measured(two, apart) == 0);
    CHECK(measured(two, exact) == 0);
    auto const another_reader = [](value x) {
        x = convolved(x);
        return norm(x) + norm(x);
    };
    CHECK(measured(another_reader, gpu) == 1);
    auto const between = [](value x) { return norm(relu(convolved(x))); };
    CHECK(measured(between, gpu) == 0);
    auto const vectors = [](value x) { return norm(conv{.filters = 8}(global_average_pool(x))); };
    CHECK(measured(vectors, gpu) == 0);
}

TEST_CASE("random networks have the gradients of their definition", "[layout]") {
    for (std::uint32_t number = 0; number < 8; ++number) {
        INFO("network " << number);
        // a pool of equal values, or a deep chain of normalizations, amplifies rounding: hence the tolerance
        compared::agrees(random_network{number}, {3, 3, 3}, {.loss_outputs = {"one", "two", "three"}}, 3, 2e-2);
    }
}

TEST_CASE("a selective kernel down to a vector, or beside a second reader of its map, has the gradients of its definition",
          "[layout]") {
    auto const to_vector = [](value x) { return selective_kernel{.filters = 4, .stride = 2}(conv{.filters = 3}(x)); };
    compared::agrees(to_vector, {2, 2, 3}, {}, 5, 2e-2);
    auto const summed = [](value x) {
        x = conv{.filters = 4}(x);
        return global_average_pool(x + selective_kernel{.filters = 4}(x));
    };
    compared::agrees(summed, {3, 3, 3}, {}, 4, 2e-2);
}

TEST_CASE("training_bytes is what a model and its optimizer take", "[bytes]") {
    cpu device{.threads = 1};
    auto const& plan = plan_of<small_classifier, shape{16, 16, 3}>;
    dynamic_model<cpu> const m(device, small_classifier, shape{16, 16, 3}, {.max_batch = 6});
    CHECK(promised == m.allocated_bytes() + 4 * plan.parameters);
    dynamic_model<cpu> const r(device, small_classifier, shape{16, 16, 3}, {.max_batch = 6, .recompute = true});
    CHECK(promised_recomputed == r.allocated_bytes() + 8 * plan.parameters);
    CHECK(r.allocated_bytes() < m.allocated_bytes());
    dynamic_model<cpu, precision::bfloat16> const b(device, small_classifier, shape{16, 16, 3}, {.max_batch = 6});
    CHECK(promised_narrow == b.allocated_bytes() + 4 * plan.parameters);
    CHECK(training_bytes(plan, {.batch = 6, .frozen = frozen("encoder")}) < promised);
    dynamic_model<cpu> const f(device, small_classifier, shape{16, 16, 3},
                               {.max_batch = 6, .frozen = frozen("encoder")});
    CHECK(training_bytes(plan, {.batch = 6, .frozen = frozen("encoder")}) == f.allocated_bytes() + 4 * plan.parameters);
    CHECK(inference_bytes(plan, {.batch = 6}) < promised);
}

TEST_CASE("prune drops what no output needs and keeps the order of the rest", "[prune]") {
    projection_network const head{{.layers = 3, .out = 4}};
    auto const network = [&](value x) {
        value const unused = head(x);
        (void)unused;
        return dense{.units = 2}(x);
    };
    dynamic_plan const p(erased_network(network), shape{1, 1, 6});
    CHECK(p.ops.size() == 2);
    CHECK(p.parameters == 2 * 6 + 2);
    CHECK(p.statistics == 0);
    CHECK(p.multiply_adds == 12);
    auto const tapped =
        classifier(resnet_network{{.depth = 10, .base_filters = 4, .stages = 1}}, head, {.tap = 1, .classes = 2});
    dynamic_plan const q(erased_network(tapped), shape{8, 8, 1});
    for (int i = 0; i < q.view().tensors.size(); ++i) {
        std::string const name(q.view().entry(i).name.text());
        CHECK(name.find("layer1") == std::string::npos);
        CHECK(name.find("layer2") == std::string::npos);
    }
}
