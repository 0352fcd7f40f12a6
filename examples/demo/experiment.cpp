// SPDX-License-Identifier: Apache-2.0
#include "experiment.hpp"

#include <algorithm>
#include <chrono>

#include <tempera/data/fraction.hpp>
#include <tempera/pipeline.hpp>

#include "devices.hpp"
#include "learning_rates.hpp"

namespace demo {

using namespace tempera;

namespace {

constexpr shape image{28, 28, 1};
constexpr int classes = 10;

template <precision P, class Device, class Network>
std::unique_ptr<network<Device, P>> make(Device& device, Network const& function, int max_batch, std::uint64_t seed) {
    return std::make_unique<network<Device, P>>(device, function, image, model_options{.max_batch = max_batch, .seed = seed});
}

}  // namespace

template <class Device, precision P>
experiment<Device, P>::experiment(Device& device, settings const& s, progress_sink progress)
    : device_(device),
      settings_(s),
      progress_(std::move(progress)),
      pretrained_(make<P>(device, simclr(s.encoder(), s.head()), 2 * s.batch, s.seed)) {}

template <class Device, precision P>
training_history experiment<Device, P>::pretrain(image_set const& images) {
    return tempera::pretrain(*pretrained_, images, nt_xent{.temperature = settings_.temperature},
                             sgd{.momentum = 0.9F, .nesterov = true, .weight_decay = 1e-4F},
                             {.epochs = settings_.pretrain_epochs,
                              .batch = settings_.batch,
                              .learning_rate = settings_.pretrain_rate,
                              .warmup_epochs = 1,
                              .augment = settings_.view_augmentation(),
                              .seed = settings_.seed,
                              .progress = progress_});
}

template <class Device, precision P>
embeddings experiment<Device, P>::features(image_set const& images, bool trained) {
    if (trained) return embed(*pretrained_, images, "encoder");
    auto const untrained = make<P>(device_, simclr(settings_.encoder(), settings_.head()), settings_.batch, settings_.seed);
    return embed(*untrained, images, "encoder");
}

template <class Device, precision P>
std::unique_ptr<network<Device, P>> experiment<Device, P>::make_classifier(row r, std::uint64_t seed) const {
    if (is_student(r))
        return make<P>(device_, classifier(settings_.student_encoder(), {.classes = classes}), settings_.batch, seed);
    int const tap = r == row::tap0 || r == row::linear ? 0 : 1;
    return make<P>(device_, classifier(settings_.encoder(), settings_.head(), {.tap = tap, .classes = classes}), settings_.batch, seed);
}

template <class Device, precision P>
train_options experiment<Device, P>::options(row r, task const& t, float learning_rate) const {
    label_fraction const& f = settings_.fractions[t.fraction];
    train_options o;
    o.batch = sees_all_images(r) ? settings_.distill_batch : f.batch;
    if (sees_all_images(r)) o.epochs = settings_.distill_epochs;
    else o.steps = f.steps;
    o.learning_rate = learning_rate;
    o.augment = settings_.label_augmentation();
    o.seed = t.seed;
    o.progress = progress_;
    o.stage = t.label + name_of(r);
    if (!t.curve.empty()) {
        o.validation = t.curve;
        int const per_epoch = sees_all_images(r) ? 1 : std::max(1, t.labeled.size() / f.batch);
        int const epochs = sees_all_images(r) ? o.epochs : f.steps / per_epoch;
        o.validate_every = std::max(1, epochs / 8);
    }
    return o;
}

template <class Device, precision P>
outcome<Device, P> experiment<Device, P>::run(row r, task const& t, float learning_rate, network<Device, P>* teacher) {
    outcome<Device, P> out;
    out.which = r;
    train_options o = options(r, t, learning_rate);
    if (r == row::linear) {
        auto result = linear_evaluation(*pretrained_, t.labeled, sgd{}, o);
        out.history = std::move(result.history);
        out.top1 = result.probe->evaluate(*pretrained_, t.judged).top1;
        return out;
    }
    out.model = make_classifier(r, t.seed);
    network<Device, P>& m = *out.model;
    sgd const optimizer{.momentum = 0.9F, .nesterov = true, .weight_decay = is_student(r) ? 1e-4F : 0.0F};
    switch (r) {
        case row::tap0:
        case row::tap1: out.history = fine_tune(m, *pretrained_, t.labeled, optimizer, o); break;
        case row::student_labeled:
            out.history = distill(m, *teacher, t.labeled, distillation{.alpha = settings_.alpha}, optimizer, o);
            break;
        case row::student_both:
            out.history = distill(m, *teacher, t.everything, distillation{.alpha = settings_.alpha}, optimizer, o);
            break;
        case row::student_all:
            out.history = distill(m, *teacher, unlabeled(t.everything), distillation{}, optimizer, o);
            break;
        default: out.history = train_supervised(m, t.labeled, optimizer, o); break;
    }
    out.top1 = evaluate(m, t.judged).top1;
    return out;
}

template <class Device, precision P>
std::int64_t experiment<Device, P>::parameters(row r) const { return make_classifier(r, 1)->plan().parameters; }

template <class Device, precision P>
double experiment<Device, P>::operations(row r) const { return 2.0 * static_cast<double>(make_classifier(r, 1)->plan().multiply_adds); }

template <class Device, precision P>
double experiment<Device, P>::tflop(int training_images, int test_images) const {
    double const forward = 2.0 * static_cast<double>(pretrained_->plan().multiply_adds);
    double total = 3 * forward * 2 * training_images * settings_.pretrain_epochs;
    for (label_fraction const& f : settings_.fractions) {
        for (row const r : all_rows) {
            double const labeled_images = static_cast<double>(f.batch) * f.steps;
            double const images =
                sees_all_images(r) ? static_cast<double>(training_images) * settings_.distill_epochs : labeled_images;
            double const teacher = is_student(r) && r != row::student_labels ? operations(row::tap1) : 0;
            double const own = operations(r) * (r == row::linear ? 1 : 3);
            total += settings_.draws * (images * (own + teacher) + operations(r) * test_images);
        }
    }
    return total * 1e-12;
}

template <class Device, precision P>
double experiment<Device, P>::measured_rate(image_set const& images) {
    auto const m = make<P>(device_, simclr(settings_.encoder(), settings_.head()), 2 * settings_.batch, 1);
    auto const run_steps = [&](int steps) {
        auto const begin = std::chrono::steady_clock::now();
        tempera::pretrain(*m, images, nt_xent{}, sgd{},
                          {.steps = steps, .batch = settings_.batch, .learning_rate = 0, .augment = settings_.view_augmentation()},
                          {.enabled = false});
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    };
    run_steps(2);
    constexpr int steps = 6;
    double const seconds = run_steps(steps);
    return 6.0 * static_cast<double>(m->plan().multiply_adds) * 2 * settings_.batch * steps / seconds;
}

template class experiment<cpu, precision::float32>;
template class experiment<cpu, precision::bfloat16>;
#ifdef TEMPERA_DEMO_CUDA
template class experiment<gpu, precision::float32>;
template class experiment<gpu, precision::bfloat16>;
#endif

}  // namespace demo
