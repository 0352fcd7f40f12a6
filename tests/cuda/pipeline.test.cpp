// SPDX-License-Identifier: Apache-2.0
// The three stages of SimCLRv2 as the demo calls them, on the emulated GPU and on the CPU.

#include "../pipeline/tiny.hpp"
#include "lab.hpp"

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
