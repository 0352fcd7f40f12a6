// SPDX-License-Identifier: Apache-2.0
// Every public name in one translation unit, on g++, clang and nvcc: a contract, since other people's code is
// written against it.
#include <tempera/tempera.hpp>
#if __has_include(<cuda_runtime_api.h>)
#include <tempera/cuda.hpp>
#endif
#if __has_include(<jpeglib.h>) && __has_include(<png.h>)
#include <tempera/image.hpp>
#endif

using namespace tempera;

namespace surface {

// describing
inline constexpr auto tower = [](value x) {
    x = relu(batch_norm{.epsilon = 1e-5F, .decay = 0.9F, .scale = true, .offset = true}(
        conv{.filters = 32, .kernel = 3, .stride = 1, .bias = false}(x)));
    for (int i = 0; i < 3; ++i) x = relu(x + batch_norm{}(conv{.filters = 32}(x)));
    x = max_pool{.kernel = 3, .stride = 2}(x);
    x = average_pool{.kernel = 2, .stride = 2}(x);
    x = x * sigmoid(global_average_pool(x));
    x = concat(slice{.begin = 0, .count = 16}(x), slice{.begin = 16, .count = 16}(x), x);
    x = dropout{.rate = 0.1F}(x);
    x = drop_block{.keep = 0.9F, .size = 3}(x);
    x = selective_kernel{.filters = 16, .stride = 2, .ratio = 0.0625F}(x);
    x = squeeze_excite{.ratio = 0.25F}(x);
    return l2_normalize(dense{.units = 8, .bias = true}(global_average_pool(x)));
};

inline constexpr auto two_outputs = [](value x) {
    value const f = named("tower", tower)(x);
    return outputs(output{"features", stop_gradient(f)}, output{"head", dense{.units = 4}(f)});
};

/// A user's own op: y = 2 x.
struct twice {
    static constexpr device_set devices = on_cpu | on_gpu;
    constexpr shape infer(input_shapes in, declaration&) const { return in[0]; }
    static void forward(op_call& call) {
        auto const x = call.input<float>();
        auto const y = call.output<float>();
        for (std::int64_t i = 0; i < x.size(); ++i) y[i] = 2 * x[i];
    }
    static void backward(op_call& call) {
        auto const dy = call.output_gradient<float>();
        auto const dx = call.input_gradient<float>();
        for (std::int64_t i = 0; i < dy.size(); ++i) dx[i] = 2 * dy[i];
    }
};

inline constexpr auto mixed = sequential(tower, dense{.units = 16}, relu, named("last", dense{.units = 4}));
inline constexpr auto with_custom = [](value x) { return dense{.units = 4}(global_average_pool(x.apply(twice{}))); };

inline constexpr auto encoder = resnet<resnet_config{.depth = 50,
                                                     .width = 1,
                                                     .base_filters = 64,
                                                     .stages = 4,
                                                     .stem = stem::automatic,
                                                     .selective_kernel = false,
                                                     .sk_ratio = 0.0625F,
                                                     .se_ratio = 0,
                                                     .drop_block_keep = 1}>;
inline constexpr auto small_encoder = resnet<resnet_config{.depth = 10, .base_filters = 8, .stem = stem::small}>;
inline constexpr auto head = projection_head<projection_config{.layers = 3, .out = 128}>;
inline constexpr auto network = simclr(encoder, head);
inline constexpr auto tuned = classifier(encoder, head, classifier_config{.tap = 1, .classes = 10});
inline constexpr auto plain = classifier(small_encoder, classifier_config{.classes = 10});
static_assert(stem::imagenet != stem::resnet_d && stem::cifar != stem::small && unset != 0);

// knowing
static_assert(plan_of<encoder, shape{224, 224, 3}>.parameters == 23'508'032);
static_assert(plan_of<encoder, shape{224, 224, 3}>.statistics == 53'120);
static_assert(plan_of<encoder, shape{224, 224, 3}>.multiply_adds == 4'087'136'256);
static_assert(plan_of<plain, shape{28, 28, 1}>.ops.size() > 20);
static_assert(plan_of<plain, shape{28, 28, 1}>.manifest().size() > 20);
static_assert(training_bytes(plan_of<plain, shape{28, 28, 1}>, {.batch = 32,
                                                                .precision = precision::float32,
                                                                .device = device_kind::cpu,
                                                                .frozen = frozen("encoder.stem", bn::moving),
                                                                .recompute = false,
                                                                .slots = 1}) > 0);
static_assert(inference_bytes(plan_of<plain, shape{28, 28, 1}>, {.batch = 32}) > 0);

/// A user's own loss.
struct mean_output {
    loss_value operator()(cpu&, output_views const& out, targets const& t, gradient_views const& gradients) const {
        view<float const> const y = out.last();
        view<float> const dy = gradients.last();
        float sum = 0;
        for (std::int64_t i = 0; i < y.size(); ++i) {
            sum += y[i];
            dy[i] = 1.0F / static_cast<float>(y.size());
        }
        return {.loss = sum + 0.0F * static_cast<float>(t.labels.size() + t.teacher_logits.size()), .accuracy = 0, .entropy = 0};
    }
};
static_assert(Loss<mean_output, cpu> && Loss<nt_xent, cpu> && Loss<cross_entropy, cpu> && Loss<distillation, cpu>);

template <class D>
void run(D& device, view<float const> images, image_set const& set) {
    model<plain, shape{28, 28, 1}, D, precision::float32> m{
        device, model_options{.max_batch = 8, .seed = 1, .frozen = frozen("encoder.stem", bn::batch), .recompute = true}};
    output_views const out = m.forward(images);
    gradient_views const gradients = m.output_gradients();
    (void)(0.5F * cross_entropy{.label_smoothing = 0.1F} + distillation{.temperature = 1.0F, .alpha = 1.0F})(
        device, out, targets{}, gradients);
    m.backward(gradients, false);
    (void)m.predict(images);
    (void)m.output("classifier");
    (void)m.parameters().size();
    (void)m.gradients().size();
    (void)m.statistics().size();
    (void)m.manifest().size();
    m.save("model.safetensors");
    m.load("model.safetensors");
    (void)m.load_matching("model.safetensors").unused.size();
    predictor<D> const p(m, 8);
    (void)p.make_session().predict(images);
    dynamic_model<D> dynamic(device, resnet_network{{.depth = 18}}, shape{32, 32, 3});
    buffer<float> memory(device, 16);
    float host[16]{};
    device.upload(view<float const>{host, {16}}, memory);
    device.download(view<float const>{memory.data(), {16}}, view<float>{host, {16}});

    model<network, shape{28, 28, 1}, D> contrastive{device, {.max_batch = 16}};
    (void)pretrain(contrastive, set, nt_xent{.temperature = 0.1F, .normalize = true},
                   lars{.momentum = 0.9F, .weight_decay = 1e-4F, .eta = 1e-3F, .nesterov = false, .classic_momentum = true}, {});
    model<tuned, shape{28, 28, 1}, D> classifies{device, {.max_batch = 16}};
    (void)fine_tune(classifies, contrastive, set, sgd{.momentum = 0.9F, .nesterov = true, .weight_decay = 0}, {});
    (void)linear_evaluation(contrastive, set, sgd{}, {});
    (void)distill(m, classifies, set, distillation{}, adam{.beta1 = 0.9F, .beta2 = 0.999F, .epsilon = 1e-8F, .weight_decay = 0}, {});
    (void)evaluate(m, set).top1;
    (void)nearest_neighbours(embed(m, set, "encoder"), embed(m, set, "encoder"), 5);
}

inline void learning_names() {
    (void)weighted(0.5F, nt_xent{});
    (void)sum(nt_xent{}, cross_entropy{});
    (void)warmup_cosine{.peak = 0.1F, .warmup_steps = 10, .total_steps = 100}(5);
    (void)ema{.decay = 0.999F};
    solo alone;
    cpu one_of_many{.threads = 1, .processes = alone};
    (void)whole_batch{nt_xent{}, 2};
    (void)one_of_many.processes.size();
    (void)alone.rank();
    (void)summary(plan_of<mixed, shape{32, 32, 3}>);
    (void)plan_of<two_outputs, shape{32, 32, 3}>.parameters;
    (void)precision::bfloat16;
    (void)precision::float16;
    (void)bn::batch_without_update;
}

inline void data_names(shape image) {  // a name that users take: nothing of ours is called so
    image_set const set = packed_images("set.safetensors");
    image_packer packer("set.safetensors", image, {"cat", "dog"});
    packer.add({set.image(0).data, static_cast<std::size_t>(image.size())}, no_label);
    packer.commit();
#if __has_include(<jpeglib.h>) && __has_include(<png.h>)
    std::vector<unreadable_file> skipped;
    image_folder_options const options{.size = image, .fit = image_fit::stretch, .threads = 0, .progress = {}};
    (void)image_folder("folder", options, &skipped).joined(set);
    pack_image_folder("folder", "set.safetensors", {.size{224, 224, 3}, .fit = image_fit::cover});
    (void)list_images("folder").images.size();
    raster decoded;
    decode_image({}, "bytes", {.channels = 3, .height = 224, .width = 224}, decoded);
#endif
}

}  // namespace surface

int main(int argc, char**) {
    if (argc > 1000) {  // compiled and linked, never run
        cpu device{.threads = 2};
        surface::run(device, {}, {});
        surface::learning_names();
        surface::data_names({224, 224, 3});
        model<surface::with_custom, shape{8, 8, 3}> custom{device};
#if __has_include(<cuda_runtime_api.h>)
        gpu accelerator{.index = 0};
        surface::run(accelerator, {}, {});
#endif
    }
    return 0;
}
