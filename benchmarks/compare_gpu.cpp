// SPDX-License-Identifier: Apache-2.0
// Our side of the comparison with PyTorch on a GPU ('sh cmake/run gpu compare'; benchmarks/compare.hpp). Training steps are
// captured_steps.
#include "compare.hpp"

#include <tempera/cuda.hpp>

namespace compare {

template <>
gpu opened<gpu>() {
    return gpu{};
}

template <>
struct stepper<gpu> {
    template <class Training, class Loss>
    static auto of(Training& t, Loss const& loss) {
        return captured_step(t.model, loss, t.updates);
    }
};

namespace {

/// Two views of every image, of sets that stay on the device; decisions come from the loader's threads.
template <precision P, class Network>
work pretrain_step(Network const& network, shape image, int batch) {
    auto const t = std::make_shared<training<gpu, P, lars>>(network, image, 2 * batch, lars{});
    image_set const set = noisy_set(image, 4 * batch);
    simclr_augmentation const augment{.height = image.height, .width = image.width, .strength = 0.5F, .blur = 0};
    auto const views = std::make_shared<device_views<gpu>>(t->device, set, augment);
    auto const batches = std::make_shared<loader>(set, loader_options{.batch = batch,
                                                                      .views = 2,
                                                                      .augment = augment,
                                                                      .steps = std::int64_t{1} << 40,
                                                                      .threads = 4,
                                                                      .ahead = 4,
                                                                      .draw_only = views->draw_only()});
    return work_of(t, nt_xent{.temperature = 0.1F}, [=] { return std::pair{(*views)(batches->next()), targets{}}; });
}

/// The update alone, of gradients that one step has left.
template <class Network>
work update(Network const& network, shape image) {
    auto const t = std::make_shared<training<gpu, f32, lars>>(network, image, 1, lars{});
    placed<gpu, float> const input(t->device, noise(image.size(), 0, 1), {1, image.height, image.width, image.channels});
    placed<gpu, std::int32_t> const label(t->device, {0}, {1});
    t->step(cross_entropy{}, input.view(), {.labels = label.view()}, 1e-3F);
    return {[t] { t->updates.update(1e-3F); }, [t] { t->device.synchronize(); }, {}};
}

template <int Depth, int Width>
constexpr auto wide = classifier(resnet_network{{.depth = Depth, .width = Width}}, {});

template <precision P, class Network>
std::function<work(int)> training_of(Network const& network, shape image, int batch) {
    return [=](int parts) { return train<gpu, P>(network, image, batch / parts, cross_entropy{}); };
}
template <precision P, class Network>
std::function<work(int)> prediction_of(Network const& network, shape image, int batch) {
    return [=](int parts) { return predict<gpu, P>(network, image, batch > parts ? batch / parts : batch); };
}
std::function<work(int)> contrastive_of(int rows) {
    return [=](int parts) { return contrastive<gpu>(rows / parts, 128); };
}

constexpr auto pretrained50 = simclr(resnet_network{{.depth = 50}}, projection_network{{.layers = 3, .out = 128}});

workloads const known{
    {"resnet50_train_bfloat16", training_of<b16>(resnet50, photo, 256)},
    {"resnet50_train_float16", training_of<f16>(resnet50, photo, 256)},
    {"selective50_train_bfloat16", training_of<b16>(selective50, photo, 256)},
    {"resnet18_train_bfloat16", training_of<b16>(resnet18, cifar, 128)},
    {"resnet50x2_train_bfloat16", training_of<b16>(wide<50, 2>, photo, 128)},
    {"resnet152x3_train_bfloat16", training_of<b16>(wide<152, 3>, photo, 64)},
    {"resnet50_predict_bfloat16_batch256", prediction_of<b16>(resnet50, photo, 256)},
    {"resnet50_predict_bfloat16_batch1", prediction_of<b16>(resnet50, photo, 1)},
    {"simclr_step_bfloat16", [](int parts) { return pretrain_step<b16>(pretrained50, photo, 512 / parts); }},
    {"lars_float32", [](int) { return update(resnet50, photo); }},
    {"nt_xent_4096", contrastive_of(2 * 4096)},
    {"nt_xent_65536", contrastive_of(2 * 65536)},
};

/// Not told: the device only knows what all programs together have in use.
std::int64_t used_bytes() { return 0; }

std::string hello() {
    cudaDeviceProp properties{};
    cuda_kernels::check(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
    return "{\"device\": \"" + std::string(properties.name) + "\"}";
}

}  // namespace

}  // namespace compare

int main(int count, char** arguments) {
    return compare::run(count, arguments, compare::known, 16, [](compare::work const& w) {
        compare::serve(w, compare::hello(), true, compare::used_bytes);
    });
}
