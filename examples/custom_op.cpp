// SPDX-License-Identifier: Apache-2.0
// An op of one's own with a learned parameter and its gradient, y = a x / (1 + |x|), one a per channel: the gradient is
// written by hand and checked by differences, inside a network that learns exclusive or. No registration, no macro.
#include <cmath>
#include <cstdio>
#include <tempera/tempera.hpp>
using namespace tempera;

struct scaled_softsign {
    static constexpr device_set devices = on_cpu;

    constexpr shape infer(input_shapes in, declaration& declare) const {
        declare.parameter(in[0].channels, 1.0F);
        return in[0];
    }
    static void forward(op_call& call) {
        auto const x = call.input<float>();
        auto const y = call.output<float>();
        for (std::int64_t i = 0; i < x.size(); ++i) y[i] = call.parameter()[i % x.dims.c] * x[i] / (1 + std::abs(x[i]));
    }
    static void backward(op_call& call) {
        auto const x = call.input<float>();
        auto const dy = call.output_gradient<float>();
        auto const dx = call.input_gradient<float>();
        for (std::int64_t i = 0; i < x.size(); ++i) {
            float const d = 1 + std::abs(x[i]);
            call.parameter_gradient()[i % x.dims.c] += dy[i] * x[i] / d;
            if (!dx.empty()) dx[i] = dy[i] * call.parameter()[i % x.dims.c] / (d * d);
        }
    }
};

inline constexpr auto network = [](value x) {
    return dense{.units = 2}(dense{.units = 16}(x).apply(scaled_softsign{}));
};

int main() {
    float const points[]{0, 0, 0, 1, 1, 0, 1, 1};
    std::int32_t const labels[]{0, 1, 1, 0};
    cpu device{.threads = 1};
    model<network, shape{1, 1, 2}> m{device};
    auto const loss = [&] {
        output_views const logits = m.forward({points, {4, 1, 1, 2}});
        auto const v = cross_entropy{}(device, logits, {.labels = {labels, {4}}}, m.output_gradients());
        m.backward(m.output_gradients());
        return v;
    };
    optimizer_state state{m, adam{}};
    for (int step = 0; step < 40; ++step) loss(), state.update(0.02F);
    loss_value const v = loss();
    std::printf("exclusive or after 40 steps: loss %.3f, accuracy %.0f %%\n", v.loss, 100 * v.accuracy);

    auto const& entry = m.manifest()[2];  // after weight and bias of the first dense layer
    float& a = m.parameters().data()[entry.offset];
    float const gradient = m.gradients().data()[entry.offset], before = a;
    auto const loss_at = [&](float value) { return a = value, m.touch(), loss().loss; };
    float const slope = (loss_at(before + 0.1F) - loss_at(before - 0.1F)) / 0.2F;
    std::printf("d loss / d %s[0]: %+.3e, by differences %+.3e\n", entry.name.text().data(), gradient, slope);
    return v.accuracy == 1 && std::abs(slope - gradient) < 0.02F * std::abs(slope) ? 0 : 1;
}
