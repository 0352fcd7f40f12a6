// SPDX-License-Identifier: Apache-2.0
// Whole encoders against the authors' code: training and inference features, every stage, every gradient, the
// gradient of the input, moving statistics.
#include <tempera/cpu.hpp>
#include <tempera/nn.hpp>
#include <tempera/runtime.hpp>

#include "../catch.hpp"
#include "input_gradient_probe.hpp"
#include "reference_encoder.hpp"
#include "reference_names.hpp"

using namespace tempera;
using namespace reference;

namespace {

/// The encoder behind the probe.
struct probed_encoder {
    resnet_network network;
    constexpr value operator()(value x) const { return named("probed", network)(x.apply(input_gradient_probe{})); }
};

void check_encoder(std::string const& name, bool fuse, bool recompute) {
    CAPTURE(name, fuse, recompute);
    fixture::file const f(name);
    double const features = tolerance_of(name, "features");
    double const inference = tolerance_of(name, "inference-mode tensors");
    double const gradients = tolerance_of(name, "gradients");

    cpu device{.threads = 2};
    dynamic_model<cpu> m(device, probed_encoder{resnet_network{config_of(name)}}, shape_of(f["input"]),
                         {.max_batch = 4, .recompute = recompute, .fuse = fuse});
    auto const names = reference::names(m.manifest());
    CHECK(f.names("param/").size() == names.size() - 1);  // all but the probe: no variable of the reference is left out
    reference::load(m, f, "param/");

    auto const eval = m.predict(batch_of(f["input"])).last();
    CHECK(fixture::difference(eval.data, f["features_eval"]) < inference);

    auto const train = m.forward(batch_of(f["input"])).last();
    CHECK(fixture::difference(train.data, f["features_train"]) < features);

    // loss = sum(features * cotangent)
    auto const target = m.output_gradients().last();
    auto const& cotangent = f["cotangent"].values;
    for (std::size_t i = 0; i < cotangent.size(); ++i) target[static_cast<std::int64_t>(i)] = cotangent[i];
    m.backward(m.output_gradients());
    auto const grads = reference::host_gradients(m);
    auto const statistics = m.host_statistics();
    for (std::size_t k = 0; k < names.size(); ++k) {
        auto const& e = m.manifest()[k];
        if (names[k].empty()) continue;
        INFO(names[k] << " = " << e.name.text());
        if (is_statistic(e.role)) CHECK(reference::difference(e, statistics, f["moving_after/" + names[k]]) < features);
        else CHECK(reference::difference(e, grads, f["grad/" + names[k]]) < gradients);
    }
    CHECK(fixture::difference(input_gradient_probe::seen.data(), f["grad_input"]) < gradients);
}

}  // namespace

TEST_CASE("encoders agree with the authors' code", "[encoders]") {
    for (char const* name : {"encoder_resnet18_cifar", "encoder_resnet50", "encoder_resnet50_sk",
                             "encoder_resnet34_odd", "encoder_resnet50_sk_odd", "encoder_resnet18_se_cifar"})
        check_encoder(name, true, false);
}

TEST_CASE("unfused and recomputing schedules agree with the authors' code", "[encoders]") {
    check_encoder("encoder_resnet50_sk", false, false);
    check_encoder("encoder_resnet50_sk", true, true);
    check_encoder("encoder_resnet18_cifar", false, true);
}

TEST_CASE("every stage agrees with the authors' code in inference", "[encoders]") {
    for (std::string const name : {"encoder_resnet18_cifar", "encoder_resnet50", "encoder_resnet50_sk",
                                   "encoder_resnet34_odd", "encoder_resnet50_sk_odd", "encoder_resnet18_se_cifar"}) {
        fixture::file const f(name);
        dynamic_plan plan(resnet_network{config_of(name)}, shape_of(f["input"]));
        // outputs after the stem and after every stage: the last map below that scope
        plan.outputs.clear();
        std::vector<std::string> const stages{"stem", "stage1", "stage2", "stage3", "stage4"};
        for (std::string const& stage : stages) {
            output_record record{};
            record.name = name_text(stage.c_str());
            for (op const& o : plan.ops)
                if (plan.view().path_of(o.scope).text().substr(0, stage.size()) == stage) record.value = o.out;
            plan.outputs.push_back(record);
        }
        cpu device{.threads = 1};
        basic_model<cpu> m(device, plan.view(), {.max_batch = 4});
        reference::load(m, f, "param/");
        auto const outputs = m.predict(batch_of(f["input"]).slice(0, 1));
        CHECK(fixture::difference(outputs["stem"].data, f["stages_eval/stem"]) < 1e-5);
        for (int s = 1; s <= 4; ++s) {
            INFO(name << " stage " << s);
            CHECK(fixture::difference(outputs["stage" + std::to_string(s)].data,
                                      f["stages_eval/block_group" + std::to_string(s)]) < 1e-5);
        }
    }
}

TEST_CASE("the unbiased moving variance is TF1's fused batch norm", "[encoders]") {
    fixture::file const f("encoder_resnet18_cifar"), fused("bn_fused_moving");
    cpu device{.threads = 1};
    dynamic_model<cpu> m(device, resnet_network{config_of("encoder_resnet18_cifar")}, shape_of(f["input"]),
                         {.max_batch = 4, .unbiased_variance = true});
    reference::load(m, f, "param/");
    auto const features = m.forward(batch_of(f["input"])).last();
    CHECK(fixture::difference(features.data, fused["features_train"]) < 1e-5);
    auto const statistics = m.host_statistics();
    auto const names = reference::names(m.manifest());
    std::size_t compared = 0;
    for (std::size_t k = 0; k < names.size(); ++k) {
        if (!is_statistic(m.manifest()[k].role)) continue;
        INFO(names[k]);
        CHECK(reference::difference(m.manifest()[k], statistics, fused["moving_after/" + names[k]]) < 1e-5);
        ++compared;
    }
    CHECK(compared == fused.names("moving_after/").size());
}
