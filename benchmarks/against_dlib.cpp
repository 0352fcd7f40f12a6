// SPDX-License-Identifier: Apache-2.0
// One training step of the same network in tempera and in dlib with OpenBLAS: ResNet-18 with CIFAR stem, 32 images of
// 32 x 32 x 3, ten classes, SGD with momentum 0.9, two threads. Rounds take turns; the medians are compared.
// Command: against_dlib [rounds]. Exit code 1 when tempera is less than twice as fast.
#include <dlib/dnn.h>
#include <dlib/revision.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <tempera/tempera.hpp>

extern "C" void openblas_set_num_threads(int);
extern "C" char* openblas_get_config();

namespace {

constexpr int batch = 32, size = 32, classes = 10, threads = 2;

/// The same network in dlib, with a projection in the first block of every stage. Padding is spelled out: its default is
/// none where there is a stride.
namespace peer {
using namespace dlib;

template <long Filters, int Stride, class Below>
using conv3 = add_layer<con_<Filters, 3, 3, Stride, Stride, 1, 1>, Below>;
template <long Filters, int Stride, class Below>
using branch = bn_con<conv3<Filters, 1, relu<bn_con<conv3<Filters, Stride, Below>>>>>;
template <long Filters, class Below>
using same = relu<add_prev1<branch<Filters, 1, tag1<Below>>>>;
template <long Filters, int Stride, class Below>
using shortcut = bn_con<add_layer<con_<Filters, 1, 1, Stride, Stride, 0, 0>, skip1<tag2<branch<Filters, Stride, tag1<Below>>>>>>;
template <long Filters, int Stride, class Below>
using stage = same<Filters, relu<add_prev2<shortcut<Filters, Stride, Below>>>>;

using stem = relu<bn_con<conv3<64, 1, input<matrix<rgb_pixel>>>>>;
using stages = stage<512, 2, stage<256, 2, stage<128, 2, stage<64, 1, stem>>>>;
using network = loss_multiclass_log<fc<classes, avg_pool_everything<stages>>>;
}  // namespace peer

inline constexpr auto resnet18 = tempera::classifier(
    tempera::resnet<tempera::resnet_config{.depth = 18, .stem = tempera::stem::cifar}>,
    tempera::classifier_config{.classes = classes});

double median(std::vector<double> x) {
    std::nth_element(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(x.size() / 2), x.end());
    return x[x.size() / 2];
}

template <class F>
double seconds(F const& f) {
    auto const begin = std::chrono::steady_clock::now();
    f();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

int main(int count, char** arguments) {
    if (count > 1 && arguments[1][0] == '-') {
        std::puts("against_dlib: left out, it takes no options of Google Benchmark but a number of rounds");
        return 0;
    }
    int const rounds = count > 1 ? std::max(1, std::atoi(arguments[1])) : 5;
    openblas_set_num_threads(threads);

    std::vector<dlib::matrix<dlib::rgb_pixel>> pictures(batch);
    std::vector<float> images;
    std::vector<unsigned long> their_labels;
    std::vector<std::int32_t> labels;
    tempera::philox_stream random(1);
    for (int i = 0; i < batch; ++i) {
        auto& picture = pictures[static_cast<std::size_t>(i)];
        picture.set_size(size, size);
        for (auto& pixel : picture) {
            auto const draw = [&] { return static_cast<unsigned char>(random.word() >> 24); };
            pixel = dlib::rgb_pixel(draw(), draw(), draw());
            for (unsigned char const c : {pixel.red, pixel.green, pixel.blue})
                images.push_back(static_cast<float>(c) / 256.0F);
        }
        labels.push_back(i % classes);
        their_labels.push_back(static_cast<unsigned long>(i % classes));
    }

    tempera::cpu device{.threads = threads};
    tempera::model<resnet18, tempera::shape{size, size, 3}> ours(device, {.max_batch = batch});
    tempera::sgd const optimizer{.momentum = 0.9F, .nesterov = false, .weight_decay = 5e-4F};
    tempera::optimizer_state<tempera::cpu, tempera::precision::float32, tempera::sgd> state(ours, optimizer);
    auto const our_step = [&] {
        auto const outputs = ours.forward({images.data(), {batch, size, size, 3}});
        tempera::cross_entropy{}(device, outputs, {.labels = {labels.data(), {batch}}}, ours.output_gradients());
        ours.backward(ours.output_gradients());
        state.update(0.01F);
    };

    peer::network theirs;
    dlib::disable_duplicative_biases(theirs);
    dlib::resizable_tensor x;
    theirs.to_tensor(pictures.begin(), pictures.end(), x);
    std::vector<dlib::sgd> solvers(peer::network::num_computational_layers, dlib::sgd(5e-4F, 0.9F));
    auto const their_step = [&] {
        theirs.compute_parameter_gradients(x, their_labels.begin());
        theirs.update_parameters(dlib::make_sstack(solvers), 0.01);
    };

    our_step();
    their_step();
    std::printf("ResNet-18, CIFAR stem, %lld parameters (dlib: %zu), batch %d, %d threads; dlib %d.%d with %s\n",
                static_cast<long long>(ours.plan().parameters), dlib::count_parameters(theirs), batch, threads,
                DLIB_MAJOR_VERSION, DLIB_MINOR_VERSION, openblas_get_config());
    std::vector<double> our_times, their_times;
    for (int round = 0; round < rounds; ++round) {
        for (int i = 0; i < 3; ++i) our_times.push_back(seconds(our_step));
        their_times.push_back(seconds(their_step));
    }
    double const our_rate = batch / median(our_times), their_rate = batch / median(their_times);
    std::printf("tempera %7.1f images/s\ndlib    %7.1f images/s\nratio   %7.2f (at least 2 is promised)\n", our_rate,
                their_rate, our_rate / their_rate);
    return our_rate >= 2 * their_rate ? 0 : 1;
}
