// SPDX-License-Identifier: Apache-2.0
// What stops a stage, and the sentence that says so: losses that are no number, sets, labels, batches and networks that
// do not fit. What was saved before stays.
#include <filesystem>
#include <functional>
#include <limits>
#include <unistd.h>

#include "../catch.hpp"
#include "../refusal.hpp"
#include "../scratch_folder.hpp"
#include "tiny.hpp"

using namespace tempera;
using tiny::image;

namespace {

using tiny_model = dynamic_model<cpu>;

/// Where the kernel of one convolution starts among the parameters.
std::int64_t offset_of(tiny_model const& m, std::string const& op) {
    for (auto const& e : m.manifest())
        if (e.name.text() == op + ".weight") return e.offset;
    FAIL("no " << op);
    return 0;
}

constexpr char const* poisoned_op = "encoder.stage1.block0.conv2";
constexpr float no_number = std::numeric_limits<float>::quiet_NaN();

/// Runs a stage of two steps an epoch with a kernel that is no number from update `at` on, and saves every epoch.
struct poisoned_run {
    template <class Stage>
    poisoned_run(tiny_model& m, std::string const& checkpoint, std::int64_t at, Stage const& stage) {
        std::int64_t const kernel = offset_of(m, poisoned_op);
        train_options o{
            .epochs = 4, .batch = 10, .learning_rate = 0.05F, .augment = {.flip = 0.5F}, .checkpoint = checkpoint};
        o.progress = [&](progress_event const& e) {
            if (e.step % 2 == 0) saved = state_of(m);
            if (e.step == at) m.parameters().data()[kernel] = no_number;
            last = e.step;
            parameters = bits_of(view<float const>{m.parameters().data(), {static_cast<int>(m.plan().parameters)}});
        };
        text = refusal([&] { stage(m, o); });
        untouched =
            parameters == bits_of(view<float const>{m.parameters().data(), {static_cast<int>(m.plan().parameters)}});
    }
    std::string text;
    std::int64_t last = 0;
    std::vector<std::uint32_t> saved, parameters;
    bool untouched = false;
};

struct stage_case {
    std::string name;
    std::function<output_list(value)> network;
    std::function<void(tiny_model&, train_options const&)> run;
};

/// Every stage that changes a network.
std::vector<stage_case> stages(image_set const& set, tiny_model& teacher) {
    return {
        {"pretrain", tiny::contrastive,
         [&](tiny_model& m, train_options const& o) { pretrain(m, set, nt_xent{}, lars{}, o); }},
        {"supervised", tiny::tuned, [&](tiny_model& m, train_options const& o) { train_supervised(m, set, sgd{}, o); }},
        {"fine-tune", tiny::tuned,
         [&](tiny_model& m, train_options const& o) { fine_tune(m, teacher, set, sgd{}, o); }},
        {"distill", tiny::student, [&](tiny_model& m, train_options const& o) {
             distill(m, teacher, set, distillation{.alpha = 0.5F}, sgd{}, o);
         }}};
}

}  // namespace

TEST_CASE("a loss that is no number stops a stage and names the op, and the last checkpoint stays", "[refusals]") {
    scratch_folder const folder;
    cpu device{.threads = 1};
    image_set const set = tiny::images(20);
    tiny_model teacher(device, tiny::tuned, image, {.max_batch = 20});
    for (stage_case const& s : stages(set, teacher)) {
        INFO(s.name);
        std::string const path = folder / s.name;
        tiny_model m(device, s.network, image, {.max_batch = 20});
        poisoned_run const first(m, path, 1, s.run);
        INFO(first.text);
        CHECK(says(first.text, {s.name + ", step 1: expected a finite loss, found ", "nan", "comes from conv at ",
                                poisoned_op, "lower the learning rate"}));
        CHECK_FALSE(says(first.text, {"is kept in"}));
        CHECK(folder.names().empty());
        m.reset(1);
        poisoned_run const second(m, path, 5, s.run);
        INFO(second.text);
        CHECK(says(second.text,
                   {s.name + ", step 5: expected a finite loss", poisoned_op, "the last epoch is kept in " + path}));
        CHECK(second.last == 5);
        CHECK(second.untouched);  // no update from such a loss
        tiny_model kept(device, s.network, image, {.max_batch = 1, .seed = 2});
        kept.load(path);
        CHECK(state_of(kept) == second.saved);
        std::filesystem::remove(path);
    }
}

TEST_CASE("a loss that is no number while the network is sound is looked for elsewhere", "[refusals]") {
    cpu device{.threads = 1};
    image_set const set = tiny::images(20);
    tiny_model teacher(device, tiny::tuned, image, {.max_batch = 20}),
        m(device, tiny::student, image, {.max_batch = 20});
    teacher.parameters().data()[offset_of(teacher, "classifier")] = no_number;
    CHECK(says(refusal([&] { distill(m, teacher, set, distillation{}, sgd{}, {}); }),
               {"distill, step 0: expected a finite loss", "nan",
                "every op of the forward pass is finite: look at the loss"}));
    teacher.parameters().data()[offset_of(teacher, poisoned_op)] = no_number;
    CHECK(says(refusal([&] { linear_evaluation(teacher, set, sgd{}, {}); }),
               {"linear evaluation, step 0: expected a finite loss", "nan", "the encoder before it"}));
}

TEST_CASE("an empty set is refused by every stage", "[refusals]") {
    cpu device{.threads = 1};
    image_set const set = tiny::images(10), none;
    tiny_model teacher(device, tiny::tuned, image, {.max_batch = 20});
    auto const refused = [](auto const& run) {
        return says(refusal(run), {"loader: set: expected at least one image, found none; load the data first"});
    };
    for (stage_case const& s : stages(none, teacher)) {
        INFO(s.name);
        tiny_model m(device, s.network, image, {.max_batch = 20});
        CHECK(refused([&] { s.run(m, {}); }));
    }
    CHECK(refused([&] { linear_evaluation(teacher, none, sgd{}, {}); }));
    CHECK(refused([&] { evaluate(teacher, none); }));
    CHECK(refused([&] { embed(teacher, none, "encoder"); }));
    CHECK(says(refusal([&] { evaluate(teacher, unlabeled(set)); }),
               {"evaluate: expected labeled images, found none; pass a set with labels"}));
    image_set const wide(shape{12, 14, 1}, std::vector<std::uint8_t>(12 * 14), {0}, tiny::classes);
    CHECK(
        says(refusal([&] { evaluate(teacher, wide); }),
             {"images to predict: expected {12, 12, 1}, as the network takes them, found {12, 14, 1}", "center_crop"}));
    image_set const colour(shape{12, 12, 3}, std::vector<std::uint8_t>(12 * 12 * 3), {0}, tiny::classes);
    CHECK(says(refusal([&] { embed(teacher, colour, "encoder"); }), {"found {12, 12, 3}", "as many channels"}));
    CHECK(says(refusal([&] { train_supervised(teacher, colour, sgd{}, {.batch = 1}); }), {"as many channels"}));
}

TEST_CASE("labels beyond a network's classes are refused, and nothing is learned from them", "[refusals]") {
    cpu device{.threads = 1};
    image_set const set = tiny::images(20);
    auto const four = classifier(tiny::encoder, {.classes = 4});
    tiny_model m(device, four, image, {.max_batch = 20}), teacher(device, four, image, {.max_batch = 20, .seed = 2});
    auto const before = m.host_parameters();
    auto const refused = [](std::string_view where, std::string_view place, auto const& run) {
        std::string const text = refusal(run);
        INFO(text);
        CHECK(says(text, {where, ": expected labels from -1 (none) to 3, found ", place,
                          "check the labels and the number of classes"}));
    };
    refused("supervised", " at image 1", [&] { train_supervised(m, set, sgd{}, {}); });
    refused("fine-tune", " at image 1", [&] { fine_tune(m, teacher, set, sgd{}, {}); });
    refused("softmax_cross_entropy", " in row ",
            [&] { train_supervised(m, set, sgd{}, {}, weighted(1, cross_entropy{})); });
    refused("distill", " at image 1", [&] { distill(m, teacher, set, distillation{.alpha = 0.5F}, sgd{}, {}); });
    refused("distillation_cross_entropy", " in row ",
            [&] { distill(m, teacher, set, weighted(1, distillation{.alpha = 0.5F}), sgd{}, {}); });
    refused("count_correct", " in row ", [&] {
        std::int32_t const four_rows[] = {0, 1, 2, 4};
        std::vector<float> const logits(16);
        count_correct(device, 4, 4, logits.data(), four_rows, 1);
    });
    CHECK(
        says(refusal([&] { evaluate(m, set); }), {"evaluate: expected logits of the 10 classes of the set, found 4"}));
    CHECK(says(refusal([&] { distill(m, teacher, set, distillation{}, sgd{}, {.validation = set}); }),
               {"train_options.validation: expected a set of 4 classes, found 10"}));
    CHECK(m.host_parameters() == before);
    CHECK_NOTHROW(distill(m, teacher, set, distillation{}, sgd{}, {.epochs = 1}));  // reads no labels
}

TEST_CASE("validation whose classes have other names is refused", "[refusals]") {
    cpu device{.threads = 1};
    image_set const set = tiny::images(20);
    auto const named = [&](std::vector<std::string> names) {
        std::vector<std::uint8_t> pixels(static_cast<std::size_t>(4 * image.size()), 7);
        return image_set(image, std::move(pixels), {0, 1, 2, 0}, 3, std::move(names));
    };
    tiny_model m(device, classifier(tiny::encoder, {.classes = 3}), image, {.max_batch = 4});
    train_options o{.epochs = 1, .batch = 4, .validation = named({"cat", "cow", "dog"})};
    CHECK(says(
        refusal([&] {
            train_supervised(m, named({"cat", "dog", "cow"}), sgd{}, o);
        }),
        {"train_options.validation: expected class 1 to be \"dog\", found \"cow\"", "image_folder_options::classes"}));
    tiny_model teacher(device, classifier(tiny::encoder, {.classes = 3}), image, {.max_batch = 4});
    CHECK(says(refusal([&] {
                   distill(m, teacher, named({"cat", "dog", "cow"}), distillation{}, sgd{}, o);
               }),
               {"train_options.validation: expected class 1 to be \"dog\", found \"cow\""}));
    CHECK_NOTHROW(train_supervised(m, named({"cat", "cow", "dog"}), sgd{}, o));
    CHECK_NOTHROW(train_supervised(m, named({}), sgd{}, o));
}

TEST_CASE("a batch of one image is refused where batch norm needs more", "[refusals]") {
    cpu device{.threads = 1};
    image_set const set = tiny::images(10);
    train_options const one{.epochs = 1, .batch = 1};
    tiny_model m(device, tiny::tuned, image, {.max_batch = 1});
    CHECK(says(refusal([&] { train_supervised(m, set, sgd{}, one); }),
               {"norm at head.layer0.norm: expected at least 2 values per channel for batch statistics, found 1",
                "larger batch", "bn::moving"}));
    tiny_model frozen_head(device, tiny::tuned, image, {.max_batch = 1, .frozen = frozen("head")});
    CHECK_NOTHROW(train_supervised(frozen_head, set, sgd{}, one));
    tiny_model pair(device, tiny::contrastive, image, {.max_batch = 2});
    train_options flipped = one;
    flipped.augment.flip = 0.5F;
    CHECK_NOTHROW(pretrain(pair, set, nt_xent{}, lars{}, flipped));  // two views of it
}

TEST_CASE("batches that a model cannot hold are refused with both sizes", "[refusals]") {
    cpu device{.threads = 1};
    image_set const set = tiny::images(20);
    tiny_model m(device, tiny::contrastive, image, {.max_batch = 20});
    auto const refused = [&](train_options const& o) {
        return refusal([&] { pretrain(m, set, nt_xent{}, lars{}, o); });
    };
    auto const state = state_of(m);
    tiny_model tuned(device, tiny::tuned, image, {.max_batch = 20}),
        other(device, tiny::tuned, image, {.max_batch = 20, .seed = 7});
    auto const weights = state_of(tuned);
    for (train_options const& o :
         {train_options{.epochs = 0}, train_options{.batch = 0}, train_options{.loader_threads = -1},
          train_options{.epochs = 1, .batch = 10, .warmup_epochs = 1},
          train_options{.checkpoint = std::string(5000, 'x') + "/run"}})
        CHECK_FALSE(refusal([&] { fine_tune(tuned, other, set, sgd{}, o); }) == "nothing was thrown");
    CHECK(state_of(tuned) == weights);
    CHECK(
        says(refused({.batch = 11}), {"pretrain, model_options.max_batch: expected at least 22, 2 views of each of 11 "
                                      "images, found 20; raise it, or lower train_options.batch"}));
    CHECK(says(refused({.batch = 10, .augment = center_crop{.height = 8, .width = 9}}),
               {"pretrain, images: expected images of {12, 12, 1} after .augment, found {8, 9, 1}", "resizes"}));
    CHECK(says(refused({.epochs = 0, .batch = 10}),
               {"pretrain, train_options.epochs: expected at least 1, or steps, found 0"}));
    for (float const rate : {-0.1F, no_number, std::numeric_limits<float>::infinity()})
        CHECK(says(refused({.batch = 10, .learning_rate = rate}),
                   {"pretrain, train_options.learning_rate: expected a finite number of at least 0, found "}));
    auto const downhill = [](std::int64_t step, std::int64_t) { return -static_cast<float>(step); };
    CHECK(says(refused({.epochs = 1, .batch = 10, .schedule = downhill, .augment = {.flip = 0.5F}}),
               {"train_options.schedule: expected a finite rate of at least 0, found -1 at step 1"}));
    m.reset(1);
    CHECK(says(refused({.epochs = 1, .batch = 10}),
               {"pretrain, train_options.augment: expected views of an image that differ", "simclr_augmentation"}));
    CHECK_NOTHROW(
        pretrain(m, set, nt_xent{}, lars{}, {.epochs = 0, .steps = 1, .batch = 10, .augment = {.flip = 0.5F}}));
    m.reset(1);
    m.write_statistics(tiny_model(device, tiny::contrastive, image, {.max_batch = 1}).host_statistics().data());
    CHECK(says(refused({.batch = 0}), {"pretrain, train_options.batch: expected at least 1, found 0"}));
    CHECK(state_of(m) == state);
    auto const parameters = m.host_parameters();
    CHECK(says(refused({.epochs = 2, .batch = 10, .warmup_epochs = 2}),
               {"pretrain, train_options.warmup_epochs: expected from 0 to fewer than the stage's 4 steps",
                "found 2, which is 4 steps", "shorten the warm-up"}));
    CHECK(m.host_parameters() == parameters);
}

TEST_CASE("a loss that reads an output without a gradient is refused, and what it does not write is zero",
          "[refusals]") {
    cpu device{.threads = 1};
    image_set const set = tiny::images(20);
    tiny_model m(device, tiny::contrastive, image, {.max_batch = 40});
    auto const before = m.host_parameters();
    CHECK(says(refusal([&] { pretrain(m, set, nt_xent{.output = "encoder"}, lars{}, {}); }),
               {"pretrain: loss: expected to read outputs that take gradients, found it reads \"encoder\"",
                "model_options::loss_outputs"}));
    CHECK(m.host_parameters() == before);

    // a loss that writes the gradient of its own output alone, on a network whose others take gradients too
    struct forgetful {
        loss_value operator()(cpu& on, output_views const& outputs, targets const& t, gradient_views const& g) const {
            if (g.size() == 0) return nt_xent{}(on, outputs, t, g);
            gradient_views::entry const last[] = {g[g.size() - 1]};
            output_views::entry const values[] = {outputs[outputs.size() - 1]};
            return nt_xent{}(on, output_views(values), t, gradient_views(last));
        }
    };
    tiny_model usual(device, tiny::contrastive, image, {.max_batch = 40});
    tiny_model both(device, tiny::contrastive, image, {.max_batch = 40, .loss_outputs = {"encoder", "head"}});
    train_options const o{.epochs = 3, .batch = 10, .learning_rate = 0.1F, .augment = {.flip = 0.5F}};
    pretrain(usual, set, nt_xent{}, sgd{}, o);
    pretrain(both, set, forgetful{}, sgd{}, o);
    CHECK(state_of(both) == state_of(usual));
}

TEST_CASE("validation that cannot be is refused before anything is trained", "[refusals]") {
    cpu device{.threads = 1};
    image_set const set = tiny::images(20);
    image_set const large({24, 24, 1}, std::vector<std::uint8_t>(std::size_t{24} * 24 * 2), {1, 2}, 10);
    tiny_model teacher(device, tiny::tuned, image, {.max_batch = 40});
    auto const refused = [&](train_options const& o, std::initializer_list<std::string_view> words) {
        for (stage_case const& s : stages(set, teacher)) {
            INFO(s.name);
            tiny_model m(device, s.network, image, {.max_batch = 40});
            auto const state = state_of(m);
            CHECK(says(refusal([&] { s.run(m, o); }), words));
            CHECK(state_of(m) == state);
        }
        CHECK(says(refusal([&] { linear_evaluation(teacher, set, sgd{}, o); }), words));
    };
    refused({.validation = large},
            {"train_options.validation: expected images of {12, 12, 1}, found {24, 24, 1}", "center_crop"});
    refused({.validation = unlabeled(set)},
            {"train_options.validation: expected labeled images, found none with a label"});
    refused({.validation = set, .validate_every = 0}, {"validate_every: expected at least 1 epoch, found 0"});
    refused({.learning_rate = -1}, {"train_options.learning_rate"});
    refused({.checkpoint = "/no such folder/run"}, {"train_options.checkpoint", "make the folder /no such folder"});
    refused({.resume = true}, {"train_options.resume: expected a checkpoint to resume from, found none"});
    tiny_model m(device, tiny::contrastive, image, {.max_batch = 40});
    CHECK(says(refusal([&] { pretrain(m, unlabeled(set), nt_xent{}, lars{}, {.validation = set}); }),
               {"pretrain: expected labels for the probe that judges options.validation, found no probe"}));
    image_set const nameless(image, std::vector<std::uint8_t>(static_cast<std::size_t>(20 * image.size())));
    CHECK(says(refusal([&] { pretrain(m, nameless, nt_xent{}, lars{}, {.validation = set}); }), {"found no probe"}));
    train_options const resized{.epochs = 1, .validation = large, .validation_augment = center_crop{12, 12}};
    CHECK(train_supervised(teacher, set, sgd{}, resized).last().validation_top1 >= 0);
    train_options flipped = resized;
    flipped.augment.flip = 0.5F;
    CHECK(pretrain(m, set, nt_xent{}, lars{}, flipped).last().validation_top1 >= 0);
}

TEST_CASE("a network of which nothing is trained, and a rate that is no number, are refused", "[refusals]") {
    cpu device{.threads = 1};
    image_set const set = tiny::images(10);
    tiny_model still(device, tiny::student, image, {.max_batch = 10, .frozen = frozen("")});
    CHECK(says(refusal([&] { train_supervised(still, set, sgd{}, {.stage = "third stage"}); }),
               {"third stage, model: expected a parameter at least that is trained", "model_options.frozen"}));
    tiny_model frozen_encoder(device, tiny::contrastive, image, {.max_batch = 10, .frozen = frozen("")});
    CHECK_NOTHROW(linear_evaluation(frozen_encoder, set, sgd{}, {.epochs = 1}));  // trains its own classifier
    image_set const of_four = set.with_labels(std::vector<std::int32_t>(10, 3), 4);
    CHECK(says(refusal([&] { linear_evaluation(frozen_encoder, set, sgd{}, {.validation = of_four}); }),
               {"train_options.validation: expected a set of 10 classes, found 4", "with_labels"}));
    tiny_model m(device, tiny::student, image, {.max_batch = 10});
    optimizer_state state(m, sgd{});
    auto const before = state_of(m);
    CHECK(says(refusal([&] { state.update(no_number); }), {"optimizer_state.update: expected a finite learning rate"}));
    CHECK(state_of(m) == before);
    CHECK(state.steps() == 0);
}

TEST_CASE("what a loss does not write of its gradient is zero, whatever was there", "[refusals]") {
    struct lazy {
        std::vector<float>* seen;
        loss_value operator()(cpu&, output_views const&, targets const&, gradient_views const& g) const {
            if (g.size() > 0) seen->assign(g.last().data, g.last().data + g.last().size());
            if (g.size() > 0) std::fill_n(g.last().data, g.last().size(), 3.0F);  // left over for the next step
            return {.loss = 1};
        }
    };
    cpu device{.threads = 1};
    image_set const set = tiny::images(20);
    tiny_model m(device, tiny::student, image, {.max_batch = 10});
    std::vector<float> seen;
    train_supervised(m, set, sgd{}, {.epochs = 1, .batch = 10, .learning_rate = 0}, lazy{&seen});
    CHECK(seen == std::vector<float>(100));
}

TEST_CASE("a loss that asks by name for the gradient of an output that takes none is told so", "[refusals]") {
    struct on_encoder {
        loss_value operator()(cpu&, output_views const&, targets const&, gradient_views const& g) const {
            if (g.size() > 0) g["encoder"].data[0] = 1;
            return {.loss = 1};
        }
    };
    cpu device{.threads = 1};
    image_set const set = tiny::images(20);
    tiny_model m(device, tiny::student, image, {.max_batch = 10});
    auto const before = state_of(m);
    CHECK(says(refusal([&] { train_supervised(m, set, sgd{}, {.batch = 10}, on_encoder{}); }),
               {"gradient of output \"encoder\": expected an output that takes a gradient, found one that takes none",
                "model_options::loss_outputs", "reads()"}));
    tiny_model both(device, tiny::student, image, {.max_batch = 10, .loss_outputs = {"encoder", "classifier"}});
    CHECK_NOTHROW(train_supervised(both, set, sgd{}, {.epochs = 1, .batch = 10}, on_encoder{}));
}

TEST_CASE("settings of optimizers out of range are refused", "[refusals]") {
    cpu device{.threads = 1};
    image_set const set = tiny::images(10);
    tiny_model m(device, tiny::student, image, {.max_batch = 10});
    auto const refused = [&](auto const& optimizer, std::string_view setting) {
        std::string const text = refusal([&] { train_supervised(m, set, optimizer, {}); });
        INFO(text);
        return says(text, {setting, "correct this setting"});
    };
    CHECK(refused(adam{.beta1 = 1}, "adam.beta1: expected at least 0 and below 1, found 1"));
    CHECK(refused(adam{.beta2 = -0.5F}, "adam.beta2"));
    CHECK(refused(adam{.epsilon = no_number}, "adam.epsilon: expected a finite number"));
    CHECK(refused(sgd{.momentum = no_number}, "sgd.momentum"));
    CHECK(refused(sgd{.weight_decay = -1}, "sgd.weight_decay"));
    CHECK(refused(lars{.momentum = 1.5F}, "lars.momentum"));
    CHECK(refused(lars{.eta = -1}, "lars.eta"));
    embeddings const two{{1, 2}, 2, 1};
    CHECK(says(refusal([&] { nearest_neighbours(two, two, -1); }),
               {"nearest_neighbours: expected at least 0 neighbours, found -1"}));
}

TEST_CASE("networks that a stage cannot use are refused", "[refusals]") {
    scratch_folder const folder;
    cpu device{.threads = 1};
    image_set const set = tiny::images(10);
    tiny_model ten(device, tiny::student, image, {.max_batch = 20});
    tiny_model four(device, classifier(tiny::encoder, {.classes = 4}), image, {.max_batch = 20});
    tiny_model wide(device, tiny::student, {12, 14, 1}, {.max_batch = 20});
    tiny_model nameless(device, [](value x) { return global_average_pool(conv{.filters = 10}(x)); }, image,
                        {.max_batch = 20});
    CHECK(says(refusal([&] { distill(four, ten, set, distillation{}, sgd{}, {}); }),
               {"distill: expected a student of the teacher's 10 classes, found 4", ".classes"}));
    CHECK(says(refusal([&] { distill(wide, ten, set, distillation{}, sgd{}, {}); }),
               {"distill: expected student and teacher of the same input shape", "the same augmented images"}));
    CHECK(says(refusal([&] { distill(ten, ten, set, distillation{}, sgd{}, {}); }),
               {"distill: expected a teacher beside the student, found one model as both", "a second model"}));
    CHECK(says(refusal([&] { fine_tune(nameless, ten, set, sgd{}, {}); }),
               {"load_matching: expected at least one", "names"}));
    CHECK(says(
        refusal([&] { pretrain(nameless, set, nt_xent{}, sgd{}, {}); }),
        {"pretrain: expected an output \"encoder\", found a network without one", "probe_options{.enabled = false}"}));
    CHECK(says(refusal([&] { linear_evaluation(nameless, set, sgd{}, {}); }),
               {"linear evaluation: expected an output \"encoder\", found a network without one"}));
    CHECK(says(refusal([&] { train_supervised(ten, unlabeled(set), sgd{}, {}); }),
               {"supervised: expected labeled images, found none with a label"}));
    CHECK(says(refusal([&] { linear_evaluation(ten, unlabeled(set), sgd{}, {}); }),
               {"linear evaluation: expected labeled images, found none with a label"}));
    tiny_model map_encoder(device,
                           [](value x) {
                               value const features = conv{.filters = 4}(x);
                               return outputs(output{"encoder", features},
                                              output{"head", dense{.units = 8}(global_average_pool(features))});
                           },
                           image, {.max_batch = 20});
    auto const before = state_of(map_encoder);
    CHECK(says(refusal([&] { pretrain(map_encoder, set, nt_xent{}, sgd{}, {.augment = {.flip = 0.5F}}); }),
               {"pretrain: expected an output \"encoder\" {1, 1, channels}, found {12, 12, 4}"}));
    CHECK(says(refusal([&] { linear_evaluation(map_encoder, set, sgd{}, {}); }), {"found {12, 12, 4}"}));
    CHECK(state_of(map_encoder) == before);
    tiny_model map(device, [](value x) { return conv{.filters = 10}(x); }, image, {.max_batch = 20});
    CHECK(
        says(refusal([&] { train_supervised(map, set, sgd{}, {.validation = set}, weighted(1, cross_entropy{})); }),
             {"train_options.validation: expected a last output {1, 1, classes} that judges it, found {12, 12, 10}"}));
    CHECK(
        says(refusal([&] { evaluate(map, set); }), {"evaluate: expected logits {1, 1, classes}, found {12, 12, 10}"}));
    CHECK(says(refusal([&] {
                   train_supervised(four, balanced_count(set, 4, 1).with_labels({0, 1, 2, 0}, 3), sgd{}, {});
               }),
               {"supervised: expected logits of the 3 classes of the set, found 4", "with_labels"}));
    train_options const one_epoch{.epochs = 1, .augment = {.flip = 0.5F}};
    CHECK_NOTHROW(pretrain(nameless, unlabeled(set), nt_xent{}, sgd{}, one_epoch));  // without a probe
    std::string const nowhere = folder / "none/m";
    CHECK(says(refusal([&] { train_supervised(ten, set, sgd{}, {.epochs = 1, .checkpoint = nowhere}); }),
               {"train_options.checkpoint: expected a file in a folder that is there", nowhere, "make the folder"}));
    std::filesystem::permissions(folder.path(), std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
    if (::geteuid() != 0)  // root may write everywhere
        CHECK(says(refusal([&] { train_supervised(ten, set, sgd{}, {.epochs = 1, .checkpoint = folder / "m"}); }),
                   {"train_options.checkpoint: expected a folder that may be written to", folder.path()}));
    std::filesystem::permissions(folder.path(), std::filesystem::perms::owner_all);
}

TEST_CASE("weights that an update has ruined are never saved", "[refusals]") {
    scratch_folder const folder;
    cpu device{.threads = 1};
    image_set const set = tiny::images(20);
    std::string const path = folder / "run";
    for (float const rate : {1e6F, 1e12F, 1e30F}) {
        CAPTURE(rate);
        tiny_model m(device, tiny::student, image, {.max_batch = 20}),
            kept(device, tiny::student, image, {.max_batch = 20});
        // one step an epoch, the third far too long
        auto const schedule = [&](std::int64_t step, std::int64_t) { return step < 2 ? 0.01F : rate; };
        std::string const text = refusal([&] {
            train_supervised(m, set, sgd{}, {.epochs = 50, .batch = 20, .schedule = schedule, .checkpoint = path});
        });
        INFO(text);
        CHECK(says(text,
                   {"supervised, step ", "expected ", "finite", "lower the learning rate, the last epoch is kept in"}));
        kept.load(path);
        auto const x = tiny::seen(set, 0, 20);
        CHECK(is_finite(cross_entropy{}(device, kept.forward(tiny::batch_of(x)),
                                        {.labels = {set.labels().data(), {20}}}, gradient_views{})
                            .loss));
        std::filesystem::remove(path);
    }
}
