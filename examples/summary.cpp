// SPDX-License-Identifier: Apache-2.0
// What the compiler knows of ResNet-50 2x with selective kernels: every op with its shape, parameters and
// multiply-adds, then the memory that training and inference take. No model is made.
#include <cstdio>
#include <tempera/nn.hpp>
#include <tempera/runtime.hpp>
using namespace tempera;

inline constexpr auto encoder = resnet<resnet_config{.depth = 50, .width = 2, .selective_kernel = true}>;

int main() {
    plan_view const p = plan_of<encoder, shape{224, 224, 3}>;
    std::fputs(summary(p).c_str(), stdout);

    auto const row = [](char const* name, std::int64_t one, std::int64_t many) {
        auto const gigabytes = [](std::int64_t bytes) { return 1e-9 * static_cast<double>(bytes); };
        std::printf("%-36s %8.2f GB %8.2f GB\n", name, gigabytes(one), gigabytes(many));
    };
    std::printf("\n%-36s %11s %11s\n", "float32, batch", "1", "32");
    row("training, one optimizer slot", training_bytes(p, {.batch = 1}), training_bytes(p, {.batch = 32}));
    row("training, activations recomputed", training_bytes(p, {.batch = 1, .recompute = true}),
        training_bytes(p, {.batch = 32, .recompute = true}));
    row("inference", inference_bytes(p, {.batch = 1}), inference_bytes(p, {.batch = 32}));
}
