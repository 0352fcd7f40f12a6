// SPDX-License-Identifier: Apache-2.0
// Our side of the comparison with PyTorch on the CPU ('sh cmake/run compare'; benchmarks/compare.hpp).
#include <cstdlib>
#include <fstream>

#include "compare.hpp"

namespace compare {

int threads() {
    char const* const text = std::getenv("TEMPERA_THREADS");
    return text != nullptr ? std::atoi(text) : 2;
}
template <>
cpu opened<cpu>() {
    return cpu{.threads = threads()};
}

/// Two views of every image, made within the step: what the loader would prepare meanwhile is part of what it costs.
template <precision P, class Network>
work pretrain_step(Network const& network, shape image, int batch) {
    auto const t = std::make_shared<training<cpu, P, lars>>(network, image, 2 * batch, lars{});
    image_set const set = noisy_set(image, 4 * batch);
    auto const batches = std::make_shared<loader>(
        set, loader_options{.batch = batch,
                            .views = 2,
                            .augment = simclr_augmentation{.strength = 0.5F, .blur = 0},
                            .steps = std::int64_t{1} << 40,
                            .threads = 0});
    return work_of(t, nt_xent{.temperature = 0.1F}, [=] { return std::pair{batches->next().images, targets{}}; });
}

namespace {

constexpr auto small = simclr(
    resnet_network{{.depth = 10, .base_filters = 16, .stages = 3, .stem = stem::small, .selective_kernel = true}},
    projection_network{{.layers = 3, .out = 64}});
constexpr auto pretrained18 = simclr(resnet18_encoder, projection_network{{.layers = 3, .out = 128}});

workloads const known{
    {"resnet50_train_float32", [](int part) { return train<cpu, f32>(resnet50, photo, 32 / part, cross_entropy{}); }},
    {"resnet50_train_bfloat16", [](int part) { return train<cpu, b16>(resnet50, photo, 32 / part, cross_entropy{}); }},
    {"resnet50_predict_float32_batch32", [](int part) { return predict<cpu, f32>(resnet50, photo, 32 / part); }},
    {"resnet50_predict_float32_batch1", [](int) { return predict<cpu, f32>(resnet50, photo, 1); }},
    {"resnet50_predict_bfloat16_batch32", [](int part) { return predict<cpu, b16>(resnet50, photo, 32 / part); }},
    {"resnet50_predict_bfloat16_batch1", [](int) { return predict<cpu, b16>(resnet50, photo, 1); }},
    {"resnet18_train_float32", [](int part) { return train<cpu, f32>(resnet18, cifar, 128 / part, cross_entropy{}); }},
    {"resnet18_train_bfloat16", [](int part) { return train<cpu, b16>(resnet18, cifar, 128 / part, cross_entropy{}); }},
    {"small_train_float32",
     [](int part) { return train<cpu, f32>(small, digits, 512 / part, nt_xent{.temperature = 0.2F}); }},
    {"selective50_train_float32",
     [](int part) { return train<cpu, f32>(selective50, photo, 32 / part, cross_entropy{}); }},
    {"selective50_train_bfloat16",
     [](int part) { return train<cpu, b16>(selective50, photo, 32 / part, cross_entropy{}); }},
    {"nt_xent_float32", [](int part) { return contrastive<cpu>(8192 / part, 128); }},
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

std::string hello() {
    return "{\"instruction_set\": \"" + std::string(name_of(cpu{.threads = 1}.level())) +
           "\", \"threads\": " + std::to_string(threads()) + "}";
}

}  // namespace

}  // namespace compare

int main(int count, char** arguments) {
    return compare::run(count, arguments, compare::known, 4, [](compare::work const& w) {
        compare::serve(w, compare::hello(), false, compare::peak_bytes);
    });
}
