// SPDX-License-Identifier: Apache-2.0
#pragma once
// Training steps of one network on any device, so that two devices can be compared: the same weights, images, labels and
// teacher, all of them functions of a seed.

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include <tempera/tempera.hpp>

#include "lab.hpp"

namespace lab {

struct step_task {
    tempera::shape image{};
    int batch = 4;
    int steps = 2;
    int classes = 10;
    float learning_rate = 0.1F;
    std::uint64_t seed = 3;
};

/// What the steps left.
struct step_result {
    std::vector<tempera::loss_value> values;  ///< of every step
    std::vector<float> gradients;             ///< of the first step
    std::vector<std::vector<float>> after;    ///< the parameters after every step
    std::vector<float> parameters;            ///< after the last step
    std::vector<float> statistics;
    tempera::manifest entries;
};

template <class Device>
std::vector<float> host_gradients(Device& device, auto& model) {
    std::vector<float> host(static_cast<std::size_t>(model.gradients().size()));
    device.download(std::as_const(model.gradients()).view(),
                    tempera::view<float>{host.data(), {static_cast<int>(host.size())}});
    return host;
}

/// `teacher`: a network whose logits the loss may compare with. `other`: a run on another device, whose parameters each step
/// but the first starts from: where rounding opens a ReLU that was closed there, all that follows is another training.
template <tempera::precision P, class Device>
step_result train(Device& device, auto const& network, auto const& teacher, step_task const& task, auto const& loss,
                  auto const& optimizer, step_result const* other = nullptr) {
    using namespace tempera;
    model_options const options{.max_batch = task.batch, .seed = task.seed};
    dynamic_model<Device, P> m(device, network, task.image, options);
    dynamic_model<Device, P> t(device, teacher, task.image, options);
    optimizer_state<Device, P, std::remove_cvref_t<decltype(optimizer)>> state(m, optimizer);
    device_batch<float, Device> to_device(device);
    device_batch<std::int32_t, Device> labels_to_device(device);
    extents const dims{task.batch, task.image.height, task.image.width, task.image.channels};
    std::vector<std::int32_t> labels;
    for (int i = 0; i < task.batch; ++i) labels.push_back(i == 1 ? -1 : (3 * i + 1) % task.classes);

    step_result out;
    for (int step = 0; step < task.steps; ++step) {
        auto const images = random_values<float>(dims.size(), static_cast<std::uint32_t>(50 + step));
        view<float const> const x = to_device({images.data(), dims});
        view<std::int32_t const> const y = labels_to_device({labels.data(), {task.batch}});
        view<float const> const aim = t.predict(x).last();
        auto const outputs = m.forward(x);
        out.values.push_back(loss(device, outputs, targets{.labels = y, .teacher_logits = aim}, m.output_gradients()));
        m.backward(m.output_gradients());
        if (step == 0) out.gradients = host_gradients(device, m);
        state.update(task.learning_rate);
        out.after.push_back(m.host_parameters());
        if (other != nullptr) m.write_parameters(other->after[static_cast<std::size_t>(step)].data());
    }
    out.parameters = out.after.back();
    out.statistics = m.host_statistics();
    out.entries = m.manifest();
    return out;
}

/// The largest |found - expected| / |expected| of any tensor in a block, in the Euclidean norm. A tensor smaller than a
/// thousandth of the whole block counts as that large: what is left of a sum that cancels has no digits to compare.
inline double worst_tensor(tempera::manifest const& entries, bool statistics, std::vector<float> const& found,
                           std::vector<float> const& expected, std::string& name) {
    auto const norm = [](auto const& term, std::int64_t begin, std::int64_t count) {
        double sum = 0;
        for (std::int64_t i = begin; i < begin + count; ++i) sum += std::pow(term(static_cast<std::size_t>(i)), 2);
        return std::sqrt(sum);
    };
    auto const off = [&](std::size_t i) { return double{found[i]} - double{expected[i]}; };
    auto const size = [&](std::size_t i) { return double{expected[i]}; };
    double const floor = 1e-3 * norm(size, 0, static_cast<std::int64_t>(expected.size()));
    double worst = 0;
    for (auto const& e : entries) {
        if (tempera::is_statistic(e.role) != statistics) continue;
        double const relative = norm(off, e.offset, e.count) / std::max(floor, norm(size, e.offset, e.count));
        if (relative <= worst) continue;
        worst = relative;
        name = std::string(e.name.text());
    }
    return worst;
}

/// |found - expected| / |expected| of a whole block, in the Euclidean norm.
inline double distance(std::vector<float> const& found, std::vector<float> const& expected) {
    REQUIRE(found.size() == expected.size());
    double off = 0;
    double size = 0;
    for (std::size_t i = 0; i < found.size(); ++i) {
        off += std::pow(double{found[i]} - double{expected[i]}, 2);
        size += std::pow(double{expected[i]}, 2);
    }
    return std::sqrt(off / size);
}

/// How far the steps of one run may be from those of another, relative to the latter.
struct step_tolerance {
    double value = 0, gradient = 0, parameter = 0;
};

inline void compare(step_result const& found, step_result const& expected, step_tolerance const& t) {
    REQUIRE(found.values.size() == expected.values.size());
    for (std::size_t i = 0; i < found.values.size(); ++i) {
        CAPTURE(i, found.values[i].loss, expected.values[i].loss);
        CHECK(std::abs(found.values[i].loss - expected.values[i].loss) <=
              static_cast<float>(t.value) * expected.values[i].loss);
    }
    std::string name;
    double const gradient = worst_tensor(expected.entries, false, found.gradients, expected.gradients, name);
    CAPTURE(gradient, name);
    CHECK(gradient <= t.gradient);
    for (std::size_t i = 0; i < found.after.size(); ++i) {
        double const parameter = worst_tensor(expected.entries, false, found.after[i], expected.after[i], name);
        CAPTURE(i, parameter, name);
        CHECK(parameter <= t.parameter);
    }
    double const statistic = worst_tensor(expected.entries, true, found.statistics, expected.statistics, name);
    CAPTURE(statistic, name);
    CHECK(statistic <= t.parameter);
}

}  // namespace lab
