// SPDX-License-Identifier: Apache-2.0
// The three stages of SimCLRv2 as the demo calls them, on the emulated GPU and on the CPU: what they compute, how often the
// host waits, and what stops them.

#include <functional>
#include <limits>
#include <string>

#include "../pipeline/tiny.hpp"
#include "../refusal.hpp"
#include "../scratch_folder.hpp"
#include "steps.hpp"

using namespace tempera;

namespace {

struct staged {
    std::vector<double> losses;  ///< of every epoch of every stage
    double probe = 0, linear = 0, tuned = 0, student = 0;
    std::vector<float> parameters;  ///< of the student
};

template <class Device>
staged run(Device& device) {
    image_set const images = tiny::images(40);
    image_set const held = tiny::images(20, 2);
    train_options const options{
        .epochs = 2, .batch = 10, .learning_rate = 0.05F, .augment = crop_and_flip{.area_min = 0.5F}};
    staged out;
    auto const keep = [&](training_history const& h) {
        for (auto const& p : h.points) out.losses.push_back(static_cast<double>(p.training.loss));
    };
    dynamic_model<Device> encoder(device, tiny::contrastive, tiny::image, {.max_batch = 20});
    auto const pretrained = pretrain(encoder, images, nt_xent{.temperature = 0.5F}, lars{.eta = 0.01F}, options);
    keep(pretrained);
    out.probe = static_cast<double>(pretrained.last().probe_accuracy);

    auto linear = linear_evaluation(encoder, images, sgd{}, options);
    keep(linear.history);
    out.linear = linear.probe->evaluate(encoder, held).top1;

    dynamic_model<Device> teacher(device, tiny::tuned, tiny::image, {.max_batch = 20});
    keep(fine_tune(teacher, encoder, images, sgd{}, options));
    out.tuned = evaluate(teacher, held).top1;

    dynamic_model<Device> student(device, tiny::student, tiny::image, {.max_batch = 20});
    keep(distill(student, teacher, images, distillation{.alpha = 0.5F}, sgd{}, options));
    out.student = evaluate(student, held).top1;
    out.parameters = student.host_parameters();
    return out;
}

using tiny_model = dynamic_model<gpu>;

/// How often the host waits in an epoch of a stage whose steps are captured.
long waits_of(std::function<void(train_options const&)> const& stage) {
    auto const waits = [&](int epochs) {
        auto const before = emulation::counts().synchronizations;
        stage({.epochs = epochs, .batch = 10, .augment = {.flip = 0.5F}});
        return emulation::counts().synchronizations - before;
    };
    long const three = waits(3);
    long const more = waits(7) - three;
    CHECK(more % 4 == 0);
    return more / 4;
}

void poison(tiny_model& m) {
    m.write_parameters(
        std::vector<float>(static_cast<std::size_t>(m.plan().parameters), std::numeric_limits<float>::quiet_NaN())
            .data());
}

/// How the first convolution's weights move in an epoch in which most gradients lie below float16's smallest number.
template <precision P>
std::vector<float> faintly_trained() {
    gpu device{.index = 0};
    dynamic_model<gpu, P> m(device, tiny::student, tiny::image, {.max_batch = 10});
    train_supervised(m, tiny::images(20), sgd{.momentum = 0, .weight_decay = 0},
                     {.epochs = 1, .batch = 10, .learning_rate = 1e5F, .augment = crop_and_flip{.area_min = 0.5F}},
                     1e-6F * cross_entropy{});
    auto moved = m.host_parameters();
    m.reset(1);
    auto const start = m.host_parameters();
    moved.resize(static_cast<std::size_t>(m.manifest()[0].count));
    for (std::size_t i = 0; i < moved.size(); ++i) moved[i] -= start[i];
    return moved;
}

}  // namespace

TEST_CASE("gpu pipeline: pretraining, linear evaluation, fine-tuning and distillation, as on the CPU", "[steps]") {
    cpu host{.threads = 2, .winograd = false};
    gpu device{.index = 0};
    staged const expected = run(host);
    staged const found = run(device);
    REQUIRE(found.losses.size() == 8);
    // rounding, enlarged by eight updates of each stage
    for (std::size_t i = 0; i < 8; ++i) CHECK_THAT(found.losses[i], Catch::Matchers::WithinRel(expected.losses[i], 1e-3));
    CHECK(lab::difference(found.parameters, lab::exact(expected.parameters)) < 5e-3);
    constexpr double an_image = 1.0 / 20;
    CHECK(std::abs(found.probe - expected.probe) <= an_image);
    CHECK(std::abs(found.linear - expected.linear) <= an_image);
    CHECK(std::abs(found.tuned - expected.tuned) <= an_image);
    CHECK(std::abs(found.student - expected.student) <= an_image);
}

TEST_CASE("gpu pipeline: captured stages have the bits of stages that are not captured", "[steps][emulated]") {
    emulation::defer_new_streams(GENERATE(false, true));  // a device that lags behind the host
    gpu device{.index = 0};
    staged const found = run(device);
    emulation::defer_new_streams(false);
    emulation::machine m;
    m.refuse_capture = true;
    emulation::with const machine(m);
    staged const expected = run(device);
    CHECK(found.parameters == expected.parameters);
    REQUIRE(found.losses.size() == expected.losses.size());
    for (std::size_t i = 0; i < found.losses.size(); ++i)
        CHECK_THAT(found.losses[i], Catch::Matchers::WithinRel(expected.losses[i], 1e-6));
    CHECK(found.probe == expected.probe);
    CHECK(found.linear == expected.linear);
    CHECK(found.tuned == expected.tuned);
    CHECK(found.student == expected.student);
}

TEST_CASE("gpu pipeline: the host waits once an epoch, and once for the probe", "[steps][emulated]") {
    gpu device{.index = 0};
    image_set const images = tiny::images(40);
    tiny_model encoder(device, tiny::contrastive, tiny::image, {.max_batch = 20});
    tiny_model teacher(device, tiny::tuned, tiny::image, {.max_batch = 20});
    tiny_model student(device, tiny::student, tiny::image, {.max_batch = 20});
    CHECK(waits_of([&](train_options const& o) { pretrain(encoder, images, nt_xent{}, sgd{}, o); }) == 2);
    CHECK(waits_of([&](train_options const& o) { pretrain(encoder, unlabeled(images), nt_xent{}, sgd{}, o); }) == 1);
    CHECK(waits_of([&](train_options const& o) { linear_evaluation(encoder, images, sgd{}, o); }) == 1);
    CHECK(waits_of([&](train_options const& o) { train_supervised(teacher, images, sgd{}, o); }) == 1);
    CHECK(waits_of([&](train_options const& o) { distill(student, teacher, images, distillation{}, sgd{}, o); }) == 1);
}

TEST_CASE("gpu pipeline: the probe's accuracy is that of the labeled rows, however many a batch has",
          "[steps][emulated]") {
    image_set const images = tiny::images(40);
    std::vector<std::int32_t> some(images.labels().begin(), images.labels().end());
    for (std::size_t i = 0; i < some.size(); ++i)
        if (i % 5 < 3) some[i] = no_label;
    auto const accuracies = [&](auto& device) {
        dynamic_model<std::remove_reference_t<decltype(device)>> m(device, tiny::contrastive, tiny::image,
                                                                   {.max_batch = 20});
        std::vector<float> out;
        auto const history = pretrain(m, images.with_labels(some), nt_xent{}, sgd{},
                                      {.epochs = 4, .batch = 10, .learning_rate = 0, .augment = crop_and_flip{}});
        for (history_point const& p : history.points) out.push_back(p.probe_accuracy);
        return out;
    };
    cpu host{.threads = 1};
    gpu device{.index = 0};
    CHECK(accuracies(device) == accuracies(host));
}

TEST_CASE("gpu pipeline: a loss that is no number stops a stage, and the last checkpoint stays", "[steps]") {
    scratch_folder const folder;
    std::string const path = folder / "student";
    gpu device{.index = 0};
    tiny_model teacher(device, tiny::tuned, tiny::image, {.max_batch = 10});
    tiny_model student(device, tiny::student, tiny::image, {.max_batch = 10});
    std::vector<float> saved;
    train_options o{.epochs = 4, .batch = 10, .checkpoint = path};
    o.progress = [&](progress_event const& e) {
        if (e.step != 8) return;
        saved = student.host_parameters();
        poison(teacher);
    };
    std::string const text = refusal([&] { distill(student, teacher, tiny::images(40), distillation{}, sgd{}, o); });
    INFO(text);
    CHECK(says(text, {"distill, step ", "expected a finite loss, found ", "nan", "it came with",
                      "lower the learning rate, the last epoch is kept in " + path}));
    tiny_model kept(device, tiny::student, tiny::image, {.max_batch = 1, .seed = 2});
    kept.load(path);
    CHECK(kept.host_parameters() == saved);
}

TEST_CASE("gpu pipeline: a long epoch is not finished where the loss is no number", "[steps]") {
    gpu device{.index = 0};
    tiny_model teacher(device, tiny::tuned, tiny::image, {.max_batch = 2});
    tiny_model student(device, tiny::student, tiny::image, {.max_batch = 2});
    poison(teacher);
    CHECK(says(
        refusal([&] { distill(student, teacher, tiny::images(200), distillation{}, sgd{}, {.batch = 2}); }),
        {"distill, step 63: expected a finite loss", "it came within the last 64 steps; lower the learning rate"}));
}

TEST_CASE("gpu pipeline: float16 stages scale their loss", "[steps]") {
    CHECK(lab::distance(faintly_trained<precision::float16>(), faintly_trained<precision::float32>()) < 0.05);
}
