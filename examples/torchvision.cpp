// SPDX-License-Identifier: Apache-2.0
// torchvision's ResNets, for weights that were trained with it: from_torchvision.py writes them under these names. They differ from
// SimCLR's (nn/resnet.hpp) in the padding of a pool, in their shortcuts and in images that are normalized.
// Command: torchvision [50.safetensors images.safetensors], the second as pack_images writes it, 224 x 224.
#include <algorithm>
#include <array>
#include <cstdio>
#include <exception>
#include <numeric>
#include <tempera/tempera.hpp>
#include <vector>
using namespace tempera;

struct torchvision_resnet {
    std::array<int, 4> blocks{3, 4, 6, 3};
    bool bottlenecks = true;

    constexpr output_list operator()(value x) const {
        // Mean and deviation of ImageNet's channels stand where a batch norm keeps its moving statistics.
        x = named("normalize", batch_norm{.scale = false, .offset = false})(x);
        x = relu(named("bn1", batch_norm{})(named("conv1", conv{.filters = 64, .kernel = 7, .stride = 2})(x)));
        // Padded on both sides: the windows of a pool of stride 1, every second of them.
        x = max_pool{.kernel = 1, .stride = 2}(max_pool{.kernel = 3, .stride = 1}(x));
        for (int stage = 0; stage < 4; ++stage) {
            scope const layer(x, "layer", stage + 1);
            for (int i = 0; i < blocks[static_cast<std::size_t>(stage)]; ++i) {
                scope const block(x, "block", i);
                x = residual(x, 64 << stage, i == 0 && stage > 0 ? 2 : 1);
            }
        }
        return outputs(output{"logits", named("fc", dense{.units = 1000})(global_average_pool(x))});
    }

private:
    static constexpr value unit(value x, int number, int filters, int kernel, int stride) {
        x = apply_named(conv{.filters = filters, .kernel = kernel, .stride = stride}, x, "conv", number);
        return apply_named(batch_norm{}, x, "bn", number);
    }
    constexpr value residual(value x, int filters, int stride) const {
        int const out = bottlenecks ? 4 * filters : filters;
        value y = x;
        if (bottlenecks) {
            y = relu(unit(y, 1, filters, 1, 1));
            y = relu(unit(y, 2, filters, 3, stride));
            y = unit(y, 3, out, 1, 1);
        } else {
            y = relu(unit(y, 1, filters, 3, stride));
            y = unit(y, 2, out, 3, 1);
        }
        if (stride == 1 && x.shape().channels == out) return relu(x + y);
        scope const shortcut(x, "downsample");
        return relu(unit(x, 1, out, 1, stride) + y);
    }
};

inline constexpr shape image{224, 224, 3};
inline constexpr torchvision_resnet resnet50{};
inline constexpr torchvision_resnet resnet18{.blocks = {2, 2, 2, 2}, .bottlenecks = false};
static_assert(plan_of<resnet50, image>.parameters == 25'557'032, "as torchvision's documentation has it");
static_assert(plan_of<resnet18, image>.parameters == 11'689'512);

int main(int count, char** arguments) try {
    if (count != 3) {
        std::printf("%s", summary(plan_of<resnet50, image>).c_str());
        std::printf("torchvision WEIGHTS.safetensors IMAGES.safetensors names the best classes of some images\n");
        return count == 1 ? 0 : 2;
    }
    image_set const images = packed_images(arguments[2]);
    std::vector<int> some(static_cast<std::size_t>(std::min(images.size(), 10)));
    std::iota(some.begin(), some.end(), 0);
    cpu device;
    model<resnet50, image> m{device, {.max_batch = 10}};
    m.load(arguments[1]);
    embeddings const logits = embed(m, images.subset(some), "logits");
    for (int const i : some) {
        std::array<int, 1000> order;
        std::iota(order.begin(), order.end(), 0);
        std::partial_sort(order.begin(), order.begin() + 5, order.end(),
                          [row = logits.row(i)](int a, int b) { return row[a] > row[b]; });
        std::printf("image %d:", i);
        for (int const best : {order[0], order[1], order[2], order[3], order[4]})
            std::printf("  %d (%.3f)", best, static_cast<double>(logits.row(i)[best]));
        std::printf("\n");
    }
} catch (std::exception const& e) {
    std::fprintf(stderr, "torchvision: %s\n", e.what());
    return 1;
}
