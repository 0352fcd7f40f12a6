// SPDX-License-Identifier: Apache-2.0
#pragma once
// Our side of a comparison with PyTorch: how each kind of workload is made, on any device, and the protocol by which
// benchmarks/compare/run.py drives the programs.
//
//   program                          the names of the workloads
//   program <workload> --dump <dir> [draw]  writes weights, input and what a first step computes on a part of the batch
//   program <workload>               reads "run N" from standard input and answers with the seconds of steps:
//                                    {"seconds": [0.1, ...]}; "quit" is answered with the largest memory in use
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <tempera/tempera.hpp>

namespace compare {

using namespace tempera;

/// Prepared to take steps. finish waits until the device has done them; dump takes one and writes it down.
struct work {
    std::function<void()> step;
    std::function<void()> finish;
    std::function<void(std::string const& folder, std::uint64_t draw)> dump;
};

/// What a program says of its device.
template <class Device>
Device opened();

inline std::vector<float> noise(std::int64_t count, float low, float high) {
    std::vector<float> x(static_cast<std::size_t>(count));
    philox_stream random(1);
    for (float& v : x) v = random.uniform(low, high);
    return x;
}

/// Images of random bytes.
inline image_set noisy_set(shape image, int count) {
    std::vector<std::uint8_t> pixels(static_cast<std::size_t>(count * image.size()));
    philox_stream random(1);
    for (auto& p : pixels) p = static_cast<std::uint8_t>(random.word() >> 24);
    return {image, std::move(pixels), std::vector<std::int32_t>(static_cast<std::size_t>(count)), 1};
}

/// An array that stays where the device can read it.
template <class Device, class T>
class placed {
public:
    placed(Device& device, std::vector<T> const& host, extents dims)
        : memory_(device, static_cast<std::int64_t>(host.size())), dims_(dims) {
        device.upload(tempera::view<T const>{host.data(), dims}, memory_);
    }
    tempera::view<T const> view() const { return {memory_.data(), dims_}; }

private:
    buffer<T> memory_;
    extents dims_;
};

template <class Device>
void write(Device& device, std::string const& path, char const* name, view<float const> x,
           std::vector<float> const& loss) {
    std::vector<float> host(static_cast<std::size_t>(x.size()));
    device.download(x, view<float>{host.data(), x.dims});
    std::vector<safetensors_entry> entries{
        entry_of(name, {x.dims.n, x.dims.h, x.dims.w, x.dims.c}, std::span<float const>(host))};
    if (!loss.empty()) entries.push_back(entry_of("loss", {1}, std::span<float const>(loss)));
    write_safetensors(path, std::move(entries));
}

/// Weights and statistics as of a network in use. Scales that start at 0 would hide whole branches from the check.
template <class Model>
void unsettle(Model& m, std::uint64_t draw = 1) {
    std::vector<float> parameters = m.host_parameters(), statistics = m.host_statistics();
    philox_stream random(1 + draw);
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

/// One model with its optimizer.
template <class Device, precision P, class Optimizer>
struct training {
    template <class Network>
    training(Network const& network, shape image, int batch, Optimizer const& optimizer)
        : model(device, network, image, {.max_batch = batch}), updates(model, optimizer) {}

    template <class Loss>
    loss_value step(Loss const& loss, view<float const> images, targets const& target, float rate) {
        auto const outputs = model.forward(images);
        loss_value const value = loss(device, outputs, target, model.output_gradients());
        model.backward(model.output_gradients());
        updates.update(rate);
        return value;
    }

    Device device = opened<Device>();
    dynamic_model<Device, P> model;
    optimizer_state<Device, P, Optimizer> updates;
};

/// How the steps that are timed are taken: (images, target, learning rate).
template <class Device>
struct stepper {
    template <class Training, class Loss>
    static auto of(Training& t, Loss const& loss) {
        return [&t, loss](view<float const> images, targets const& target, float rate) {
            t.step(loss, images, target, rate);
        };
    }
};

/// batch() gives images and what they are trained towards, valid through the step.
template <class Device, precision P, class Optimizer, class Loss>
work work_of(std::shared_ptr<training<Device, P, Optimizer>> t, Loss const& loss,
             std::function<std::pair<view<float const>, targets>()> batch) {
    using taken = decltype(stepper<Device>::of(*t, loss));
    auto const take = std::make_shared<taken>(stepper<Device>::of(*t, loss));
    return {[t, take, batch] {
                auto const [images, target] = batch();
                (*take)(images, target, 1e-3F);
            },
            [t] { t->device.synchronize(); },
            [t, loss, batch](std::string const& folder, std::uint64_t draw) {
                unsettle(t->model, draw);
                t->model.save(folder + "/before.safetensors");
                auto const [images, target] = batch();
                write(t->device, folder + "/input.safetensors", "input", images, {});
                // A large rate, so that the change of the weights shows the gradient and not their last bits.
                float const value = t->step(loss, images, target, 1.0F).loss;
                write(t->device, folder + "/output.safetensors", "output", t->model.outputs().last(), {value});
                t->model.save(folder + "/after.safetensors");
            }};
}

/// Training on one batch that stays where it is.
template <class Device, precision P, class Network, class Loss>
work train(Network const& network, shape image, int batch, Loss const& loss) {
    auto const t =
        std::make_shared<training<Device, P, sgd>>(network, image, batch, sgd{.weight_decay = 1e-4F});
    std::vector<std::int32_t> classes(static_cast<std::size_t>(batch));
    for (int i = 0; i < batch; ++i) classes[static_cast<std::size_t>(i)] = i % 10;
    auto const images = std::make_shared<placed<Device, float>>(
        t->device, noise(batch * image.size(), 0, 1), extents{batch, image.height, image.width, image.channels});
    auto const labels = std::make_shared<placed<Device, std::int32_t>>(t->device, classes, extents{batch});
    return work_of(t, loss, [=] { return std::pair{images->view(), targets{.labels = labels->view()}}; });
}

template <class Device, precision P, class Network>
work predict(Network const& network, shape image, int batch) {
    struct prediction {
        prediction(shape x, int count)
            : images(device, noise(count * x.size(), 0, 1), {count, x.height, x.width, x.channels}) {}
        Device device = opened<Device>();
        placed<Device, float> images;
    };
    auto const p = std::make_shared<prediction>(image, batch);
    auto const make = [=] {
        auto m = std::make_unique<dynamic_model<Device, P>>(p->device, network, image, model_options{.max_batch = 1});
        unsettle(*m);
        return m;
    };
    auto const session = std::make_shared<typename predictor<Device, P>::session>(
        predictor<Device, P>(*make(), batch).make_session());
    return {[=] { session->predict(p->images.view()); },
            [=] { p->device.synchronize(); },
            [=](std::string const& folder, std::uint64_t) {
                make()->save(folder + "/before.safetensors");
                write(p->device, folder + "/input.safetensors", "input", p->images.view(), {});
                write(p->device, folder + "/output.safetensors", "output", session->predict(p->images.view()).last(),
                      {});
            }};
}

/// The loss alone, value and gradient.
template <class Device>
work contrastive(int rows, int channels) {
    struct memory {
        memory(int count, int width)
            : h(device, noise(std::int64_t{1} * count * width, -1, 1), {count, 1, 1, width}), dh(device, h.view().size()) {}
        Device device = opened<Device>();
        placed<Device, float> h;
        buffer<float> dh;
    };
    auto const m = std::make_shared<memory>(rows, channels);
    auto const step = [=] {
        return contrastive_cross_entropy(m->device, {rows / 2, channels, 0.1F, true}, m->h.view().data, 1, m->dh.data(),
                                         store::write)
            .loss;
    };
    return {[step] { step(); },
            [=] { m->device.synchronize(); },
            [=](std::string const& folder, std::uint64_t) {
                float const loss = step();
                write(m->device, folder + "/input.safetensors", "input", m->h.view(), {});
                write(m->device, folder + "/output.safetensors", "output", {m->dh.data(), m->h.view().dims}, {loss});
            }};
}

constexpr shape digits{28, 28, 1}, cifar{32, 32, 3}, photo{224, 224, 3};
constexpr auto resnet50 = classifier(resnet_network{{.depth = 50}}, {});
constexpr auto selective50 = classifier(resnet_network{{.depth = 50, .selective_kernel = true}}, {});
constexpr resnet_network resnet18_encoder{{.depth = 18, .stem = stem::cifar}};
constexpr auto resnet18 = classifier(resnet18_encoder, {.classes = 10});
constexpr precision f32 = precision::float32, b16 = precision::bfloat16, f16 = precision::float16;

/// Each is made for one of so many parts of its batch.
using workloads = std::map<std::string, std::function<work(int parts)>>;

/// Times every step, or, where the host need not wait for each, all of them together.
inline void serve(work const& w, std::string const& hello, bool together, std::int64_t (*peak_bytes)()) {
    std::printf("%s\n", hello.c_str());
    std::fflush(stdout);
    for (std::string line; std::getline(std::cin, line) && line != "quit";) {
        std::istringstream words(line);
        std::string verb;
        int count = 0;
        words >> verb >> count;
        int const at_once = together ? count : 1;
        std::printf("{\"seconds\": [");
        for (int i = 0; i < count; i += at_once) {
            auto const begin = std::chrono::steady_clock::now();
            for (int k = 0; k < at_once; ++k) w.step();
            w.finish();
            std::chrono::duration<double> const passed = std::chrono::steady_clock::now() - begin;
            std::printf("%s%.9f", i > 0 ? ", " : "", passed.count() / at_once);
        }
        std::printf("]}\n");
        std::fflush(stdout);
    }
    std::printf("{\"peak_bytes\": %lld}\n", static_cast<long long>(peak_bytes()));
}

/// parts: of the batch that the check takes one of.
inline int run(int count, char** arguments, workloads const& known, int parts, std::function<void(work const&)> const& use) {
    std::string const name = count > 1 ? arguments[1] : "";
    auto const found = known.find(name);
    if (found == known.end()) {
        std::puts("measured by benchmarks/compare/run.py; the workloads are");
        for (auto const& w : known) std::printf("  %s\n", w.first.c_str());
        return name.empty() || name[0] == '-' ? 0 : 2;
    }
    if (count > 3 && std::string(arguments[2]) == "--dump")
        found->second(parts).dump(arguments[3], count > 4 ? std::strtoull(arguments[4], nullptr, 10) : 1);
    else use(found->second(1));
    return 0;
}

}  // namespace compare
