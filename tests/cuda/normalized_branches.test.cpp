// SPDX-License-Identifier: Apache-2.0
// Selective kernels that normalize their branches as they read them, on the GPU, against their definition in float64.

#include "../device/branches_in_double.hpp"
#include "lab.hpp"

using namespace tempera;

namespace {

/// Offset by `shift` elements, so that packs cannot be loaded whole.
template <class T>
std::vector<T> shifted(std::vector<T> values, int shift) {
    values.insert(values.begin(), static_cast<std::size_t>(shift), T{});
    return values;
}
template <class T>
std::vector<T> unshifted(std::vector<T> values, int shift) {
    values.erase(values.begin(), values.begin() + shift);
    return values;
}

}  // namespace

TEMPLATE_TEST_CASE("gpu normalized branches: forward and backward", "", float, bf16, tempera::half) {
    emulation::with const machine(lab::any_order());
    gpu device;
    store const mode = GENERATE(store::write, store::accumulate);
    bool const batch_statistics = GENERATE(true, false);
    auto const [batch, positions, filters, shift] =
        GENERATE(std::tuple(2, 5, 3, 0), std::tuple(1, 1, 1, 0), std::tuple(2, 700, 24, 0), std::tuple(2, 300, 24, 1),
                 std::tuple(1, 9, 264, 0), std::tuple(3, 40, 4, 0));
    selective_geometry const g{.batch = batch, .positions = positions, .filters = filters};
    int const maps = batch * positions * filters;
    int const vectors = batch * filters;
    auto const x = lab::random_values<TestType>(2 * maps, 1);
    auto const dy = lab::random_values<TestType>(maps, 2);
    auto const old = lab::random_values<TestType>(2 * maps, 3);
    auto const mean = lab::random_values<float>(2 * filters, 4);
    auto variance = lab::random_values<float>(2 * filters, 5);
    for (float& v : variance) v = 1.5F + v;
    auto const scale = lab::random_values<float>(2 * filters, 6);
    auto const offset = lab::random_values<float>(2 * filters, 7);
    auto logits = lab::random_values<float>(2 * vectors, 8);
    for (float& v : logits) v *= 3;
    auto const daverage = lab::random_values<float>(vectors, 9);
    auto const old_logits = lab::random_values<float>(2 * vectors, 10);
    auto const old_parameters = lab::random_values<float>(2 * filters, 11);

    branches_in_double exact{g,
                             static_cast<double>(1e-3F),
                             batch_statistics,
                             lab::exact(x),
                             lab::exact(mean),
                             lab::exact(variance),
                             lab::exact(scale),
                             lab::exact(offset),
                             lab::exact(logits),
                             lab::exact(dy),
                             lab::exact(daverage),
                             {},
                             {},
                             {},
                             {},
                             {},
                             {}};
    exact.run();
    auto const expected = [mode](std::vector<double> values, std::vector<double> const& before) {
        if (mode == store::accumulate)
            for (std::size_t i = 0; i < values.size(); ++i) values[i] += before[i];
        return values;
    };

    auto x_memory = lab::on_device(device, shifted(x, shift));
    auto dy_memory = lab::on_device(device, shifted(dy, shift));
    auto mean_memory = lab::on_device(device, mean);
    auto variance_memory = lab::on_device(device, variance);
    auto scale_memory = lab::on_device(device, scale);
    auto offset_memory = lab::on_device(device, offset);
    auto logits_memory = lab::on_device(device, logits);
    auto daverage_memory = lab::on_device(device, daverage);
    auto y_memory = lab::on_device(device, std::vector<TestType>(dy.size() + static_cast<std::size_t>(shift)));
    auto dx_memory = lab::on_device(device, shifted(old, shift));
    auto dlogits_memory = lab::on_device(device, old_logits);
    auto dscale_memory = lab::on_device(device, old_parameters);
    auto doffset_memory = lab::on_device(device, old_parameters);
    buffer<float> sums_memory(device, 8 * vectors), average_memory(device, vectors);

    normalized_branches<TestType> const from{
        x_memory.data() + shift,
        {mean_memory.data(), variance_memory.data(), scale_memory.data(), offset_memory.data()},
        1e-3F};
    TestType const* const dy_data = dy_memory.data() + shift;
    normalized_average(device, g, from, sums_memory.data(), average_memory.data());
    normalized_merge(device, g, from, logits_memory.data(), y_memory.data() + shift);
    normalized_merge_backward(device, g, from, logits_memory.data(), dy_data, sums_memory.data(), dlogits_memory.data(),
                              mode);
    batch_norm_gradients<TestType> to{.dx = dx_memory.data() + shift,
                                      .dx_store = mode,
                                      .dscale = dscale_memory.data(),
                                      .doffset = doffset_memory.data(),
                                      .parameter_store = mode};
    auto const backward = [&] {
        normalized_branches_backward(device, g, from, batch_statistics, logits_memory.data(), dy_data,
                                     daverage_memory.data(), sums_memory.data(), to);
    };
    backward();
    double const of_sums = 4 * lab::tolerance<float>;
    CHECK(lab::difference(lab::from_device(device, average_memory), exact.average) < of_sums);
    CHECK(lab::difference(unshifted(lab::from_device(device, y_memory), shift), exact.y) < lab::tolerance<TestType>);
    CHECK(lab::difference(lab::from_device(device, dlogits_memory), expected(exact.dlogits, lab::exact(old_logits))) <
          of_sums);
    auto const dx = unshifted(lab::from_device(device, dx_memory), shift);
    CHECK(lab::difference(dx, expected(exact.dx, lab::exact(old))) < lab::tolerance<TestType>);
    auto const dscale = lab::from_device(device, dscale_memory);
    CHECK(lab::difference(dscale, expected(exact.dscale, lab::exact(old_parameters))) < of_sums);
    CHECK(lab::difference(lab::from_device(device, doffset_memory),
                          expected(exact.doffset, lab::exact(old_parameters))) < of_sums);

    // without the gradients of the parameters, and without that of x
    auto again = lab::on_device(device, shifted(old, shift));
    to = {.dx = again.data() + shift, .dx_store = mode};
    backward();
    CHECK(unshifted(lab::from_device(device, again), shift) == dx);
    auto of_scale = lab::on_device(device, old_parameters);
    to = {.dscale = of_scale.data(), .parameter_store = mode};
    backward();
    CHECK(lab::from_device(device, of_scale) == dscale);
}
