// SPDX-License-Identifier: Apache-2.0
// Regression on Eigen arrays without a copy: the model reads a row-major matrix, its output is an Eigen::Map, and so is
// the gradient that a squared error writes.
#include <cmath>
#include <cstdio>
#include <tempera/interop/eigen.hpp>
#include <tempera/tempera.hpp>
using namespace tempera;

inline constexpr auto network = [](value x) {
    x = relu(dense{.units = 32}(x));
    x = relu(dense{.units = 32}(x));
    return dense{.units = 1}(x);
};

/// mean (y - wanted)^2: a loss that knows its own targets.
struct squared_error {
    eigen_matrix<float> const* wanted;
    loss_value operator()(cpu&, output_views const& outputs, targets const&, gradient_views const& gradients) const {
        auto const n = static_cast<float>(wanted->rows());
        eigen_matrix<float> const difference = eigen_of(outputs.last()) - *wanted;
        if (gradients.size() > 0) eigen_of(gradients.last()) = difference * (2 / n);
        return {.loss = difference.squaredNorm() / n};
    }
};

int main() {
    // y = sin(3 a) b, at 512 places
    eigen_matrix<float> const places = eigen_matrix<float>::Random(512, 2);
    eigen_matrix<float> const heights = (3 * places.col(0)).array().sin() * places.col(1).array();

    cpu device;
    model<network, shape{1, 1, 2}> m{device, {.max_batch = 512}};
    optimizer_state state{m, adam{}};
    squared_error const loss{&heights};
    for (int step = 0; step <= 600; ++step) {
        loss_value const v = loss(device, m.forward(view_of(places)), {}, m.output_gradients());
        m.backward(m.output_gradients());
        state.update(0.005F);
        if (step % 200 == 0) std::printf("step %3d: mean squared error %.5f\n", step, v.loss);
    }

    eigen_matrix<float> asked(3, 2);
    asked << 0.5F, 0.8F, -0.5F, 0.8F, 0.1F, -0.9F;
    auto const answers = eigen_of(m.predict(view_of(asked)).last());
    float worst = 0;
    for (int i = 0; i < 3; ++i) {
        float const truth = std::sin(3 * asked(i, 0)) * asked(i, 1);
        worst = std::max(worst, std::abs(answers(i, 0) - truth));
        std::printf("f(%.1f, %.1f) = %+.3f, found %+.3f\n", asked(i, 0), asked(i, 1), truth, answers(i, 0));
    }
    return worst < 0.15F ? 0 : 1;
}
