// SPDX-License-Identifier: Apache-2.0
// Training and predicting on xt::xtensor<float, 4> without a copy: the model reads the program's own arrays, and its
// outputs are xtensor expressions.
#include <cstdio>
#include <tempera/interop/xtensor.hpp>
#include <tempera/tempera.hpp>

#if __has_include(<xtensor/views/xview.hpp>)  // xtensor 0.26 moved its headers
#include <xtensor/views/xview.hpp>
#else
#include <xtensor/xview.hpp>
#endif
using namespace tempera;

inline constexpr shape image{16, 16, 1};
inline constexpr auto network = [](value x) {
    x = relu(batch_norm{}(conv{.filters = 8, .stride = 2}(x)));
    x = relu(batch_norm{}(conv{.filters = 16, .stride = 2}(x)));
    return dense{.units = 2}(global_average_pool(x));
};

int main() {
    // pictures of stripes, lying or standing, at random places
    int const n = 128;
    xt::xtensor<float, 4> images = xt::zeros<float>({n, 16, 16, 1});
    xt::xtensor<std::int32_t, 1> labels = xt::zeros<std::int32_t>({n});
    philox_stream random(1);
    for (int i = 0; i < n; ++i) {
        auto const place = random.word() % 14;
        if ((labels(i) = i % 2) == 1) xt::view(images, i, xt::all(), xt::range(place, place + 2)) = 1;
        else xt::view(images, i, xt::range(place, place + 2), xt::all()) = 1;
    }

    cpu device;
    model<network, image> m{device, {.max_batch = n}};
    optimizer_state state{m, adam{}};
    for (int step = 0; step < 60; ++step) {
        output_views const outputs = m.forward(view_of(images));
        loss_value const v = cross_entropy{}(device, outputs, {.labels = view_of(labels)}, m.output_gradients());
        m.backward(m.output_gradients());
        state.update(0.01F);
        if (step % 20 == 0) std::printf("step %2d: loss %.3f\n", step, v.loss);
    }

    auto const logits = xtensor_of(m.predict(view_of(images)).last());  // {n, 1, 1, 2}, the model's memory
    auto const standing = xt::view(logits, xt::all(), 0, 0, 1) > xt::view(logits, xt::all(), 0, 0, 0);
    auto const right = xt::sum(xt::equal(xt::cast<std::int32_t>(standing), labels))();
    std::printf("%d of %d stripes told apart\n", static_cast<int>(right), n);
    return right > 0.95 * n ? 0 : 1;
}
