// SPDX-License-Identifier: Apache-2.0
// Projection heads, taps, classifiers and frozen parts against the authors' code.
#include <tempera/cpu.hpp>
#include <tempera/loss.hpp>
#include <tempera/nn.hpp>
#include <tempera/runtime.hpp>

#include "../catch.hpp"
#include "input_gradient_probe.hpp"
#include "reference_names.hpp"

using namespace tempera;

namespace {

view<float const> rows_of(fixture::tensor const& t) { return {t.values.data(), {t.dims[0], 1, 1, t.dims[1]}}; }
view<float const> images_of(fixture::tensor const& t) {
    return {t.values.data(), {t.dims[0], t.dims[1], t.dims[2], t.dims[3]}};
}

std::vector<std::int32_t> classes_of(fixture::tensor const& one_hot) {
    std::vector<std::int32_t> labels;
    for (int i = 0; i < one_hot.dims[0]; ++i)
        for (int c = 0; c < one_hot.dims[1]; ++c)
            if (one_hot.values[static_cast<std::size_t>(i * one_hot.dims[1] + c)] == 1) labels.push_back(c);
    REQUIRE(labels.size() == static_cast<std::size_t>(one_hot.dims[0]));
    return labels;
}

/// A head behind the gradient probe, its tap k as the output.
struct tapped_head {
    projection_network head;
    int tap;
    constexpr value operator()(value x) const {
        x = x.apply(input_gradient_probe{});
        scope const level(x, "head");
        return head.tap(x, tap);
    }
};

}  // namespace

TEST_CASE("the projection head and its taps agree with the authors' code", "[heads]") {
    fixture::file const f("heads");
    cpu device{.threads = 1};
    projection_network const head{{.layers = 3, .out = 16}};
    for (int tap = 0; tap <= 3; ++tap) {
        INFO("tap " << tap);
        dynamic_model<cpu> m(device, tapped_head{head, tap}, shape{1, 1, 24}, {.max_batch = 8});
        reference::load(m, f, "param/");
        std::string const selector = "selector" + std::to_string(tap);
        CHECK(fixture::difference(m.predict(rows_of(f["input"])).last().data, f["eval/" + selector]) < 1e-5);
        CHECK(fixture::difference(m.forward(rows_of(f["input"])).last().data, f["train/" + selector]) < 1e-5);
        if (tap < 3) continue;
        view<float> const g = m.output_gradients().last();
        for (std::int64_t i = 0; i < g.size(); ++i) g[i] = f["cotangent"].values[static_cast<std::size_t>(i)];
        m.backward(m.output_gradients());
        CHECK(fixture::difference(input_gradient_probe::seen.data(), f["grad_input"]) < 1e-4);
        auto const names = reference::names(m.manifest());
        auto const gradients = reference::host_gradients(m);
        for (std::size_t k = 0; k < names.size(); ++k) {
            auto const& e = m.manifest()[k];
            if (names[k].empty()) continue;
            INFO(names[k]);
            if (is_statistic(e.role))
                CHECK(reference::difference(e, m.host_statistics(), f["moving_after/" + names[k]]) < 1e-5);
            else CHECK(reference::difference(e, gradients, f["grad/" + names[k]]) < 1e-4);
        }
    }
}

TEST_CASE("TF1's linear and two-layer heads agree with the authors' code", "[heads]") {
    fixture::file const f("heads_tf1");
    cpu device{.threads = 1};
    struct mode {
        std::string name;
        int layers;
    };
    for (auto const& [name, layers] : {mode{"linear", 1}, mode{"nonlinear", 2}}) {
        INFO(name);
        projection_network const head{{.layers = layers, .out = 16}};
        dynamic_model<cpu> m(device, tapped_head{head, layers}, shape{1, 1, 24}, {.max_batch = 8});
        auto const names = reference::names(m.manifest());
        auto parameters = m.host_parameters();
        auto statistics = m.host_statistics();
        for (std::size_t k = 0; k < names.size(); ++k) {
            auto const& e = m.manifest()[k];
            if (names[k].empty()) continue;
            // the one layer of the linear mode is called l_0, its normalization and dense as the others'
            std::string key = names[k];
            if (!f.has(name + "/param/" + key)) key.replace(key.find("nl_0"), 4, "l_0");
            auto const& t = f[name + "/param/" + key];
            auto& block = is_statistic(e.role) ? statistics : parameters;
            for (std::int64_t i = 0; i < e.count; ++i)
                block[static_cast<std::size_t>(e.offset + i)] = t.values[reference::index_of(e, i)];
        }
        m.write_parameters(parameters.data());
        m.write_statistics(statistics.data());
        CHECK(fixture::difference(m.predict(rows_of(f["input"])).last().data, f[name + "/output_eval"]) < 1e-5);
        CHECK(fixture::difference(m.forward(rows_of(f["input"])).last().data, f[name + "/output_train"]) < 1e-5);
    }
}

TEST_CASE("the supervised head agrees with the authors' code", "[heads]") {
    fixture::file const f("heads");
    cpu device{.threads = 1};
    auto const network = [](value x) {
        return apply_named(dense{.units = 7, .classifies = true}, x.apply(input_gradient_probe{}), "classifier");
    };
    dynamic_model<cpu> m(device, network, shape{1, 1, 24}, {.max_batch = 8});
    reference::load(m, f, "supervised/param/");
    auto const outputs = m.forward(rows_of(f["input"]));
    CHECK(fixture::difference(outputs.last().data, f["supervised/logits"]) < 1e-5);
    auto const labels = classes_of(f["supervised/labels"]);
    auto const loss = cross_entropy{}(device, outputs, targets{.labels = {labels.data(), {8}}}, m.output_gradients());
    CHECK(std::abs(loss.loss - f["supervised/loss"].values[0]) < 1e-5 * f["supervised/loss"].values[0]);
    m.backward(m.output_gradients());
    auto const gradients = reference::host_gradients(m);
    auto const names = reference::names(m.manifest());
    for (std::size_t k = 0; k < names.size(); ++k)
        if (!names[k].empty())
            CHECK(reference::difference(m.manifest()[k], gradients, f["supervised/grad/" + names[k]]) < 1e-4);
    CHECK(fixture::difference(input_gradient_probe::seen.data(), f["supervised/grad_input"]) < 1e-4);
}

TEST_CASE("fine-tuning modes agree with the authors' code", "[heads]") {
    fixture::file const f("finetune_modes");
    resnet_network const encoder{{.depth = 18, .base_filters = 4, .stem = stem::cifar}};
    projection_network const head{{.layers = 3, .out = 16}};
    struct mode {
        std::string name;
        int tap;
        frozen_list freeze;
    };
    // TF2 keeps batch statistics in frozen parts
    std::vector<mode> const modes{
        {"after-1_sel0", 0, {}},
        {"after-1_sel1", 1, {}},
        {"after2_sel1",
         1,
         {frozen("encoder.stem", bn::batch), frozen("encoder.stage1", bn::batch), frozen("encoder.stage2", bn::batch)}},
        {"after4_sel0", 0, frozen("encoder", bn::batch)}};
    auto const labels = classes_of(f["labels"]);
    cpu device{.threads = 2};
    for (auto const& [name, tap, freeze] : modes) {
        INFO(name);
        auto const network = classifier(encoder, head, {.tap = tap, .classes = 4});
        dynamic_model<cpu> m(device, network, shape{32, 32, 3}, {.max_batch = 6, .frozen = freeze});
        reference::load(m, f, "param/");
        CHECK(fixture::difference(m.predict(images_of(f["input"])).last().data, f[name + "/logits_eval"]) < 1e-4);
        auto const outputs = m.forward(images_of(f["input"]));
        CHECK(fixture::difference(outputs.last().data, f[name + "/logits_train"]) < 1e-4);
        auto const v = cross_entropy{}(device, outputs, targets{.labels = {labels.data(), {6}}}, m.output_gradients());
        CHECK(std::abs(v.loss - f[name + "/loss"].values[0]) < 1e-4 * f[name + "/loss"].values[0]);
        m.backward(m.output_gradients());
        auto const gradients = reference::host_gradients(m);
        auto const statistics = m.host_statistics();
        auto const names = reference::names(m.manifest());
        std::string const trainable = fixture::json("finetune_modes", "/config/" + name + "/trainable");
        std::size_t compared = 0;
        for (std::size_t k = 0; k < names.size(); ++k) {
            auto const& e = m.manifest()[k];
            INFO(names[k] << " = " << e.name.text());
            if (is_statistic(e.role)) {
                CHECK(reference::difference(e, statistics, f[name + "/moving_after/" + names[k]]) < 1e-4);
                continue;
            }
            CHECK(e.trained == (trainable.find('"' + names[k] + '"') != std::string::npos));
            if (!f.has(name + "/grad/" + names[k])) {
                CHECK((!e.trained || e.rank == 4));
                continue;
            }
            ++compared;
            CHECK(reference::difference(e, gradients, f[name + "/grad/" + names[k]]) < 2e-3);
        }
        // the file leaves out the gradients of the encoder's kernels
        CHECK(compared == f.names(name + "/grad/").size());
    }
}
