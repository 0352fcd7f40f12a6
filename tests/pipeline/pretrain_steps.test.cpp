// SPDX-License-Identifier: Apache-2.0
// Four steps of SimCLRv2 pretraining (ResNet-18, NT-Xent, online classifier, LARS, cosine) against a run of the
// authors' program.
#include <tempera/cpu.hpp>
#include <tempera/loss.hpp>
#include <tempera/nn.hpp>
#include <tempera/optim.hpp>
#include <tempera/pipeline/optimizer_state.hpp>
#include <tempera/runtime.hpp>

#include "../catch.hpp"
#include "../runtime/reference_names.hpp"

using namespace tempera;

namespace {

/// Encoder, head, and the classifier on stopped gradients that the reference trains beside them.
constexpr auto network = [](value x) {
    value const features = apply_named(resnet_network{{.depth = 18, .base_filters = 8, .stem = stem::cifar}}, x, "encoder");
    value const logits = apply_named(dense{.units = 10, .classifies = true}, stop_gradient(features), "classifier");
    value const projected = apply_named(projection_network{{.layers = 3, .out = 128}}, features, "head");
    return outputs(output{"classifier", logits}, output{"head", projected});
};

/// Images {batch, h, w, 6} with the two views on the channel axis as rows [view a | view b].
std::vector<float> two_views(float const* x, int batch, int positions) {
    std::vector<float> rows(static_cast<std::size_t>(2 * batch * positions * 3));
    for (int v = 0; v < 2; ++v)
        for (int i = 0; i < batch * positions; ++i)
            for (int c = 0; c < 3; ++c)
                rows[static_cast<std::size_t>((v * batch * positions + i) * 3 + c)] = x[i * 6 + v * 3 + c];
    return rows;
}

}  // namespace

TEST_CASE("pretraining steps agree with the authors' program", "[pretrain]") {
    fixture::file const f("pretrain_steps");
    auto const& features = f["features"];
    int const steps = features.dims[0], batch = features.dims[1], positions = features.dims[2] * features.dims[3];
    cpu device{.threads = 2};
    dynamic_model<cpu> m(device, network, shape{32, 32, 3}, {.max_batch = 2 * batch, .loss_outputs = {"classifier", "head"}});
    reference::load(m, f, "param_before/");
    auto const names = reference::names(m.manifest());
    optimizer_state<cpu, precision::float32, lars> optimizer(m, lars{.momentum = 0.9F, .weight_decay = 1e-4F});
    nt_xent const contrast{.temperature = 0.5F, .output = "head"};
    cross_entropy const supervised{.output = "classifier"};

    for (int k = 0; k < steps; ++k) {
        INFO("step " << k);
        auto const images = two_views(features.values.data() + std::ptrdiff_t{1} * k * batch * positions * 6, batch, positions);
        std::vector<std::int32_t> labels;
        for (int v = 0; v < 2; ++v)
            for (int i = 0; i < batch; ++i)
                for (int c = 0; c < 10; ++c)
                    if (f["labels"].values[static_cast<std::size_t>((k * batch + i) * 10 + c)] == 1) labels.push_back(c);
        double decay = 0;
        for (auto const& e : m.manifest())
            if (e.role == role::classifier_weight)
                for (std::int64_t i = 0; i < e.count; ++i) {
                    double const w = m.parameters().data()[e.offset + i];
                    decay += 0.5 * 1e-4 * w * w;
                }

        auto const outputs = m.forward({images.data(), {2 * batch, 32, 32, 3}});
        targets const t{.labels = {labels.data(), {2 * batch}}};
        auto const gradients = m.output_gradients();
        auto const alone = contrast(device, outputs, targets{}, gradient_views{});
        auto const classified = supervised(device, outputs, t, gradient_views{});
        auto const both = (contrast + supervised)(device, outputs, t, gradients);
        m.backward(gradients);
        optimizer.update(f["learning_rate"].values[static_cast<std::size_t>(k)]);

        double const relative = k == 0 ? 1e-4 : 1e-3;
        auto metric = [&](char const* name) {
            return static_cast<double>(f[std::string("metric/train/") + name].values[static_cast<std::size_t>(k)]);
        };
        auto close = [&](double ours, char const* name) {
            INFO(name << " " << ours << " against " << metric(name));
            CHECK(std::abs(ours - metric(name)) <= relative * std::abs(metric(name)));
        };
        close(alone.loss, "contrast_loss");
        close(alone.accuracy, "contrast_acc");
        close(alone.entropy, "contrast_entropy");
        close(classified.loss, "supervised_loss");
        close(classified.accuracy, "supervised_acc");
        close(decay, "weight_decay");
        close(both.loss + decay, "total_loss");

        // the floor is the reference's own noise between two of its batch norm layers, relative to the largest change
        if (k != 0 && k != 3) continue;
        std::string const after = "param_after_step" + std::to_string(k + 1) + "/";
        double const noise = k == 0 ? 1.5243901871144772e-3 : 4.28425706923008e-3;
        auto const parameters = m.host_parameters();
        auto const statistics = m.host_statistics();
        for (std::size_t n = 0; n < names.size(); ++n) {
            auto const& e = m.manifest()[n];
            auto const& to = f[after + names[n]].values;
            auto const& from = f["param_before/" + names[n]].values;
            auto const& block = is_statistic(e.role) ? statistics : parameters;
            double change = 0, largest = 0, worst = 0;
            for (std::int64_t i = 0; i < e.count; ++i) {
                std::size_t const j = reference::index_of(e, i);
                change = std::max(change, std::abs(double{to[j]} - double{from[j]}));
                largest = std::max(largest, std::abs(double{to[j]}));
                worst = std::max(worst, std::abs(double{to[j]} - double{block[static_cast<std::size_t>(e.offset + i)]}));
            }
            INFO(names[n] << ": largest change " << change << ", off by " << worst);
            CHECK(worst <= 2 * noise * change + 2 * 6e-8 * largest);
        }
    }

    auto const& input = f["eval/input"];
    auto const outputs = m.predict({input.values.data(), {input.dims[0], 32, 32, 3}});
    CHECK(fixture::difference(outputs["head"].data, f["eval/projection"]) < 2e-2);
    CHECK(fixture::difference(outputs["classifier"].data, f["eval/logits_sup"]) < 2e-2);
}
