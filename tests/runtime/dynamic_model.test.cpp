// SPDX-License-Identifier: Apache-2.0
// A dynamic_model is the model of the same network, bit for bit; and what a compiler refuses it refuses in the same words.
#include <filesystem>
#include <fstream>

#include <tempera/cpu.hpp>
#include <tempera/loss/cross_entropy.hpp>
#include <tempera/nn.hpp>
#include <tempera/optim/sgd.hpp>
#include <tempera/pipeline/optimizer_state.hpp>
#include <tempera/runtime.hpp>

#include "../bits.hpp"
#include "../catch.hpp"
#include "../refusal.hpp"

using namespace tempera;

namespace {

constexpr shape image{7, 8, 3};
inline constexpr auto encoder =
    resnet<resnet_config{.depth = 10, .base_filters = 4, .stages = 2, .selective_kernel = true}>;
inline constexpr auto head = projection_head<projection_config{.layers = 2, .out = 5}>;
inline constexpr auto tuned = classifier(encoder, head, classifier_config{.tap = 1, .classes = 4});

/// Everything that a step of training can be seen by.
template <precision P>
std::vector<std::vector<std::uint32_t>> trained(basic_model<cpu, P>& m) {
    std::vector<float> x(static_cast<std::size_t>(3 * image.size()));
    philox_stream random(4);
    for (float& v : x) v = random.uniform();
    view<float const> const batch{x.data(), {3, image.height, image.width, image.channels}};
    std::vector<std::int32_t> const labels{3, 0, 2};
    optimizer_state<cpu, P, sgd> optimizer(m, sgd{});
    std::vector<std::vector<std::uint32_t>> seen{state_of(m)};
    for (int step = 0; step < 2; ++step) {
        auto const outputs = m.forward(batch);
        cross_entropy{}(m.device(), outputs, targets{.labels = {labels.data(), {3}}}, m.output_gradients());
        for (auto const& [name, y] : outputs) seen.push_back(bits_of(y));
        m.backward(m.output_gradients());
        seen.push_back(bits_of(view<float const>{m.gradients().data(), {static_cast<int>(m.plan().parameters)}}));
        optimizer.update(0.1F);
        seen.push_back(state_of(m));
    }
    for (auto const& [name, y] : m.predict(batch)) seen.push_back(bits_of(y));
    CHECK(seen.front() != seen.back());
    return seen;
}

template <precision P>
void same_bits() {
    cpu device{.threads = 1};
    model_options const options{.max_batch = 3, .seed = 6};
    model<tuned, image, cpu, P> proved(device, options);
    dynamic_model<cpu, P> traced(device, tuned, image, options);
    REQUIRE(proved.manifest().size() == traced.manifest().size());
    for (std::size_t i = 0; i < proved.manifest().size(); ++i) {
        auto const &a = proved.manifest()[i], &b = traced.manifest()[i];
        CHECK(a.name == b.name);
        CHECK((a.dims == b.dims && a.role == b.role && a.offset == b.offset && a.count == b.count));
    }
    CHECK(proved.allocated_bytes() == traced.allocated_bytes());
    CHECK(trained(proved) == trained(traced));
}

/// What the compiler must say of a source in tests/compile_fail: fault, op, shapes, and the path in one piece.
std::vector<std::string> expected_words(std::string const& source) {
    std::ifstream in(std::filesystem::path(TEMPERA_TEST_FIXTURES) / "../compile_fail" / source);
    std::vector<std::string> words;
    std::string const mark = "// expect: ";
    for (std::string line; std::getline(in, line);) {
        if (line.rfind(mark, 0) != 0) continue;
        std::string word = line.substr(mark.size());
        if (word.front() == '\'')  // 'p', 'a', 't', 'h'
            std::erase_if(word, [](char c) { return c == '\'' || c == ',' || c == ' '; });
        if (word != "this network is not well formed") words.push_back(word);
    }
    return words;
}

template <class Network>
void refuses(std::string const& source, shape sample, Network const& network) {
    cpu device{.threads = 1};
    std::string const text = refusal([&] { dynamic_model<cpu> m(device, network, sample); });
    INFO(source << ": " << text);
    CHECK(text.rfind("network: ", 0) == 0);
    auto const words = expected_words(source);
    CHECK_FALSE(words.empty());
    bool const shapes = text.find('{') != std::string::npos;
    for (std::string word : words) {
        std::string const vector = "{1, 1, ";  // a number that is no shape stands in its place of one
        if (!shapes && word.rfind(vector, 0) == 0) word = word.substr(vector.size(), word.size() - vector.size() - 1);
        INFO(word);
        CHECK(text.find(word) != std::string::npos);
    }
}

struct remote {
    static constexpr device_set devices = on_gpu;
    constexpr shape infer(input_shapes in, declaration&) const { return in[0]; }
    static void forward(op_call&) {}
    static void backward(op_call&) {}
};

}  // namespace

TEST_CASE("a dynamic_model has the bits of the model of the same network", "[dynamic_model]") {
    SECTION("float32") { same_bits<precision::float32>(); }
    SECTION("bfloat16") { same_bits<precision::bfloat16>(); }
}

TEST_CASE("a dynamic_model may be owned as what the stages take", "[dynamic_model]") {
    cpu device{.threads = 1};
    std::unique_ptr<basic_model<cpu>> m = std::make_unique<dynamic_model<cpu>>(
        device, [](value x) { return relu(x); }, shape{2, 2, 1});
    CHECK(m->plan().ops.size() == 2);
    static_assert(std::has_virtual_destructor_v<basic_model<cpu>> && std::is_move_constructible_v<basic_model<cpu>>);
}

TEST_CASE("a dynamic_model refuses what the compiler refuses, in its words", "[dynamic_model]") {
    refuses("dense_on_a_map.cpp", {8, 8, 3}, [](value x) { return dense{.units = 10}(x); });
    refuses("duplicate_name.cpp", {8, 8, 3}, named("trunk", [](value x) {
                x = named("twin", conv{.filters = 8})(x);
                return named("twin", conv{.filters = 8})(x);
            }));
    refuses("kernel_larger_than_input.cpp", {3, 3, 4}, conv{.filters = 8, .kernel = 9});
    refuses("mismatched_residual.cpp", {16, 16, 3}, [](value x) {
        scope const level(x, "stage", 2);
        value const y = conv{.filters = 32}(x);
        return y + conv{.filters = 32, .stride = 2}(y);
    });
    refuses("unknown_tap.cpp", image,
            classifier(encoder, projection_network{{.layers = 3}}, {.tap = 4, .classes = 10}));
    refuses("wrong_classes.cpp", image, classifier(encoder, {.classes = 1}));
}

TEST_CASE("a dynamic_model refuses custom ops of other devices, and options that its network lacks",
          "[dynamic_model]") {
    cpu device{.threads = 1};
    auto const refused = [&](auto const& network, model_options const& options) {
        return refusal([&] { dynamic_model<cpu> m(device, network, image, options); });
    };
    CHECK(says(refused([](value x) { return x.apply(remote{}); }, {}),
               {"dynamic_model, custom", "a custom op that runs on this device", "`devices`"}));
    CHECK(says(refused(tuned, {.frozen = frozen("encoder.stage3")}),
               {"model_options.frozen: expected a part of the network that has tensors", "found \"encoder.stage3\"",
                "summary"}));
    CHECK(says(refused(tuned, {.frozen = {frozen("encoder"), frozen("enc")}}), {"model_options.frozen", "\"enc\""}));
    CHECK(says(refused(tuned, {.loss_outputs = "head"}),
               {"model_options.loss_outputs: expected outputs among encoder, classifier", "found \"head\"",
                "name an output"}));
    CHECK(says(refused(tuned, {.max_batch = 0}),
               {"model_options: expected max_batch of at least 1", "found 0", ".max_batch"}));
}
