// SPDX-License-Identifier: Apache-2.0
// Losses against the authors' own code: every case of fixtures nt_xent, distill, the supervised part of heads,
// masked_ce of heads_tf1, and the single-device values of replicas. Tolerances are those of the manifest.

#include <tempera/cpu/contrastive.hpp>
#include <tempera/cpu/distillation.hpp>
#include <tempera/cpu/pointwise.hpp>
#include <tempera/loss.hpp>

#include <nlohmann/json.hpp>
#include <string>

#include "../catch.hpp"
#include "../fixture.hpp"
#include "outputs.hpp"

using namespace tempera;

namespace {

bool close(double a, double b, double tolerance) { return std::abs(a - b) <= tolerance * std::abs(b); }

/// Rows of one-hot labels as class numbers; -1 where the mask is zero.
std::vector<std::int32_t> classes_of(fixture::tensor const& one_hot, fixture::tensor const* mask = nullptr) {
    std::vector<std::int32_t> out;
    auto const classes = static_cast<std::size_t>(one_hot.dims[1]);
    for (std::size_t i = 0; i < one_hot.values.size() / classes; ++i) {
        std::int32_t label = -1;
        for (std::size_t j = 0; j < classes; ++j)
            if (one_hot.values[i * classes + j] == 1) label = static_cast<std::int32_t>(j);
        out.push_back(mask != nullptr && mask->values[i] == 0 ? -1 : label);
    }
    return out;
}

host_outputs outputs_of(fixture::tensor const& t) { return {t.dims[0], t.dims[1], t.values}; }

}  // namespace

TEST_CASE("nt_xent gives the reference's values and gradients", "[loss]") {
    auto const cases = nlohmann::json::parse(fixture::json("nt_xent", "/config"));
    REQUIRE(cases.size() == 10);
    fixture::file const values("nt_xent");
    cpu device{.threads = 2};
    for (auto const& [name, c] : cases.items()) {
        CAPTURE(name);
        host_outputs h = outputs_of(values[name + "/hidden"]);
        nt_xent const loss{.temperature = c.at("temperature"), .normalize = c.at("hidden_norm")};
        loss_value const got = loss(device, h.values(), {}, h.gradients());
        double const tolerance = c.at("temperature") == 0.02 ? 1e-5 : 2e-6;
        auto const expected = static_cast<double>(values[name + "/loss"].values[0]);
        CAPTURE(got.loss, expected, got.entropy);
        CHECK(close(static_cast<double>(got.loss), expected, tolerance));
        CHECK(close(static_cast<double>(got.entropy), static_cast<double>(values[name + "/contrast_entropy"].values[0]),
                    tolerance));
        CHECK(got.accuracy == values[name + "/contrast_acc"].values[0]);
        CHECK(fixture::difference(h.matrices[0].gradient.data(), values[name + "/grad_hidden"]) <= 1e-5);
    }
}

TEST_CASE("nt_xent gives the specified golden values", "[loss]") {
    cpu device{.threads = 1};
    struct golden {
        float temperature, loss, accuracy, entropy;
        std::vector<float> rows;
        int channels;
    };
    std::vector<float> const b{1, 2, 3, -1, 0.5F, 2, 0.3F, -2, 1, 1.1F, 1.8F, 2.5F, -0.5F, 1, 1.5F, 0.1F, -1, 2};
    for (golden const& g :
         {golden{0.5F, 0.4790895324F, 1, 0.3653338351F, {1, 0, 0, 1, 1, 0, 0, 1}, 2},
          golden{0.1F, 0.5149502423F, 1, 0.3148674999F, b, 3}, golden{0.5F, 1.9971801821F, 1, 0.9329652313F, b, 3}}) {
        host_outputs h(static_cast<int>(g.rows.size()) / g.channels, g.channels, g.rows);
        loss_value const got = nt_xent{.temperature = g.temperature}(device, h.values(), {}, {});
        CHECK_THAT(got.loss, Catch::Matchers::WithinRel(g.loss, 1e-6F));
        CHECK(got.accuracy == g.accuracy);
        CHECK_THAT(got.entropy, Catch::Matchers::WithinRel(g.entropy, 1e-6F));
    }
}

TEST_CASE("nt_xent of one device equals the reference's replicas together", "[loss]") {
    auto const cases = nlohmann::json::parse(fixture::json("replicas", "/config"));
    REQUIRE(cases.size() == 2);
    fixture::file const values("replicas");
    cpu device{.threads = 2};
    for (auto const& [name, c] : cases.items()) {
        CAPTURE(name);
        int const replicas = c.at("replicas"), n = c.at("n_per_replica"), d = c.at("d");
        std::vector<float> rows;  // all of view a, then all of view b, in order of replicas
        for (char const* side : {"/hidden_a", "/hidden_b"}) {
            auto const& part = values[name + side];
            REQUIRE(part.dims == std::vector<int>{replicas * n, d});
            rows.insert(rows.end(), part.values.begin(), part.values.end());
        }
        host_outputs h(2 * replicas * n, d, rows);
        nt_xent const loss{.temperature = c.at("temperature"), .normalize = c.at("hidden_norm")};
        loss_value const got = loss(device, h.values(), {}, h.gradients());
        CHECK(close(static_cast<double>(got.loss), static_cast<double>(values[name + "/single_device_loss"].values[0]),
                    1e-5));
        CHECK(close(static_cast<double>(got.loss), c.at("mean_loss"), 1e-5));
        auto const& gradient = values[name + "/single_device_grad_hidden"];
        REQUIRE(gradient.size() == static_cast<std::int64_t>(rows.size()));
        CHECK(fixture::difference(h.matrices[0].gradient.data(), gradient) <= 1e-5);
    }
}

TEST_CASE("distillation gives the reference's values and gradients", "[loss]") {
    auto const config = nlohmann::json::parse(fixture::json("distill", "/config"));
    REQUIRE(config.at("temps").size() == 3);
    fixture::file const values("distill");
    auto const& teacher = values["teacher_logits"];
    cpu device{.threads = 2};
    for (float const t : config.at("temps").get<std::vector<float>>())
        for (bool const colab : {false, true}) {
            std::string const at = std::string(t < 1 ? "t0.1" : t == 1 ? "t1" : "t2") + (colab ? "/colab/" : "/paper/");
            CAPTURE(at);
            host_outputs z = outputs_of(values["student_logits"]);
            targets const target{{}, {teacher.values.data(), z.matrices[0].dims}};
            distillation const loss{.temperature = t, .scale_t2 = colab};
            loss_value const got = loss(device, z.values(), target, z.gradients());
            CHECK(close(static_cast<double>(got.loss), static_cast<double>(values[at + "loss"].values[0]), 1e-5));
            CHECK(fixture::difference(z.matrices[0].gradient.data(), values[at + "grad_student"]) <= 1e-5);
        }
}

TEST_CASE("cross_entropy gives the reference's masked value and gradient", "[loss]") {
    fixture::file const values("heads_tf1");
    auto const labels = classes_of(values["masked_ce/labels"], &values["masked_ce/mask"]);
    host_outputs z = outputs_of(values["masked_ce/logits"]);
    cpu device{.threads = 2};
    loss_value const got = cross_entropy{}(device, z.values(), {labels_of(labels), {}}, z.gradients());
    CHECK(close(static_cast<double>(got.loss), static_cast<double>(values["masked_ce/loss"].values[0]), 1e-5));
    CHECK(fixture::difference(z.matrices[0].gradient.data(), values["masked_ce/grad_logits"]) <= 1e-5);
}

TEST_CASE("cross_entropy gives the reference's classifier loss and gradients", "[loss]") {
    fixture::file const values("heads");
    auto const labels = classes_of(values["supervised/labels"]);
    auto const& logits = values["supervised/logits"];
    auto const rows = static_cast<std::size_t>(logits.dims[0]), classes = static_cast<std::size_t>(logits.dims[1]);
    host_outputs z = outputs_of(logits);
    cpu device{.threads = 2};
    loss_value const got = cross_entropy{}(device, z.values(), {labels_of(labels), {}}, z.gradients());
    CHECK(close(static_cast<double>(got.loss), static_cast<double>(values["supervised/loss"].values[0]), 1e-5));

    // The bias gradient is the column sum of d loss / d logits; the input gradient multiplies it with the kernel.
    auto const& dz = z.matrices[0].gradient;
    auto const& kernel = values["supervised/param/head_supervised/linear_layer/dense/kernel"];
    auto const in = static_cast<std::size_t>(kernel.dims[0]);
    std::vector<float> dbias(classes), dx(rows * in);
    for (std::size_t i = 0; i < rows; ++i)
        for (std::size_t y = 0; y < classes; ++y) {
            dbias[y] += dz[i * classes + y];
            for (std::size_t k = 0; k < in; ++k) dx[i * in + k] += dz[i * classes + y] * kernel.values[k * classes + y];
        }
    CHECK(fixture::difference(dbias.data(), values["supervised/grad/head_supervised/linear_layer/dense/bias"]) <= 1e-4);
    CHECK(fixture::difference(dx.data(), values["supervised/grad_input"]) <= 1e-4);
}
