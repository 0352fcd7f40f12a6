// SPDX-License-Identifier: Apache-2.0
// The stages on a few images: each lowers its loss, the loss is the one that its definition gives in double, and what
// should stay as it was stays.
#include <cmath>

#include "../catch.hpp"
#include "tiny.hpp"

using namespace tempera;
using tiny::batch_of;
using tiny::image;
using tiny::seen;
using tiny::values_of;

namespace {

using numbers = std::vector<double>;

numbers softmax(float const* z, int n, double temperature = 1) {
    numbers p;
    double sum = 0;
    for (int i = 0; i < n; ++i) sum += p.emplace_back(std::exp(static_cast<double>(z[i]) / temperature));
    for (double& x : p) x /= sum;
    return p;
}

/// NT-Xent of rows [view a | view b], pair by pair.
double contrastive_loss(view<float const> h, double temperature) {
    int const rows = h.dims.n, n = rows / 2, d = h.dims.c;
    auto const similarity = [&](int a, int b) {
        double dot = 0, aa = 0, bb = 0;
        for (int k = 0; k < d; ++k) {
            double const x = static_cast<double>(h[a * d + k]), y = static_cast<double>(h[b * d + k]);
            dot += x * y, aa += x * x, bb += y * y;
        }
        return std::exp(dot / std::sqrt(aa * bb) / temperature);
    };
    double loss = 0;
    for (int i = 0; i < rows; ++i) {
        double others = 0;
        for (int k = 0; k < rows; ++k)
            if (k != i) others += similarity(i, k);
        loss -= std::log(similarity(i, (i + n) % rows) / others) / n;
    }
    return loss;
}

/// Collects the loss of every step.
struct recorder {
    std::vector<loss_value> steps;
    std::string stage, accuracy;
    bool complete = false;
    progress_sink sink() {
        return [this](progress_event const& e) {
            steps.push_back(e.value);
            stage = e.stage;
            accuracy = e.accuracy_name;
            complete = e.step == e.total_steps;
        };
    }
};

/// Points are means of their epochs, and the last epoch's loss is below `fraction` of the first one's.
void lowers(training_history const& h, recorder const& seen_by, std::size_t epochs, double fraction) {
    REQUIRE(h.points.size() == epochs);
    std::size_t const per_epoch = seen_by.steps.size() / epochs;
    REQUIRE(per_epoch * epochs == seen_by.steps.size());
    for (std::size_t e = 0; e < epochs; ++e) {
        double loss = 0, accuracy = 0, entropy = 0;
        for (std::size_t i = e * per_epoch; i < (e + 1) * per_epoch; ++i) {
            loss += static_cast<double>(seen_by.steps[i].loss) / static_cast<double>(per_epoch);
            accuracy += static_cast<double>(seen_by.steps[i].accuracy) / static_cast<double>(per_epoch);
            entropy += static_cast<double>(seen_by.steps[i].entropy) / static_cast<double>(per_epoch);
        }
        history_point const& p = h.points[e];
        INFO("epoch " << e);
        CHECK(std::abs(static_cast<double>(p.training.loss) - loss) < 1e-5 * (1 + loss));
        CHECK(std::abs(static_cast<double>(p.training.accuracy) - accuracy) < 1e-5);
        CHECK(std::abs(static_cast<double>(p.training.entropy) - entropy) < 1e-5 * (1 + entropy));
        CHECK(p.epoch == static_cast<double>(e + 1));
        CHECK(p.step == static_cast<std::int64_t>((e + 1) * per_epoch));
    }
    INFO("from " << h.points.front().training.loss << " to " << h.last().training.loss);
    CHECK(static_cast<double>(h.last().training.loss) < fraction * static_cast<double>(h.points.front().training.loss));
}

}  // namespace

TEST_CASE("pretrain lowers the loss of two augmented views of every image", "[stages]") {
    cpu device{.threads = 1};
    image_set const set = tiny::images(20);
    augmentation const augment = crop_and_flip{.area_min = 0.5F};
    dynamic_model<cpu> m(device, tiny::contrastive, image, {.max_batch = 40});
    auto const still = pretrain(m, unlabeled(set), nt_xent{.temperature = 0.5F}, lars{},
                                {.steps = 1, .learning_rate = 0, .augment = augment, .seed = 4});
    loader views{set, {.batch = 20, .views = 2, .augment = augment, .seed = 4}};
    double const expected = contrastive_loss(m.forward(views.next().images).last(), 0.5);
    CHECK(std::abs(static_cast<double>(still.last().training.loss) - expected) < 1e-4 * expected);

    recorder r;
    auto const history = pretrain(m, set, nt_xent{.temperature = 0.5F}, sgd{},
                                  {.epochs = 8, .batch = 10, .learning_rate = 0.3F, .augment = {.flip = 0.5F}, .progress = r.sink()});
    lowers(history, r, 8, 0.95);
    CHECK(r.stage == "pretrain");
    CHECK(r.accuracy == "contrastive accuracy");
    CHECK(r.complete);
}

TEST_CASE("the probe beside pretraining changes nothing, and counts labeled images only", "[stages]") {
    cpu device{.threads = 1};
    image_set const set = tiny::images(20);
    std::vector<std::int32_t> one(20, no_label);
    one[7] = set.label(7);
    auto const probe_of = [&](image_set const& images, probe_options const& options,
                              std::vector<std::uint32_t>& state) {
        dynamic_model<cpu> m(device, tiny::contrastive, image, {.max_batch = 20});
        auto const h = pretrain(m, images, nt_xent{}, sgd{},
                                {.epochs = 4, .batch = 10, .learning_rate = 0.01F, .augment = {.flip = 0.5F}}, options);
        state = state_of(m);
        return h.last().probe_accuracy;
    };
    std::vector<std::uint32_t> with, without, partly;
    CHECK(probe_of(set, {}, with) >= 0);
    CHECK(probe_of(set, {.enabled = false}, without) == -1);
    CHECK(with == without);
    CHECK(probe_of(unlabeled(set), {}, without) == -1);
    CHECK(with == without);
    CHECK(probe_of(set.with_labels(one), {}, partly) == 1);  // one labeled image, learned in the first epochs
    CHECK(with == partly);
}

TEST_CASE("fine_tune starts from what was pretrained, and lowers the loss of the labels", "[stages]") {
    cpu device{.threads = 1};
    image_set const set = tiny::images(20), held = tiny::images(30, 2);
    dynamic_model<cpu> pretrained(device, tiny::contrastive, image, {.max_batch = 1, .seed = 8});
    dynamic_model<cpu> m(device, tiny::tuned, image, {.max_batch = 20});
    auto const kernel = values_of(m, "classifier.weight");
    auto const pretrained_state = state_of(pretrained);
    auto const still = fine_tune(m, pretrained, set, sgd{}, {.epochs = 1, .learning_rate = 0});
    for (auto const& e : m.manifest())
        if (!is_statistic(e.role) && e.name.text().substr(0, 10) != "classifier")
            CHECK(values_of(m, e.name.text()) == values_of(pretrained, e.name.text()));
    CHECK(values_of(m, "classifier.weight") == kernel);
    auto const x = seen(set, 0, 20);
    auto const logits = m.forward(batch_of(x)).last();
    double expected = 0;
    for (int i = 0; i < 20; ++i)
        expected -= std::log(softmax(logits.data + i * 10, 10)[static_cast<std::size_t>(set.label(i))]) / 20;
    CHECK(std::abs(static_cast<double>(still.last().training.loss) - expected) < 1e-4 * expected);

    recorder r;
    auto const history = fine_tune(m, pretrained, set, sgd{},
                                   {.epochs = 9,
                                    .batch = 10,
                                    .learning_rate = 0.1F,
                                    .progress = r.sink(),
                                    .validation = held,
                                    .validate_every = 4});
    lowers(history, r, 9, 0.9);
    CHECK(r.stage == "fine-tune");
    for (std::size_t e = 0; e < 9; ++e) CHECK((history.points[e].validation_top1 >= 0) == (e == 3 || e == 7 || e == 8));
    CHECK(history.last().validation_top1 == static_cast<float>(evaluate(m, held).top1));
    CHECK(state_of(pretrained) == pretrained_state);
}

TEST_CASE("steps override epochs, and the last epoch may be cut short", "[stages]") {
    cpu device{.threads = 1};
    dynamic_model<cpu> m(device, tiny::student, image, {.max_batch = 10});
    recorder r;
    auto const history = train_supervised(
        m, tiny::images(20), sgd{}, {.epochs = 1, .steps = 5, .batch = 10, .progress = r.sink(), .stage = "mine"});
    REQUIRE(history.points.size() == 3);
    CHECK(history.last().step == 5);
    CHECK(history.last().epoch == 2.5);
    CHECK(history.last().training.loss == r.steps.back().loss);
    CHECK(r.stage == "mine");
}

TEST_CASE("linear_evaluation trains a classifier and leaves the encoder as it is", "[stages]") {
    cpu device{.threads = 1};
    image_set const set = tiny::images(20), held = tiny::images(30, 2);
    dynamic_model<cpu> m(device, tiny::contrastive, image, {.max_batch = 20, .seed = 3});
    auto const state = state_of(m);
    recorder r;
    auto const result = linear_evaluation(
        m, set, sgd{}, {.epochs = 20, .batch = 10, .learning_rate = 4, .progress = r.sink(), .validation = held});
    CHECK(state_of(m) == state);
    lowers(result.history, r, 20, 0.9);
    CHECK(r.stage == "linear evaluation");

    // the held-out accuracy, from the features and the classifier's two tensors
    auto const features = embed(m, held, "encoder");
    auto const weight = values_of(result.probe->model(), "dense1.weight"),
               bias = values_of(result.probe->model(), "dense1.bias");
    REQUIRE((features.rows == 30 && weight.size() == static_cast<std::size_t>(10 * features.channels)));
    int correct = 0;
    for (int i = 0; i < 30; ++i) {
        numbers logits(10);
        for (std::size_t k = 0; k < 10; ++k) {
            logits[k] = static_cast<double>(bias[k]);
            for (int c = 0; c < features.channels; ++c)
                logits[k] +=
                    static_cast<double>(
                        weight[k * static_cast<std::size_t>(features.channels) + static_cast<std::size_t>(c)]) *
                    static_cast<double>(features.row(i)[c]);
        }
        correct += std::max_element(logits.begin(), logits.end()) - logits.begin() == held.label(i);
    }
    CHECK(result.test.images == 30);
    CHECK(result.test.top1 == correct / 30.0);
    CHECK(result.history.last().validation_top1 == static_cast<float>(result.test.top1));
}

TEST_CASE("linear_evaluation warms up", "[stages]") {
    cpu device{.threads = 1};
    dynamic_model<cpu> m(device, tiny::contrastive, image, {.max_batch = 20});
    auto const change = [&](float warmup) {  // of the loss of all images by the first of two updates
        recorder r;
        linear_evaluation(m, tiny::images(20), sgd{},
                          {.epochs = 2, .learning_rate = 100, .warmup_epochs = warmup, .progress = r.sink()});
        return std::abs(r.steps[1].loss - r.steps[0].loss);
    };
    CHECK(change(0) > 5e-3F);
    CHECK(change(1) < 1e-5F);  // its rate is 0
}

TEST_CASE("distill lowers the distance to a teacher, with labels and without", "[stages]") {
    cpu device{.threads = 1};
    image_set const set = tiny::images(20), few = balanced_count(set, 10, 1);
    dynamic_model<cpu> teacher(device, tiny::tuned, image, {.max_batch = 20});
    train_supervised(teacher, set, sgd{}, {.epochs = 30, .batch = 10, .learning_rate = 0.5F});
    auto const state = state_of(teacher);
    struct variant {
        char const* name;
        image_set images;
        distillation loss;
    };
    for (variant const& v : {variant{"labeled", few, {.temperature = 2, .alpha = 0.25F}},
                             variant{"unlabeled", unlabeled(set), {.temperature = 2}},
                             variant{"both", unlabeled_except(set, few), {.alpha = 0.5F}}}) {
        INFO(v.name);
        dynamic_model<cpu> m(device, tiny::student, image, {.max_batch = 20});
        auto const still = distill(m, teacher, v.images, v.loss, sgd{}, {.epochs = 1, .learning_rate = 0});
        int const n = v.images.size();
        auto const x = seen(v.images, 0, n);
        auto const t = teacher.predict(batch_of(x)).last(), z = m.forward(batch_of(x)).last();
        double agreement = 0, labels = 0;
        for (int i = 0; i < n; ++i) {
            double const temperature = static_cast<double>(v.loss.temperature);
            numbers const wanted = softmax(t.data + i * 10, 10, temperature),
                          ours = softmax(z.data + i * 10, 10, temperature);
            for (std::size_t k = 0; k < 10; ++k) agreement -= wanted[k] * std::log(ours[k]) / n;
            if (v.images.label(i) == no_label) continue;
            labels -= std::log(softmax(z.data + i * 10, 10)[static_cast<std::size_t>(v.images.label(i))]);
        }
        double const alpha = static_cast<double>(v.loss.alpha);
        double const expected = alpha * agreement + (1 - alpha) * labels / n;
        CHECK(std::abs(static_cast<double>(still.last().training.loss) - expected) < 1e-4 * expected);

        recorder r;
        auto const history = distill(m, teacher, v.images, v.loss, sgd{},
                                     {.epochs = 12, .batch = 10, .learning_rate = 0.5F, .progress = r.sink()});
        lowers(history, r, 12, 0.92);
        CHECK(r.stage == "distill");
    }
    CHECK(state_of(teacher) == state);
}

TEST_CASE("self-distillation brings a network of the teacher's form to the teacher's answers", "[stages]") {
    cpu device{.threads = 1};
    image_set const set = tiny::images(20);
    dynamic_model<cpu> teacher(device, tiny::student, image, {.max_batch = 20});
    train_supervised(teacher, set, sgd{}, {.epochs = 30, .batch = 10, .learning_rate = 0.5F});
    dynamic_model<cpu> m(device, tiny::student, image, {.max_batch = 20, .seed = 2});
    recorder r;
    auto const history = distill(m, teacher, unlabeled(set), distillation{}, sgd{},
                                 {.epochs = 40, .batch = 20, .learning_rate = 0.5F, .progress = r.sink()});
    lowers(history, r, 40, 0.9);
    CHECK(history.last().training.accuracy >= history.points.front().training.accuracy + 0.3F);
}

TEST_CASE("a schedule of one's own is asked at every step", "[stages]") {
    cpu device{.threads = 1};
    image_set const set = tiny::images(20);
    dynamic_model<cpu> usual(device, tiny::student, image, {.max_batch = 10}), own(device, tiny::student, image, {.max_batch = 10});
    train_supervised(usual, set, sgd{}, {.epochs = 3, .batch = 10, .learning_rate = 0.2F, .warmup_epochs = 1});
    std::vector<std::int64_t> asked;
    auto const same = [&](std::int64_t step, std::int64_t steps) {
        asked.push_back(step);
        return warmup_cosine{0.2F, 2, steps}(step);
    };
    train_supervised(own, set, sgd{}, {.epochs = 3, .batch = 10, .schedule = same});
    CHECK(asked == std::vector<std::int64_t>{0, 1, 2, 3, 4, 5});
    CHECK(state_of(own) == state_of(usual));
}

TEST_CASE("a stage takes views of one's own", "[stages]") {
    cpu device{.threads = 1};
    image_set const set = tiny::images(20);
    dynamic_model<cpu> usual(device, tiny::student, image, {.max_batch = 10}), own(device, tiny::student, image, {.max_batch = 10}),
        black(device, tiny::student, image, {.max_batch = 10});
    train_options o{.epochs = 2, .batch = 10};
    train_supervised(usual, set, sgd{}, o);
    o.view = [](view<std::uint8_t const> from, view<float> to, philox_stream) {
        for (std::int64_t i = 0; i < to.size(); ++i) to.data[i] = static_cast<float>(from.data[i]) * (1.0F / 255.0F);
    };
    train_supervised(own, set, sgd{}, o);
    CHECK(state_of(own) == state_of(usual));
    o.view = [](view<std::uint8_t const>, view<float> to, philox_stream) { std::fill_n(to.data, to.size(), 0.0F); };
    train_supervised(black, set, sgd{}, o);
    CHECK_FALSE(state_of(black) == state_of(usual));
}

TEST_CASE("losses of pretraining may read the labels of both views", "[stages]") {
    struct labeled_pairs {
        std::vector<std::vector<std::int32_t>>* seen;
        loss_value operator()(cpu& on, output_views const& outputs, targets const& t, gradient_views const& g) const {
            if (t.labels.data != nullptr) seen->emplace_back(t.labels.data, t.labels.data + t.labels.size());
            return nt_xent{}(on, outputs, t, g);
        }
    };
    cpu device{.threads = 1};
    image_set const set = tiny::images(20);
    dynamic_model<cpu> m(device, tiny::contrastive, image, {.max_batch = 20});
    std::vector<std::vector<std::int32_t>> seen;
    pretrain(m, set, labeled_pairs{&seen}, sgd{}, {.epochs = 1, .batch = 10, .augment = {.flip = 0.5F}});
    REQUIRE(seen.size() == 2);
    std::vector<std::int32_t> all;
    for (auto const& rows : seen) {
        REQUIRE(rows.size() == 20);
        CHECK(std::equal(rows.begin(), rows.begin() + 10, rows.begin() + 10));
        all.insert(all.end(), rows.begin(), rows.begin() + 10);
    }
    std::sort(all.begin(), all.end());
    std::vector<std::int32_t> expected(set.labels().begin(), set.labels().end());
    std::sort(expected.begin(), expected.end());
    CHECK(all == expected);
}

TEST_CASE("fine_tune says what came from the pretrained model", "[stages]") {
    cpu device{.threads = 1};
    dynamic_model<cpu> pretrained(device, tiny::contrastive, image, {.max_batch = 1});
    dynamic_model<cpu> m(device, tiny::tuned, image, {.max_batch = 10});
    auto const loaded = fine_tune(m, pretrained, tiny::images(10), sgd{}, {.epochs = 1, .batch = 10}).loaded;
    CHECK(loaded.fresh == std::vector<std::string>{"classifier.weight", "classifier.bias"});
    CHECK(loaded.matched.size() + 2 == m.manifest().size());
    CHECK_FALSE(loaded.unused.empty());
    for (std::string const& name : loaded.unused) CHECK(name.rfind("head.layer1", 0) == 0);
}

TEST_CASE("labels are for the output that the loss reads, whichever is last", "[stages]") {
    cpu device{.threads = 1};
    image_set const set = tiny::images(10);
    auto const two = [](value x) {
        x = global_average_pool(relu(batch_norm{}(conv{.filters = 8}(x))));
        return outputs(output{"fine", dense{.units = 10}(x)}, output{"coarse", dense{.units = 3}(x)});
    };
    dynamic_model<cpu> m(device, two, image, {.max_batch = 10, .loss_outputs = {"fine"}});
    CHECK(train_supervised(m, set, sgd{}, {.epochs = 2, .batch = 10}, cross_entropy{.output = "fine"}).points.size() == 2);
}
