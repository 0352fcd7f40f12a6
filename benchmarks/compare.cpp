// SPDX-License-Identifier: Apache-2.0
// Our side of the comparison with PyTorch; benchmarks/compare/run.py drives it ('sh cmake/run compare').
//
//   compare                          the names of the workloads
//   compare <workload> --dump <dir>  writes weights, input and what a first step computes on a quarter of the batch
//   compare <workload>               reads "run N" from standard input and answers each with the seconds of N steps:
//                                    {"seconds": [0.1, ...]}; "quit" is answered with the largest resident set
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include <tempera/tempera.hpp>

using namespace tempera;

namespace {

/// Prepared to take steps; dump takes one and writes it down.
struct work {
    std::function<void()> step;
    std::function<void(std::string const& folder)> dump;
};

int threads() {
    char const* const text = std::getenv("TEMPERA_THREADS");
    return text != nullptr ? std::atoi(text) : 2;
}

std::vector<float> noise(std::int64_t count, float low, float high) {
    std::vector<float> x(static_cast<std::size_t>(count));
    philox_stream random(1);
    for (float& v : x) v = random.uniform(low, high);
    return x;
}

void write(std::string const& path, char const* name, view<float const> x, std::vector<float> const& loss) {
    extents const d = x.dims;
    std::vector<safetensors_entry> entries{
        entry_of(name, {d.n, d.h, d.w, d.c}, std::span(x.data, static_cast<std::size_t>(x.size())))};
    if (!loss.empty()) entries.push_back(entry_of("loss", {1}, std::span<float const>(loss)));
    write_safetensors(path, std::move(entries));
}

/// Weights and statistics as of a network in use. Scales that start at 0 would hide whole branches from the check.
template <class Model>
void unsettle(Model& m) {
    std::vector<float> parameters = m.host_parameters(), statistics = m.host_statistics();
    philox_stream random(2);
    for (manifest_entry const& e : m.manifest()) {
        bool const mean = e.role == role::moving_mean, variance = e.role == role::moving_variance;
        if (!mean && !variance && e.role != role::scale && e.role != role::offset) continue;
        auto& block = mean || variance ? statistics : parameters;
        for (std::int64_t i = 0; i < e.count; ++i) {
            float& x = block[static_cast<std::size_t>(e.offset + i)];
            if (e.role == role::scale || variance) x = (x == 0 ? 0.25F : x) * random.uniform(0.8F, 1.25F);
            else x = random.uniform(-0.1F, 0.1F);
        }
    }
    m.write_parameters(parameters.data());
    m.write_statistics(statistics.data());
}

/// One model with its optimizer, and how it comes by a batch.
template <precision P, class Optimizer>
struct training {
    template <class Network>
    training(Network const& network, shape image, int batch, Optimizer const& optimizer)
        : model(device, network, image, {.max_batch = batch}), updates(model, optimizer) {}

    cpu device{.threads = threads()};
    dynamic_model<cpu, P> model;
    optimizer_state<cpu, P, Optimizer> updates;
};

/// batch() gives a view of images that stays valid through the step.
template <precision P, class Optimizer, class Loss>
work work_of(std::shared_ptr<training<P, Optimizer>> t, Loss const& loss, std::vector<std::int32_t> labels,
             std::function<view<float const>()> batch) {
    auto const step = [t, loss, labels](view<float const> images, float rate) {
        auto const outputs = t->model.forward(images);
        loss_value const v = loss(t->device, outputs, {.labels = {labels.data(), {images.dims.n}}},
                                  t->model.output_gradients());
        t->model.backward(t->model.output_gradients());
        t->updates.update(rate);
        return v.loss;
    };
    return {[step, batch] { step(batch(), 1e-3F); },
            [t, step, batch](std::string const& folder) {
                unsettle(t->model);
                t->model.save(folder + "/before.safetensors");
                view<float const> const images = batch();
                write(folder + "/input.safetensors", "input", images, {});
                // A large rate, so that the change of the weights shows the gradient and not their last bits.
                float const value = step(images, 1.0F);
                write(folder + "/output.safetensors", "output", t->model.outputs().last(), {value});
                t->model.save(folder + "/after.safetensors");
            }};
}

template <precision P, class Network, class Loss>
work train(Network const& network, shape image, int batch, Loss const& loss) {
    auto const t = std::make_shared<training<P, sgd>>(network, image, batch, sgd{.weight_decay = 1e-4F});
    std::vector<std::int32_t> labels(static_cast<std::size_t>(batch));
    for (int i = 0; i < batch; ++i) labels[static_cast<std::size_t>(i)] = i % 10;
    auto const images = std::make_shared<std::vector<float>>(noise(batch * image.size(), 0, 1));
    return work_of(t, loss, labels, [=] {
        return view<float const>{images->data(), {batch, image.height, image.width, image.channels}};
    });
}

/// Two views of every image, made within the step: what the loader would prepare meanwhile is part of what it costs.
template <precision P, class Network>
work pretrain_step(Network const& network, shape image, int batch) {
    auto const t = std::make_shared<training<P, lars>>(network, image, 2 * batch, lars{});
    int const count = 4 * batch;
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(count * image.size()));
    philox_stream random(1);
    for (auto& p : pixels) p = static_cast<std::uint8_t>(random.word() >> 24);
    image_set const set(image, std::move(pixels), std::vector<std::int32_t>(static_cast<std::size_t>(count)), 1);
    auto const batches = std::make_shared<loader>(
        set, loader_options{.batch = batch,
                            .views = 2,
                            .augment = simclr_augmentation{.strength = 0.5F, .blur = 0},
                            .steps = std::int64_t{1} << 40,
                            .threads = 0});
    return work_of(t, nt_xent{.temperature = 0.1F}, {}, [=] { return batches->next().images; });
}

template <precision P, class Network>
work predict(Network const& network, shape image, int batch) {
    struct prediction {
        explicit prediction(std::vector<float> x) : images(std::move(x)) {}
        cpu device{.threads = threads()};
        std::vector<float> images;
    };
    auto const p = std::make_shared<prediction>(noise(batch * image.size(), 0, 1));
    auto const make = [=] {
        auto m = std::make_unique<dynamic_model<cpu, P>>(p->device, network, image, model_options{.max_batch = 1});
        unsettle(*m);
        return m;
    };
    auto const session = std::make_shared<typename predictor<cpu, P>::session>(
        predictor<cpu, P>(*make(), batch).make_session());
    view<float const> const input{p->images.data(), {batch, image.height, image.width, image.channels}};
    return {[=] { session->predict(input); },
            [=](std::string const& folder) {
                make()->save(folder + "/before.safetensors");
                write(folder + "/input.safetensors", "input", input, {});
                write(folder + "/output.safetensors", "output", session->predict(input).last(), {});
            }};
}

/// The loss alone, value and gradient.
work contrastive(int rows, int channels) {
    struct memory {
        cpu device{.threads = threads()};
        std::vector<float> h, dh;
    };
    auto const m = std::make_shared<memory>();
    m->h = noise(std::int64_t{1} * rows * channels, -1, 1);
    m->dh.resize(m->h.size());
    auto const step = [=] {
        return contrastive_cross_entropy(m->device, {rows / 2, channels, 0.1F, true}, m->h.data(), 1, m->dh.data(),
                                         store::write)
            .loss;
    };
    return {[step] { step(); },
            [=](std::string const& folder) {
                float const loss = step();
                write(folder + "/input.safetensors", "input", {m->h.data(), {rows, 1, 1, channels}}, {});
                write(folder + "/output.safetensors", "output", {m->dh.data(), {rows, 1, 1, channels}}, {loss});
            }};
}

constexpr shape digits{28, 28, 1}, cifar{32, 32, 3}, photo{224, 224, 3};
constexpr auto resnet50 = classifier(resnet_network{{.depth = 50}}, {});
constexpr auto selective50 = classifier(resnet_network{{.depth = 50, .selective_kernel = true}}, {});
constexpr resnet_network resnet18_encoder{{.depth = 18, .stem = stem::cifar}};
constexpr auto resnet18 = classifier(resnet18_encoder, {.classes = 10});
constexpr auto small = simclr(
    resnet_network{{.depth = 10, .base_filters = 16, .stages = 3, .stem = stem::small, .selective_kernel = true}},
    projection_network{{.layers = 3, .out = 64}});
constexpr auto pretrained18 = simclr(resnet18_encoder, projection_network{{.layers = 3, .out = 128}});

constexpr precision f32 = precision::float32, b16 = precision::bfloat16;

/// Made for a part of the batch: all of it, or the quarter that the check takes.
std::map<std::string, std::function<work(int)>> const workloads{
    {"resnet50_train_float32", [](int part) { return train<f32>(resnet50, photo, 32 / part, cross_entropy{}); }},
    {"resnet50_train_bfloat16", [](int part) { return train<b16>(resnet50, photo, 32 / part, cross_entropy{}); }},
    {"resnet50_predict_float32_batch32", [](int part) { return predict<f32>(resnet50, photo, 32 / part); }},
    {"resnet50_predict_float32_batch1", [](int) { return predict<f32>(resnet50, photo, 1); }},
    {"resnet50_predict_bfloat16_batch32", [](int part) { return predict<b16>(resnet50, photo, 32 / part); }},
    {"resnet50_predict_bfloat16_batch1", [](int) { return predict<b16>(resnet50, photo, 1); }},
    {"resnet18_train_float32", [](int part) { return train<f32>(resnet18, cifar, 128 / part, cross_entropy{}); }},
    {"resnet18_train_bfloat16", [](int part) { return train<b16>(resnet18, cifar, 128 / part, cross_entropy{}); }},
    {"small_train_float32", [](int part) { return train<f32>(small, digits, 512 / part, nt_xent{.temperature = 0.2F}); }},
    {"selective50_train_float32", [](int part) { return train<f32>(selective50, photo, 32 / part, cross_entropy{}); }},
    {"selective50_train_bfloat16", [](int part) { return train<b16>(selective50, photo, 32 / part, cross_entropy{}); }},
    {"nt_xent_float32", [](int part) { return contrastive(8192 / part, 128); }},
    {"simclr_step_float32", [](int part) { return pretrain_step<f32>(pretrained18, cifar, 256 / part); }},
};

/// Largest resident set of this process in bytes, as Linux counts it; 0 elsewhere.
std::int64_t peak_bytes() {
    std::ifstream status("/proc/self/status");
    for (std::string word; status >> word;) {
        std::int64_t kib = 0;
        if (word == "VmHWM:" && status >> kib) return kib * 1024;
    }
    return 0;
}

void serve(work const& w) {
    std::string const isa(name_of(cpu{.threads = 1}.level()));
    std::printf("{\"instruction_set\": \"%s\", \"threads\": %d}\n", isa.c_str(), threads());
    std::fflush(stdout);
    for (std::string line; std::getline(std::cin, line) && line != "quit";) {
        std::istringstream words(line);
        std::string verb;
        int count = 0;
        words >> verb >> count;
        std::printf("{\"seconds\": [");
        for (int i = 0; i < count; ++i) {
            auto const begin = std::chrono::steady_clock::now();
            w.step();
            std::chrono::duration<double> const passed = std::chrono::steady_clock::now() - begin;
            std::printf("%s%.9f", i > 0 ? ", " : "", passed.count());
        }
        std::printf("]}\n");
        std::fflush(stdout);
    }
    std::printf("{\"peak_bytes\": %lld}\n", static_cast<long long>(peak_bytes()));
}

}  // namespace

int main(int count, char** arguments) {
    std::string const name = count > 1 ? arguments[1] : "";
    auto const found = workloads.find(name);
    if (found == workloads.end()) {
        std::puts("compare: measured by 'sh cmake/run compare'; its workloads are");
        for (auto const& known : workloads) std::printf("  %s\n", known.first.c_str());
        return name.empty() || name[0] == '-' ? 0 : 2;
    }
    if (count > 3 && std::string(arguments[2]) == "--dump") found->second(4).dump(arguments[3]);
    else serve(found->second(1));
}
