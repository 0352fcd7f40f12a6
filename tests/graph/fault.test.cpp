// SPDX-License-Identifier: Apache-2.0
// Every fault: what is wrong, at which op, where, what was found and what was expected; and the words of the exception.
#include "traced.hpp"

#include "../catch.hpp"
#include "../refusal.hpp"

using namespace tempera;

namespace {

struct expectation {
    fault what;
    op_kind op;
    std::string where;
    shape got, expected;
    std::string words;  ///< of the exception, before the advice
};

template <class Network>
void check(Network const& network, shape sample, expectation const& e) {
    diagnosis const d = diagnosis_of(network, sample);
    INFO(describe(d));
    CHECK(d.what == e.what);
    CHECK(d.op == e.op);
    CHECK(d.where.text() == e.where);
    CHECK((d.got == e.got));
    CHECK((d.expected == e.expected));
    CHECK(refusal([&] { dynamic_plan const p(network, sample); }) ==
          "network: " + e.words + "; " + std::string(advice_for(e.what)));
    CHECK(!advice_for(e.what).empty());
}

template <class Layer>
auto in_stage(Layer const& layer) {
    return named("stage", [layer](value x) { return layer(x); });
}

struct greedy {
    int tensors = 0, rows = 1;
    constexpr shape infer(input_shapes in, declaration& declare) const {
        for (int i = 0; i < tensors; ++i) declare.parameter(3, 0);
        return {rows, 1, in[0].channels};
    }
    static constexpr device_set devices = on_cpu;
    static void forward(op_call&) {}
    static void backward(op_call&) {}
};

struct picky {
    constexpr shape infer(input_shapes in, declaration& declare) const {
        if (in[0].channels != 3) declare.reject(in[0], shape{in[0].height, in[0].width, 3});
        return in[0];
    }
    static constexpr device_set devices = on_cpu;
    static void forward(op_call&) {}
    static void backward(op_call&) {}
};

struct padded {
    int count = 1;
    bool doubled = false;
    constexpr shape infer(input_shapes in, declaration&) const { return in[0]; }
    static constexpr device_set devices = on_cpu;
    static void forward(op_call&) {}
    static void backward(op_call&) {}
};

}  // namespace

TEST_CASE("operands of different shapes", "[fault]") {
    check(in_stage([](value x) { return x + conv{.filters = 4, .stride = 2}(x); }), {8, 8, 4},
          {fault::operands_differ, op_kind::add, "stage", {4, 4, 4}, {8, 8, 4},
           "operands_differ at add, stage: expected {8, 8, 4}, found {4, 4, 4}"});
    check([](value x) { return x * global_average_pool(conv{.filters = 5}(x)); }, {8, 8, 4},
          {fault::operands_differ, op_kind::gate, "after conv1", {1, 1, 5}, {1, 1, 4},
           "operands_differ at gate, after conv1: expected {1, 1, 4}, found {1, 1, 5}"});
    check([](value x) { return global_average_pool(conv{.filters = 5}(x)) * x; }, {8, 8, 4},
          {fault::operands_differ, op_kind::gate, "after conv1", {1, 1, 5}, {1, 1, 4},
           "operands_differ at gate, after conv1: expected {1, 1, 4}, found {1, 1, 5}"});
    check([](value x) { return concat(x, x, max_pool{}(x)); }, {8, 6, 4},
          {fault::operands_differ, op_kind::concat, "", {4, 3, 4}, {8, 6, 4},
           "operands_differ at concat: expected {8, 6, 4}, found {4, 3, 4}"});
    check([](value x) { return x.apply(picky{}); }, {8, 8, 4},
          {fault::operands_differ, op_kind::custom, "", {8, 8, 4}, {8, 8, 3},
           "operands_differ at custom: expected {8, 8, 3}, found {8, 8, 4}"});
}

TEST_CASE("windows larger than the map", "[fault]") {
    check(in_stage(conv{.filters = 4, .kernel = 9}), {3, 6, 2},
          {fault::kernel_larger_than_input, op_kind::conv, "stage.conv1", {3, 6, 2}, {4, 4, 2},
           "kernel_larger_than_input at conv, stage.conv1: expected {4, 4, 2}, found {3, 6, 2}"});
    check(in_stage(max_pool{.kernel = 9}), {3, 6, 2},
          {fault::kernel_larger_than_input, op_kind::max_pool, "stage", {3, 6, 2}, {4, 4, 2},
           "kernel_larger_than_input at max_pool, stage: expected {4, 4, 2}, found {3, 6, 2}"});
    CHECK(diagnosis_of(conv{.filters = 4, .kernel = 7}, {3, 3, 2}).what == fault::none);
}

TEST_CASE("dense on a map", "[fault]") {
    check(in_stage(named("logits", dense{.units = 4})), {1, 2, 3},
          {fault::expects_a_vector, op_kind::dense, "stage.logits", {1, 2, 3}, {1, 1, 3},
           "expects_a_vector at dense, stage.logits: expected {1, 1, 3}, found {1, 2, 3}"});
}

TEST_CASE("numbers out of range", "[fault]") {
    auto const number = [](fault what, op_kind op, int got, int expected) {
        return expectation{what, op, "stage", {1, 1, got}, {1, 1, expected},
                           std::string(name_of(what)) + " at " + std::string(name_of(op)) + ", stage: expected " +
                               std::to_string(expected) + ", found " + std::to_string(got)};
    };
    check(in_stage(slice{.begin = 2, .count = 3}), {4, 4, 4}, number(fault::channels_out_of_range, op_kind::slice, 5, 4));
    check(in_stage(conv{}), {4, 4, 4}, number(fault::positive_number_expected, op_kind::conv, 0, 1));
    check(in_stage(conv{.filters = 1, .stride = -2}), {4, 4, 4},
          number(fault::positive_number_expected, op_kind::conv, -2, 1));
    check(in_stage(conv{.filters = 1, .kernel = 0}), {4, 4, 4}, number(fault::positive_number_expected, op_kind::conv, 0, 1));
    check(in_stage(dense{}), {1, 1, 4}, number(fault::positive_number_expected, op_kind::dense, 0, 1));
    check(in_stage(average_pool{.stride = 0}), {4, 4, 4},
          number(fault::positive_number_expected, op_kind::average_pool, 0, 1));
    check(in_stage(selective_kernel{}), {4, 4, 4},
          number(fault::positive_number_expected, op_kind::selective_merge, 0, 1));
    check(in_stage(dropout{.rate = 1}), {4, 4, 4}, number(fault::rate_out_of_range, op_kind::dropout, 100, 99));
    check(in_stage(dropout{.rate = -0.5F}), {4, 4, 4}, number(fault::rate_out_of_range, op_kind::dropout, -50, 0));
    check(in_stage(drop_block{.keep = -0.5F}), {4, 4, 4}, number(fault::rate_out_of_range, op_kind::drop_block, -50, 1));
    check(in_stage(drop_block{.keep = 1.5F}), {4, 4, 4}, number(fault::rate_out_of_range, op_kind::drop_block, 150, 100));
    check(in_stage(slice{.begin = 3, .count = 0x7fffffff}), {4, 4, 4},
          number(fault::channels_out_of_range, op_kind::slice, 1 << 30, 4));
    check(in_stage(resnet_network{{.depth = 20}}), {32, 32, 3}, number(fault::unknown_depth, op_kind::conv, 20, 50));
    check(in_stage(resnet_network{{.depth = 18, .stages = 5}}), {32, 32, 3},
          number(fault::setting_out_of_range, op_kind::conv, 5, 4));
    check(in_stage(resnet_network{{.depth = 18, .drop_block_keep = 0.9F}}), {32, 32, 3},
          number(fault::setting_out_of_range, op_kind::drop_block, 90, 100));
    check(in_stage(resnet_network{{.depth = 50, .se_ratio = -1}}), {32, 32, 3},
          number(fault::setting_out_of_range, op_kind::gate, -100, 0));
    check(in_stage(projection_network{{.layers = -3}}), {1, 1, 8},
          number(fault::setting_out_of_range, op_kind::dense, -3, 0));
    check(in_stage(selective_kernel{.filters = 4, .ratio = -5}), {4, 4, 4},
          number(fault::setting_out_of_range, op_kind::selective_merge, -500, 1));
    check(in_stage(squeeze_excite{.ratio = 0}), {4, 4, 4}, number(fault::setting_out_of_range, op_kind::gate, 0, 1));
    check(in_stage(batch_norm{.epsilon = -5}), {4, 4, 4},
          number(fault::setting_out_of_range, op_kind::batch_norm, -500, 1));
    check(in_stage(batch_norm{.decay = 7}), {4, 4, 4},
          number(fault::setting_out_of_range, op_kind::batch_norm, 700, 100));
    check(in_stage(dropout{.rate = -0.004F}), {4, 4, 4}, number(fault::rate_out_of_range, op_kind::dropout, -1, 0));
    check(in_stage(dropout{.rate = 1.001F}), {4, 4, 4}, number(fault::rate_out_of_range, op_kind::dropout, 101, 99));
    check(in_stage([](value x) { return x.apply(greedy{.tensors = 5}); }), {4, 4, 4},
          number(fault::too_many_tensors, op_kind::custom, 5, 4));
    check(in_stage([](value x) { return x.apply(greedy{.rows = 0}); }), {4, 4, 4},
          number(fault::positive_number_expected, op_kind::custom, 0, 1));
    CHECK(diagnosis_of(conv{.filters = 1}, {4, 0, 1}).what == fault::positive_number_expected);
}

TEST_CASE("a custom op with padding", "[fault]") {
    // refused as a constant (tests/compile_fail), taken at run time
    CHECK(diagnosis_of([](value x) { return conv{.filters = 3}(x).apply(padded{}); }, {8, 8, 3}).what == fault::none);
}

TEST_CASE("a max_pool window has at most 255 positions", "[fault]") {
    CHECK(diagnosis_of(max_pool{.kernel = 15, .stride = 4}, {32, 32, 1}).what == fault::none);
    check(max_pool{.kernel = 16, .stride = 4}, {32, 32, 1},
          {fault::window_too_large, op_kind::max_pool, "", {1, 1, 16}, {1, 1, 15},
           "window_too_large at max_pool: expected 15, found 16"});
}

TEST_CASE("classifiers and taps", "[fault]") {
    auto const encoder = resnet_network{{.depth = 10, .base_filters = 4, .stages = 1}};
    projection_network const head{{.layers = 2, .out = 8}};
    auto const what = [&](classifier_config c) { return diagnosis_of(classifier(encoder, head, c), {8, 8, 1}); };
    CHECK(what({.tap = unset, .classes = 3}).what == fault::none);
    CHECK(what({.tap = -1, .classes = 3}).what == fault::none);
    CHECK(what({.tap = 0, .classes = 3}).what == fault::none);
    CHECK(what({.tap = 2, .classes = 3}).what == fault::none);
    for (int const tap : {3, -2}) {
        diagnosis const d = what({.tap = tap, .classes = 3});
        CHECK(d.what == fault::unknown_tap);
        CHECK(d.got.channels == tap);
        CHECK(d.expected.channels == 2);
    }
    for (int const classes : {1, 0, -7}) {
        diagnosis const d = what({.classes = classes});
        CHECK(d.what == fault::wrong_classes);
        CHECK(d.got.channels == classes);
        CHECK(d.expected.channels == 2);
    }
    CHECK(diagnosis_of(classifier(encoder, {.tap = 1, .classes = 3}), {8, 8, 1}).what == fault::unknown_tap);
    CHECK(diagnosis_of(classifier(encoder, {.tap = 0, .classes = 3}), {8, 8, 1}).what == fault::none);
    CHECK(diagnosis_of(classifier(encoder, {.classes = 3}), {8, 8, 1}).what == fault::none);
}

TEST_CASE("names and paths", "[fault]") {
    check(named("trunk", [](value x) { return named("a", conv{.filters = 1})(named("a", conv{.filters = 1})(x)); }),
          {4, 4, 1}, {fault::duplicate_name, op_kind::input, "trunk.a", {}, {}, "duplicate_name: trunk.a"});
    check(named("a.b", conv{.filters = 1}), {4, 4, 1},
          {fault::malformed_name, op_kind::input, "a.b", {}, {}, "malformed_name: a.b"});
    check(named("trunk", named("", conv{.filters = 1})), {4, 4, 1},
          {fault::malformed_name, op_kind::input, "trunk", {}, {}, "malformed_name: trunk"});
    auto const nested = [](int levels) {
        return [levels](value x) {
            std::vector<std::unique_ptr<scope>> open;
            for (int i = 0; i < levels; ++i) open.push_back(std::make_unique<scope>(x, "level_of_24_characters__"));
            return conv{.filters = 1}(x);
        };
    };
    CHECK(diagnosis_of(nested(3), {4, 4, 1}).what == fault::none);
    CHECK(diagnosis_of(nested(4), {4, 4, 1}).what == fault::path_too_long);
    auto const deep = [](int levels) {
        return [levels](value x) {
            std::vector<std::unique_ptr<scope>> open;
            for (int i = 0; i < levels; ++i) open.push_back(std::make_unique<scope>(x, "a"));
            return conv{.filters = 1}(x);
        };
    };
    CHECK(diagnosis_of(deep(23), {4, 4, 1}).what == fault::none);
    CHECK(diagnosis_of(deep(24), {4, 4, 1}).what == fault::path_too_long);
}

TEST_CASE("more outputs than a network may have", "[fault]") {
    auto const network = [](value x) {
        return outputs(output{"a", x}, output{"b", x}, output{"c", x}, output{"d", x}, output{"e", x}, output{"f", x},
                       output{"g", x}, output{"h", x}, output{"i", x});
    };
    check(network, {2, 2, 1},
          {fault::too_many_outputs, op_kind::input, "", {1, 1, 9}, {1, 1, 8}, "too_many_outputs at input: expected 8, found 9"});
}

TEST_CASE("the first fault is kept, and the trace goes on", "[fault]") {
    auto const network = [](value x) {
        value const y = x + conv{.filters = 9}(x);
        return dense{.units = 0}(y);
    };
    diagnosis const d = diagnosis_of(network, {4, 4, 2});
    CHECK(d.what == fault::operands_differ);
    CHECK((d.got == shape{4, 4, 9}));
}
