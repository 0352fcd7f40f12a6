// SPDX-License-Identifier: Apache-2.0
// Prints a checksum of the weights after three steps in each precision, for same_bits.sh to compare between compilers.
#include <tempera/cpu.hpp>
#include <tempera/io/crc64.hpp>
#include <tempera/loss.hpp>
#include <tempera/nn.hpp>
#include <tempera/optim.hpp>
#include <tempera/pipeline/optimizer_state.hpp>
#include <tempera/runtime.hpp>

#include <cstdio>
#include <vector>

using namespace tempera;

namespace {

constexpr shape image{16, 16, 3};
constexpr int batch = 8;
constexpr auto encoder =
    resnet<resnet_config{.depth = 18, .base_filters = 8, .stem = stem::small, .selective_kernel = true}>;
constexpr auto network = classifier(encoder, classifier_config{.classes = 5});

template <precision P>
std::uint64_t trained() {
    cpu device{.threads = 2};
    dynamic_model<cpu, P> m(device, network, image, {.max_batch = batch});
    std::vector<float> x(static_cast<std::size_t>(batch * image.size()));
    philox_stream numbers(1);
    for (float& v : x) v = numbers.uniform(0.0F, 1.0F);
    std::vector<std::int32_t> const labels{0, 1, 2, 3, 4, 3, 2, 1};
    optimizer_state state(m, lars{});
    for (int step = 0; step < 3; ++step) {
        auto const outputs = m.forward({x.data(), {batch, image.height, image.width, image.channels}});
        cross_entropy{}(device, outputs, targets{.labels = {labels.data(), {batch}}}, m.output_gradients());
        m.backward(m.output_gradients());
        state.update(0.5F);
    }
    crc64 sum;
    std::vector<float> const weights = m.host_parameters();
    sum.add(std::as_bytes(std::span(weights)));
    return sum.value();
}

}  // namespace

int main() {
    std::printf("%016llx %016llx\n", static_cast<unsigned long long>(trained<precision::float32>()),
                static_cast<unsigned long long>(trained<precision::bfloat16>()));
}
