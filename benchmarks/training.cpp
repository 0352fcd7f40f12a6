// SPDX-License-Identifier: Apache-2.0
// Whole steps: forward, loss, backward and update of ResNets and of the demo's networks, and predictions through a
// predictor. images/s and GFLOP/s of the best step (a training step counts three times the multiply-adds of its forward
// pass) and the fraction of the peak of the same threads. Command: training

#include "peak.hpp"

#include <vector>

#include <tempera/loss.hpp>
#include <tempera/nn.hpp>
#include <tempera/optim.hpp>
#include <tempera/pipeline/optimizer_state.hpp>
#include <tempera/runtime.hpp>

using namespace tempera;

namespace {

constexpr resnet_network resnet18_cifar{{.depth = 18, .stem = stem::cifar}};
constexpr resnet_network resnet50{{.depth = 50}};
constexpr resnet_network demo_encoder{
    {.depth = 10, .base_filters = 16, .stages = 3, .stem = stem::small, .selective_kernel = true}};
constexpr projection_network demo_head{{.layers = 3, .out = 64}};

std::vector<float> noise(std::int64_t count) {
    std::vector<float> x(static_cast<std::size_t>(count));
    philox_stream random(1);
    for (float& v : x) v = random.uniform(0, 1);
    return x;
}

/// Times `step` until the benchmark ends; images per second are the fastest step's.
template <class Step>
void report(benchmark::State& state, cpu& device, int batch, std::int64_t multiply_adds, Step const& step) {
    step();  // memory is touched and weights are packed
    bench::call_times times;
    for (auto _ : state) times.measure(step);
    state.counters["images/s"] = batch / times.wall;
    bench::count_arithmetic(state, device, multiply_adds * batch, times);
}

template <precision P = precision::float32, class Network, class Loss>
void train(benchmark::State& state, Network const& network, shape image, int batch, Loss const& loss) {
    cpu device{.threads = bench::threads()};
    dynamic_model<cpu, P> m(device, network, image, {.max_batch = batch});
    optimizer_state<cpu, P, sgd> updates(m, sgd{.weight_decay = 1e-4F});
    std::vector<float> const images = noise(batch * image.size());
    std::vector<std::int32_t> labels(static_cast<std::size_t>(batch));
    for (int i = 0; i < batch; ++i) labels[static_cast<std::size_t>(i)] = i % 10;
    report(state, device, batch, 3 * m.plan().multiply_adds, [&] {
        output_views const outputs = m.forward({images.data(), {batch, image.height, image.width, image.channels}});
        benchmark::DoNotOptimize(loss(device, outputs, {.labels = {labels.data(), {batch}}}, m.output_gradients()));
        m.backward(m.output_gradients());
        updates.update(1e-3F);
    });
}

template <class Network>
void predict(benchmark::State& state, Network const& network, shape image, int batch) {
    cpu device{.threads = bench::threads()};
    dynamic_model<cpu> const m(device, network, image, {.max_batch = 1});
    predictor<cpu> const shared(m, batch);
    auto session = shared.make_session();
    std::vector<float> const images = noise(batch * image.size());
    report(state, device, batch, m.plan().multiply_adds, [&] {
        auto const outputs = session.predict({images.data(), {batch, image.height, image.width, image.channels}});
        benchmark::DoNotOptimize(outputs.last().data);
    });
}

constexpr shape small{28, 28, 1}, cifar{32, 32, 3}, photo{224, 224, 3};

void train_resnet18_cifar(benchmark::State& state) {
    train(state, classifier(resnet18_cifar, {.classes = 10}), cifar, static_cast<int>(state.range(0)), cross_entropy{});
}
void train_resnet50_224(benchmark::State& state) {
    train(state, classifier(resnet50, {}), photo, static_cast<int>(state.range(0)), cross_entropy{});
}
void train_resnet18_cifar_bf16(benchmark::State& state) {
    train<precision::bfloat16>(state, classifier(resnet18_cifar, {.classes = 10}), cifar,
                               static_cast<int>(state.range(0)), cross_entropy{});
}
void train_resnet50_224_bf16(benchmark::State& state) {
    train<precision::bfloat16>(state, classifier(resnet50, {}), photo, static_cast<int>(state.range(0)),
                               cross_entropy{});
}
void pretrain_demo(benchmark::State& state) {
    train(state, simclr(demo_encoder, demo_head), small, static_cast<int>(state.range(0)), nt_xent{.temperature = 0.2F});
}
void fine_tune_demo(benchmark::State& state) {
    train(state, classifier(demo_encoder, demo_head, {.classes = 10}), small, static_cast<int>(state.range(0)),
          cross_entropy{});
}
void predict_resnet18_cifar(benchmark::State& state) {
    predict(state, classifier(resnet18_cifar, {.classes = 10}), cifar, static_cast<int>(state.range(0)));
}
void predict_resnet50_224(benchmark::State& state) {
    predict(state, classifier(resnet50, {}), photo, static_cast<int>(state.range(0)));
}

}  // namespace

BENCHMARK(train_resnet18_cifar)->ArgName("batch")->Arg(32)->Arg(128)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(train_resnet50_224)->ArgName("batch")->Arg(8)->Iterations(2)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(train_resnet18_cifar_bf16)->ArgName("batch")->Arg(128)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(train_resnet50_224_bf16)->ArgName("batch")->Arg(8)->Iterations(2)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(pretrain_demo)->ArgName("views")->Arg(512)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(fine_tune_demo)->ArgName("batch")->Arg(80)->Arg(256)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(predict_resnet18_cifar)->ArgName("batch")->Arg(1)->Arg(32)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(predict_resnet50_224)->ArgName("batch")->Arg(1)->Arg(32)->UseRealTime()->Unit(benchmark::kMillisecond);

BENCHMARK_MAIN();
