// SPDX-License-Identifier: Apache-2.0
// Networks beyond the capacity of a trace: a fault that names the macro, at compile time and at run time, however the
// capacity is exceeded, and nothing written outside the arrays.
#define TEMPERA_MAX_OPS 32
#include <tempera/nn.hpp>
#include <tempera/runtime/dynamic_plan.hpp>

#include <cstdio>
#include <string>

using namespace tempera;

namespace {

/// `count` layers of one kind, in scopes of their own where asked.
struct tower {
    int count = 0;
    op_kind kind = op_kind::relu;
    bool scopes = false;

    constexpr value operator()(value x) const {
        for (int i = 0; i < count; ++i) x = scopes ? apply_named([this](value y) { return layer(y); }, x, "part", i) : layer(x);
        return x;
    }
    constexpr value layer(value x) const {
        if (kind == op_kind::conv) return conv{.filters = 2}(x);
        if (kind == op_kind::batch_norm) return batch_norm{}(x);
        if (kind == op_kind::custom) return x.apply(identity{});
        if (kind == op_kind::input) return x;  // a scope and nothing in it
        return relu(x);
    }
    struct identity {
        constexpr shape infer(input_shapes in, declaration& declare) const {
            declare.parameter(1, 0);
            return in[0];
        }
        static constexpr device_set devices = on_cpu;
        static void forward(op_call&) {}
        static void backward(op_call&) {}
    };
};

constexpr diagnosis diagnosed(tower const& network) {
    trace t{};
    trace_network(t, network, shape{4, 4, 2});
    return t.bad;
}
constexpr fault full = fault::too_many_ops_raise_TEMPERA_MAX_OPS;

static_assert(diagnosed({31}).what == fault::none);
static_assert(diagnosed({32}).what == full);
static_assert(diagnosed({32}).got.channels == 33 && diagnosed({32}).expected.channels == 32);
static_assert(diagnosed({31, op_kind::conv}).what == fault::none);
static_assert(diagnosed({200, op_kind::conv}).what == full);
static_assert(diagnosed({24, op_kind::batch_norm}).what == fault::none, "96 tensors");
static_assert(diagnosed({25, op_kind::batch_norm}).what == full, "100 tensors");
static_assert(diagnosed({31, op_kind::input, true}).what == fault::none);
static_assert(diagnosed({200, op_kind::input, true}).what == full);
static_assert(diagnosed({200, op_kind::batch_norm, true}).what == full);
static_assert(diagnosed({3, op_kind::custom}).what == fault::none);
static_assert(diagnosed({4, op_kind::custom}).what == full);
static_assert(diagnosed({4, op_kind::custom}).got.channels == 4 && diagnosed({4, op_kind::custom}).expected.channels == 3);

/// A tower of as many ops as fit has a schedule that fits.
constexpr bool scheduled(tower const& network) {
    trace t{};
    trace_network(t, network, shape{4, 4, 2});
    plan<plan_sizes{32, 31, 32, 1, 0}> p{};
    copy_trace(t, p);
    schedule s{};
    schedule_of(p.view(), {.batch = 2, .recompute = true}, s);
    return s.step_count > 31 && s.step_count <= max_steps && s.slot_count <= max_slots && s.arena_bytes > 0;
}
static_assert(scheduled({31, op_kind::conv}));

}  // namespace

int main() {
    for (op_kind const kind : {op_kind::relu, op_kind::conv, op_kind::batch_norm, op_kind::custom, op_kind::input}) {
        try {
            dynamic_plan const p(tower{500, kind, true}, shape{4, 4, 2});
            std::printf("a tower of 500 layers fits in %d ops\n", max_ops);
            return 1;
        } catch (error const& e) {
            std::string const what = e.what();
            if (what.find("too_many_ops_raise_TEMPERA_MAX_OPS") == std::string::npos) {
                std::printf("not what was expected: %s\n", what.c_str());
                return 1;
            }
        }
    }
    std::puts("capacities are kept");
}
