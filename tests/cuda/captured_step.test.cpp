// SPDX-License-Identifier: Apache-2.0
// A training step as one graph: the bits of steps that are not captured, nothing for the host to wait for, and what happens
// where a step cannot be captured.

#include <functional>
#include <optional>

#include "../refusal.hpp"
#include "steps.hpp"

using namespace tempera;

namespace {

/// Random masks of both kinds, batch norm, products, and vectors in float32.
constexpr auto network = [](value x) {
    x = relu(batch_norm{}(conv{.filters = 6}(x)));
    x = drop_block{.keep = 0.8F, .size = 3}(x);
    x = selective_kernel{.filters = 6, .stride = 2}(x);
    x = dropout{.rate = 0.25F}(global_average_pool(x));
    return outputs(output{"logits", dense{.units = 4}(x)}, output{"embedding", dense{.units = 5}(x)});
};
constexpr shape input{6, 6, 2};
constexpr int batch = 6;
constexpr int steps = 13;

float rate(int step) { return 0.1F / static_cast<float>(1 + step); }
/// The last batch of an epoch of three is smaller.
int rows_of(int step) { return step % 3 == 2 ? batch - 2 : batch; }

/// The images, labels and teacher's logits of a step, on the device, in one of two places.
struct batches {
    explicit batches(gpu& on) : device(&on) {
        for (int k = 0; k < 2; ++k) {
            images[k] = buffer<float>(on, batch * input.size());
            labels[k] = buffer<std::int32_t>(on, batch);
            teacher[k] = buffer<float>(on, std::int64_t{4} * batch);
        }
    }
    view<float const> bring(int step) {
        int const k = step % 2;
        auto const pixels = lab::random_values<float>(batch * input.size(), static_cast<std::uint32_t>(step));
        auto const logits = lab::random_values<float>(4 * batch, static_cast<std::uint32_t>(100 + step));
        std::vector<std::int32_t> classes;
        for (int i = 0; i < batch; ++i) classes.push_back((i + step) % 5 - 1);
        device->upload(view<float const>{pixels.data(), {batch, 6, 6, 2}}, images[k]);
        device->upload(view<float const>{logits.data(), {batch, 1, 1, 4}}, teacher[k]);
        device->upload(view<std::int32_t const>{classes.data(), {batch}}, labels[k]);
        int const rows = rows_of(step);
        target = {.labels = {labels[k].data(), {rows}}, .teacher_logits = {teacher[k].data(), {rows, 1, 1, 4}}};
        return {images[k].data(), {rows, 6, 6, 2}};
    }

    gpu* device;
    buffer<float> images[2], teacher[2];
    buffer<std::int32_t> labels[2];
    targets target{};
};

struct trained {
    std::vector<loss_value> values;
    std::vector<float> parameters, statistics;
    std::string refusal;
    int graphs = 0;
    scale_numbers scaling{};
};

/// Captured: by captured_step, with the value of every step. Not captured: by its four parts.
template <precision P>
trained train(bool captured, auto const& loss, auto const& optimizer,
              std::function<void(gpu&, int)> const& between = {}, std::optional<loss_scaling> const& scaling = {}) {
    gpu device{.index = 0};
    dynamic_model<gpu, P> m(device, network, input,
                            {.max_batch = batch, .seed = 5, .loss_outputs = {"logits", "embedding"}});
    optimizer_state state(m, optimizer);
    captured_step step(m, loss, state, scaling);
    batches data(device);
    trained out;
    for (int k = 0; k < steps; ++k) {
        auto const x = data.bring(k);
        if (captured) {
            step(x, data.target, rate(k));
            out.values.push_back(step.take());
        } else {
            auto const outputs = m.forward(x);
            out.values.push_back(loss(device, outputs, data.target, m.output_gradients()));
            m.backward(m.output_gradients());
            state.update(rate(k));
        }
        if (between) between(device, k);
    }
    out.parameters = m.host_parameters();
    out.statistics = m.host_statistics();
    out.refusal = step.refusal();
    out.graphs = step.graphs();
    out.scaling = step.scaling();
    return out;
}

void same(trained const& found, trained const& expected) {
    CHECK(found.parameters == expected.parameters);
    CHECK(found.statistics == expected.statistics);
    for (std::size_t k = 0; k < steps; ++k) {
        CAPTURE(k);
        // a weight times a mean is rounded once more on one of the two sides
        CHECK(std::abs(found.values[k].loss - expected.values[k].loss) <= 2e-7F * std::abs(expected.values[k].loss));
        CHECK(found.values[k].accuracy == expected.values[k].accuracy);
        CHECK(found.values[k].entropy == expected.values[k].entropy);
    }
}

auto const both = 0.7F * cross_entropy{.label_smoothing = 0.1F, .output = "logits"} +
                  nt_xent{.temperature = 0.5F, .output = "embedding"};

/// Tells the host more than tempera's loss does.
struct doubled_on_the_host {
    cross_entropy inner{.output = "logits"};
    loss_value operator()(gpu& device, output_views const& o, targets const& t, gradient_views const& g) const {
        loss_value v = inner(device, o, t, g);
        v.loss *= 2;
        return v;
    }
};
/// Waits for the device.
struct impatient {
    cross_entropy inner{.output = "logits"};
    loss_value operator()(gpu& device, output_views const& o, targets const& t, gradient_views const& g) const {
        loss_value const v = inner(device, o, t, g);
        device.synchronize();
        return v;
    }
};

}  // namespace

TEST_CASE("gpu captured step: the bits of the step that is not captured", "[steps]") {
    SECTION("LARS, two losses, float32") {
        auto const found = train<precision::float32>(true, both, lars{.eta = 0.1F});
        CHECK(found.refusal.empty());
        CHECK(found.graphs >= 1);
        same(found, train<precision::float32>(false, both, lars{.eta = 0.1F}));
    }
    SECTION("Adam, distillation with labels, bfloat16") {
        distillation const loss{.temperature = 2.0F, .alpha = 0.6F, .output = "logits"};
        auto const found = train<precision::bfloat16>(true, loss, adam{});
        CHECK(found.refusal.empty());
        same(found, train<precision::bfloat16>(false, loss, adam{}));
    }
    SECTION("SGD, a weighted loss, float16") {
        auto const loss = 0.5F * cross_entropy{.output = "logits"};
        auto const found = train<precision::float16>(true, loss, sgd{.weight_decay = 1e-3F});
        CHECK(found.refusal.empty());
        same(found, train<precision::float16>(false, loss, sgd{.weight_decay = 1e-3F}));
    }
}

TEST_CASE("gpu captured step: one launch, no allocation and nothing to wait for", "[steps][emulated]") {
    gpu device{.index = 0};
    dynamic_model<gpu> m(device, network, input, {.max_batch = batch, .loss_outputs = {"logits", "embedding"}});
    optimizer_state state(m, lars{});
    captured_step step(m, both, state);
    batches data(device);
    auto const x = data.bring(0);
    for (int k = 0; k < 2; ++k) step(x, data.target, 0.1F);
    REQUIRE(step.graphs() == 1);
    auto const before = emulation::counts();
    for (int k = 0; k < 5; ++k) step(x, data.target, 0.1F);
    auto const after = emulation::counts();
    CHECK(after.graph_launches == before.graph_launches + 5);
    CHECK(after.launches == before.launches + 5);  // the numbers of the step
    CHECK(after.products == before.products);
    CHECK(after.allocations == before.allocations);
    CHECK(after.synchronizations == before.synchronizations);
    CHECK(after.event_waits == before.event_waits);

    std::vector<double> losses;
    losses.push_back(static_cast<double>(step.take().loss));  // the mean of seven
    CHECK(emulation::counts().synchronizations == before.synchronizations + 1);
    CHECK(losses[0] > 0);
    CHECK(step.take().loss == 0);
}

TEST_CASE("gpu captured step: the mean over several steps is that of their values", "[steps]") {
    gpu device{.index = 0};
    double sum = 0;
    for (loss_value const& v : train<precision::float32>(false, both, sgd{}).values) sum += static_cast<double>(v.loss);
    dynamic_model<gpu> m(device, network, input,
                         {.max_batch = batch, .seed = 5, .loss_outputs = {"logits", "embedding"}});
    optimizer_state state(m, sgd{});
    captured_step step(m, both, state);
    batches data(device);
    for (int k = 0; k < steps; ++k) {
        auto const x = data.bring(k);
        step(x, data.target, rate(k));
    }
    CHECK_THAT(static_cast<double>(step.take().loss), Catch::Matchers::WithinRel(sum / steps, 1e-6));
}

TEST_CASE("gpu captured step: a loss or a machine that cannot be captured is run as it is, and says so",
          "[steps][emulated]") {
    auto const check = [](auto const& loss, char const* why) {
        auto const found = train<precision::float32>(true, loss, sgd{});
        CHECK(found.refusal.find(why) != std::string::npos);
        CHECK(found.graphs == 0);
        same(found, train<precision::float32>(false, loss, sgd{}));
    };
    SECTION("a value that is made on the host") { check(doubled_on_the_host{}, "not the weighted sum"); }
    SECTION("a loss that waits") { check(impatient{}, "cudaErrorStreamCaptureUnsupported"); }
    SECTION("a machine that refuses") {
        emulation::machine m;
        m.refuse_capture = true;
        emulation::with const machine(m);
        check(both, "cudaErrorStreamCaptureUnsupported");
    }
}

TEST_CASE("gpu captured step: memory that moves and other optimizers between steps do no harm", "[steps]") {
    auto const between = [](gpu& device, int k) {
        if (k != steps - 3) return;  // graphs of both places follow
        static_cast<void>(device.context.scratch(std::size_t{64} << 20));
        buffer<float> w(device, 8);
        buffer<float> slot(device, 8);
        fill(device, 8, 1.0F, w.data());
        fill(device, 8, 0.0F, slot.data());
        update_range const range[] = {{.offset = 0, .count = 8}};
        apply_sgd(device, {.learning_rate = 0.5F}, range, w.data(), w.data(), slot.data());
    };
    auto const found = train<precision::float32>(true, both, lars{.eta = 0.1F}, between);
    CHECK(found.refusal.empty());
    same(found, train<precision::float32>(false, both, lars{.eta = 0.1F}));
}

TEST_CASE("gpu captured step: a label that no class has is reported when the loss is asked for", "[steps]") {
    gpu device{.index = 0};
    dynamic_model<gpu> m(device, network, input, {.max_batch = batch, .loss_outputs = {"logits", "embedding"}});
    optimizer_state state(m, sgd{});
    captured_step step(m, cross_entropy{.output = "logits"}, state);
    batches data(device);
    auto const x = data.bring(0);
    for (int k = 0; k < 2; ++k) step(x, data.target, 0.1F);
    std::vector<std::int32_t> const wrong{0, 1, 4, 2, -2, 3};
    device.upload(view<std::int32_t const>{wrong.data(), {batch}}, data.labels[0]);
    step(x, data.target, 0.1F);
    CHECK(says(refusal([&] { step.take(); }), {"labels from -1 (none)", "others in 2 rows"}));
}

TEST_CASE("gpu loss scale: a power of two changes no bit of a float32 step, and grows", "[steps]") {
    auto const scaled =
        train<precision::float32>(true, both, lars{.eta = 0.1F}, {}, loss_scaling{.initial = 64, .growth_interval = 5});
    CHECK(scaled.scaling.scale == 256);  // thirteen good steps
    CHECK(scaled.scaling.good_steps == 3);
    CHECK(scaled.scaling.skipped == 0);
    CHECK(scaled.refusal.empty());
    same(scaled, train<precision::float32>(false, both, lars{.eta = 0.1F}));
}

TEST_CASE("gpu loss scale: float16 keeps gradients that would vanish", "[steps]") {
    // a faint loss: most gradients lie below float16's smallest number
    auto const moved = [](auto precision, std::optional<loss_scaling> const& scaling) {
        gpu device{.index = 0};
        dynamic_model<gpu, precision()> m(device, network, input, {.max_batch = batch, .seed = 5});
        optimizer_state state(m, sgd{});
        captured_step step(m, 1e-8F * nt_xent{.temperature = 0.5F}, state, scaling);
        batches data(device);
        step(data.bring(0), {}, 0.1F);
        auto gradients = lab::host_gradients(device, m);
        gradients.resize(
            static_cast<std::size_t>(m.manifest()[0].count));  // of the first convolution: all came through maps
        return gradients;
    };
    constexpr std::integral_constant<precision, precision::float32> float32;
    constexpr std::integral_constant<precision, precision::float16> float16;
    auto const exact = moved(float32, {});
    auto scaled = moved(float16, loss_scaling{.initial = 65536});
    for (float& g : scaled) g /= 65536;
    CHECK(lab::distance(scaled, exact) < 0.02);
    CHECK(lab::distance(moved(float16, {}), exact) > 0.5);
}

TEST_CASE("gpu loss scale: a step whose gradients overflow is skipped and the scale halved, on the device", "[steps]") {
    gpu device{.index = 0};
    dynamic_model<gpu, precision::float16> m(device, network, input, {.max_batch = batch, .seed = 5});
    optimizer_state state(m, lars{.eta = 0.1F});
    captured_step step(m, 1000.0F * nt_xent{.temperature = 0.5F}, state,
                       loss_scaling{.initial = 0x1p24F, .growth_interval = 1000});
    batches data(device);
    auto const x = data.bring(0);
    auto const start = m.host_parameters();
    step(x, {}, 0.1F);
    step(x, {}, 0.1F);
    CHECK(step.graphs() == 1);
    CHECK(step.scaling().skipped == 2);
    CHECK(step.scaling().scale == 0x1p22F);
    CHECK(m.host_parameters() == start);
    for (int k = 0; k < 30 && step.scaling().good_steps < 2; ++k) step(x, {}, 0.1F);
    scale_numbers const found = step.scaling();
    CHECK(found.good_steps == 2);
    CHECK(found.scale == std::ldexp(1.0F, 24 - found.skipped));
    auto const end = m.host_parameters();
    CHECK(end != start);
    CHECK(std::all_of(end.begin(), end.end(), [](float w) { return std::isfinite(w); }));
}

TEST_CASE("gpu loss scale: refuses what is no power of two", "[steps]") {
    gpu device{.index = 0};
    CHECK(says(refusal([&] { loss_scale(device, {.initial = 1000}); }),
               {"a power of two from 1 to 16777216, found 1000"}));
    CHECK(says(refusal([&] { loss_scale(device, {.initial = 0x1p25F}); }), {"a power of two"}));
    CHECK(says(refusal([&] { loss_scale(device, {.growth_interval = 0}); }), {"at least 1 step"}));
}

TEST_CASE("gpu double buffer: a copy is neither early nor late, whichever stream lags", "[steps]") {
    bool const slow_work = GENERATE(true, false);
    bool const slow_copies = GENERATE(true, false);
    emulation::defer_new_streams(slow_work);
    gpu device{.index = 0};
    emulation::defer_new_streams(slow_copies);
    double_buffer<float> feed(device);
    emulation::defer_new_streams(false);
    constexpr int count = 5;
    constexpr int rounds = 7;
    buffer<float> seen(device, rounds * count);
    long allocations = 0;
    for (int k = 0; k < rounds; ++k) {
        std::vector<float> host(count, static_cast<float>(k));
        auto const before = emulation::counts();
        auto const there = feed({host.data(), {count}});
        CHECK(emulation::counts().synchronizations == before.synchronizations);
        if (k >= 2) allocations += emulation::counts().allocations - before.allocations;
        host.assign(count, -1.0F);  // the host's array may be reused at once
        copy(device, count, there.data, seen.data() + std::int64_t{k} * count, store::write);
    }
    CHECK(allocations == 0);
    auto const all = lab::from_device(device, seen);
    for (int k = 0; k < rounds; ++k)
        for (int i = 0; i < count; ++i) CHECK(all[static_cast<std::size_t>(k * count + i)] == static_cast<float>(k));
}

namespace {
/// The identity, copied by the runtime in the stream that the op is given.
struct copied_in_stream {
    static constexpr device_set devices = on_gpu;
    constexpr shape infer(input_shapes in, declaration&) const { return in[0]; }
    static void forward(op_call& c) { copy(c.output<float>(), c.input<float>(), c.context); }
    static void backward(op_call& c) { copy(c.input_gradient<float>(), c.output_gradient<float>(), c.context); }

    static void copy(view<float> to, view<float const> from, void* stream) {
        cuda_kernels::check(cudaMemcpyAsync(to.data, from.data, static_cast<std::size_t>(from.size()) * sizeof(float),
                                            cudaMemcpyDeviceToDevice, static_cast<cudaStream_t>(stream)),
                            "cudaMemcpyAsync");
    }
};
}  // namespace

TEST_CASE("gpu steps: a custom op works in the stream it is given, captured too", "[steps]") {
    gpu device;
    auto const trained = [&](auto const& middle) {
        auto const network = [&](value x) {
            return dense{.units = 4}(global_average_pool(middle(conv{.filters = 8}(x))));
        };
        dynamic_model<gpu> m(device, network, {6, 6, 3}, {.max_batch = 5});
        optimizer_state state(m, sgd{});
        captured_step step(m, cross_entropy{}, state);
        buffer<float> const images = lab::on_device(device, lab::random_values<float>(5 * 6 * 6 * 3, 1));
        buffer<std::int32_t> const labels = lab::on_device(device, std::vector<std::int32_t>{0, 3, 1, 2, 3});
        for (int i = 0; i < 4; ++i)
            step({images.data(), {5, 6, 6, 3}}, {.labels = {labels.data(), {5, 1, 1, 1}}}, 0.1F);
        step.take();
        CHECK(step.graphs() == 1);
        return m.host_parameters();
    };
    CHECK(trained([](value x) { return x.apply(copied_in_stream{}); }) == trained([](value x) { return x; }));
}
