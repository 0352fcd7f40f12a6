// SPDX-License-Identifier: Apache-2.0
// Losses against the authors' own values (fixtures nt_xent, distill), and against their definitions in float64 with
// finite differences.

#include <functional>
#include <string>

#include <nlohmann/json.hpp>

#include "../fixture.hpp"
#include "lab.hpp"

using namespace tempera;

namespace {

bool close(float found, double expected, double relative) {
    return std::abs(static_cast<double>(found) - expected) <= relative * std::max(std::abs(expected), 1e-6);
}

std::vector<double> probabilities(double const* z, int classes, double temperature) {
    std::vector<double> p(static_cast<std::size_t>(classes));
    double largest = -HUGE_VAL;
    double sum = 0;
    for (int c = 0; c < classes; ++c) largest = std::max(largest, z[c] / temperature);
    for (std::size_t c = 0; c < p.size(); ++c) sum += p[c] = std::exp(z[c] / temperature - largest);
    for (double& v : p) v /= sum;
    return p;
}

std::vector<double> slopes(std::vector<double> at, std::function<double(std::vector<double> const&)> const& f) {
    std::vector<double> out(at.size());
    for (std::size_t i = 0; i < at.size(); ++i) {
        double const here = at[i];
        at[i] = here + 1e-5;
        double const up = f(at);
        at[i] = here - 1e-5;
        out[i] = (up - f(at)) / 2e-5;
        at[i] = here;
    }
    return out;
}

}  // namespace

TEST_CASE("gpu losses: softmax cross entropy with smoothing and rows without labels") {
    emulation::with const machine(lab::any_order());
    gpu device;
    int const classes = GENERATE(1, 3, 150);
    float const smoothing = GENERATE(0.0F, 0.2F);
    store const mode = GENERATE(store::write, store::accumulate);
    int const rows = 5;
    auto logits = lab::random_values<float>(rows * classes, 1);
    for (auto& v : logits) v *= 6;
    std::vector<std::int32_t> const labels{0, -1, classes - 1, classes / 2, -1};
    auto const value = [&](std::vector<double> const& z) {
        double loss = 0;
        for (int row : {0, 2, 3}) {
            auto const p = probabilities(z.data() + row * classes, classes, 1);
            for (int c = 0; c < classes; ++c) {
                double const q = static_cast<double>(smoothing) / classes +
                                 (c == labels[static_cast<std::size_t>(row)] ? 1 - static_cast<double>(smoothing) : 0);
                loss -= q * std::log(p[static_cast<std::size_t>(c)]) / 3;
            }
        }
        return loss;
    };
    double accuracy = 0;
    double entropy = 0;
    auto const z = lab::exact(logits);
    for (int row : {0, 2, 3}) {
        auto const p = probabilities(z.data() + row * classes, classes, 1);
        for (double v : p) entropy -= v > 0 ? v * std::log(v) / 3 : 0;
        accuracy +=
            (std::max_element(p.begin(), p.end()) - p.begin()) == labels[static_cast<std::size_t>(row)] ? 1.0 / 3 : 0;
    }
    float const weight = 0.5F;
    auto const old = lab::random_values<float>(rows * classes, 2);
    auto expected = slopes(z, value);
    for (std::size_t i = 0; i < expected.size(); ++i)
        expected[i] = 0.5 * expected[i] + (mode == store::write ? 0 : static_cast<double>(old[i]));

    auto logits_memory = lab::on_device(device, logits);
    auto labels_memory = lab::on_device(device, labels);
    auto gradient = lab::on_device(device, old);
    auto const found = softmax_cross_entropy(device, rows, classes, logits_memory.data(), labels_memory.data(),
                                             smoothing, weight, gradient.data(), mode);
    CHECK(std::abs(static_cast<double>(found.loss) - value(z)) < 1e-5);
    CHECK(close(found.accuracy, accuracy, 1e-6));
    CHECK(std::abs(static_cast<double>(found.entropy) - entropy) < 1e-5);
    CHECK(lab::difference(lab::from_device(device, gradient), expected) < 2e-6);
    auto const only_value = softmax_cross_entropy(device, rows, classes, logits_memory.data(), labels_memory.data(),
                                                  smoothing, weight, nullptr, mode);
    CHECK(only_value.loss == found.loss);
}

TEST_CASE("gpu losses: no labels at all, and labels that no class has") {
    gpu device;
    auto logits = lab::on_device(device, lab::random_values<float>(6, 1));
    auto none = lab::on_device(device, std::vector<std::int32_t>{-1, -1});
    auto wrong = lab::on_device(device, std::vector<std::int32_t>{3, -2});
    buffer<float> gradient(device, 6);
    auto const value =
        softmax_cross_entropy(device, 2, 3, logits.data(), none.data(), 0, 1, gradient.data(), store::write);
    CHECK(value.loss == 0);
    CHECK(value.accuracy == 0);
    CHECK(lab::from_device(device, gradient) == std::vector<float>(6));
    CHECK_THROWS_WITH(softmax_cross_entropy(device, 2, 3, logits.data(), wrong.data(), 0, 1, nullptr, store::write),
                      "softmax_cross_entropy: expected labels from -1 (none) to 2, found others in 2 rows; check the "
                      "labels and the number of classes");
    CHECK_THROWS_AS(count_correct(device, 2, 3, logits.data(), wrong.data(), 1), error);
}

TEST_CASE("gpu losses: distillation gives the reference's values and gradients") {
    auto const config = nlohmann::json::parse(fixture::json("distill", "/config"));
    fixture::file const values("distill");
    auto const& student = values["student_logits"];
    auto const& teacher = values["teacher_logits"];
    gpu device;
    auto student_memory = lab::on_device(device, student.values);
    auto teacher_memory = lab::on_device(device, teacher.values);
    buffer<float> gradient(device, student.size());
    for (float const t : config.at("temps").get<std::vector<float>>())
        for (bool const colab : {false, true}) {
            std::string const at = std::string(t < 1 ? "t0.1" : t == 1 ? "t1" : "t2") + (colab ? "/colab/" : "/paper/");
            CAPTURE(at);
            distillation_geometry const g{
                .rows = student.dims[0], .classes = student.dims[1], .temperature = t, .scale_t2 = colab};
            auto const found = distillation_cross_entropy(device, g, student_memory.data(), teacher_memory.data(),
                                                          nullptr, 1, gradient.data(), store::write);
            CHECK(close(found.loss, static_cast<double>(values[at + "loss"].values[0]), 1e-5));
            CHECK(fixture::difference(lab::from_device(device, gradient).data(), values[at + "grad_student"]) <= 1e-5);
        }
}

TEST_CASE("gpu losses: distillation with labels") {
    emulation::with const machine(lab::any_order());
    gpu device;
    int const rows = 4;
    int const classes = 5;
    store const mode = GENERATE(store::write, store::accumulate);
    distillation_geometry const g{
        .rows = rows, .classes = classes, .temperature = 0.5F, .alpha = 0.75F, .scale_t2 = true};
    auto const student = lab::exact(lab::random_values<float>(rows * classes, 1));
    auto const teacher = lab::exact(lab::random_values<float>(rows * classes, 2));
    auto const old = lab::random_values<float>(rows * classes, 3);
    std::vector<std::int32_t> const labels{-1, 2, 4, -1};
    auto const value = [&](std::vector<double> const& z) {
        double loss = 0;
        for (int row = 0; row < rows; ++row) {
            auto const p_t = probabilities(teacher.data() + row * classes, classes, 0.5);
            auto const p_s = probabilities(z.data() + row * classes, classes, 0.5);
            for (std::size_t c = 0; c < p_t.size(); ++c) loss -= 0.75 * 0.25 * p_t[c] * std::log(p_s[c]) / rows;
            int const label = labels[static_cast<std::size_t>(row)];
            if (label >= 0)
                loss -= 0.25 / rows *
                        std::log(probabilities(z.data() + row * classes, classes, 1)[static_cast<std::size_t>(label)]);
        }
        return loss;
    };
    double agreement = 0;
    for (int row = 0; row < rows; ++row) {
        auto const* const s = student.data() + row * classes;
        auto const* const t = teacher.data() + row * classes;
        agreement += std::max_element(s, s + classes) - s == std::max_element(t, t + classes) - t ? 0.25 : 0;
    }
    auto expected = slopes(student, value);
    for (std::size_t i = 0; i < expected.size(); ++i)
        expected[i] = 2 * expected[i] + (mode == store::write ? 0 : static_cast<double>(old[i]));
    auto student_memory = lab::on_device(device, std::vector<float>(student.begin(), student.end()));
    auto teacher_memory = lab::on_device(device, std::vector<float>(teacher.begin(), teacher.end()));
    auto labels_memory = lab::on_device(device, labels);
    auto gradient = lab::on_device(device, old);
    auto const found = distillation_cross_entropy(device, g, student_memory.data(), teacher_memory.data(),
                                                  labels_memory.data(), 2, gradient.data(), mode);
    CHECK(close(found.loss, value(student), 2e-6));
    CHECK(close(found.accuracy, agreement, 1e-6));
    CHECK(lab::difference(lab::from_device(device, gradient), expected) < 3e-6);
    auto const only_value = distillation_cross_entropy(device, g, student_memory.data(), teacher_memory.data(),
                                                       labels_memory.data(), 2, nullptr, mode);
    CHECK(only_value.loss == found.loss);
}

TEST_CASE("gpu losses: nt_xent gives the reference's values and gradients, whatever the tile") {
    auto const cases = nlohmann::json::parse(fixture::json("nt_xent", "/config"));
    REQUIRE(cases.size() == 10);
    fixture::file const values("nt_xent");
    std::int64_t const tile_bytes = GENERATE(std::int64_t{32} << 20, 1500, 1);
    gpu device;
    device.context.tile_bytes = tile_bytes;
    device.context.tile_rows = 1;
    for (auto const& [name, c] : cases.items()) {
        CAPTURE(name);
        auto const& h = values[name + "/hidden"];
        contrastive_geometry const g{.pairs = h.dims[0] / 2,
                                     .channels = h.dims[1],
                                     .temperature = c.at("temperature"),
                                     .normalize = c.at("hidden_norm")};
        auto h_memory = lab::on_device(device, h.values);
        buffer<float> gradient(device, h.size());
        auto const found = contrastive_cross_entropy(device, g, h_memory.data(), 1, gradient.data(), store::write);
        double const tolerance = c.at("temperature") == 0.02 ? 1e-5 : 2e-6;
        CHECK(close(found.loss, static_cast<double>(values[name + "/loss"].values[0]), tolerance));
        CHECK(close(found.entropy, static_cast<double>(values[name + "/contrast_entropy"].values[0]), tolerance));
        CHECK(found.accuracy == values[name + "/contrast_acc"].values[0]);
        CHECK(fixture::difference(lab::from_device(device, gradient).data(), values[name + "/grad_hidden"]) <= 1e-5);

        // a second time on top, with half the weight; and the value alone
        contrastive_cross_entropy(device, g, h_memory.data(), 0.5F, gradient.data(), store::accumulate);
        auto sum = lab::from_device(device, gradient);
        for (auto& v : sum) v /= 1.5F;
        CHECK(fixture::difference(sum.data(), values[name + "/grad_hidden"]) <= 1e-5);
        CHECK(contrastive_cross_entropy(device, g, h_memory.data(), 1, nullptr, store::write).loss == found.loss);
    }
}

TEST_CASE("gpu losses: nt_xent against its definition, with packs and without, whatever gpu::tf32 says") {
    emulation::with const machine(lab::any_order());
    bool const normalize = GENERATE(true, false);
    auto const [pairs, channels, temperature] =
        GENERATE(std::tuple(1, 1, 0.5F), std::tuple(7, 5, 0.1F), std::tuple(32, 24, 1.0F), std::tuple(260, 16, 0.05F),
                 std::tuple(514, 8, 0.1F));
    gpu device{.tf32 = true};
    device.context.tile_rows = 1;
    device.context.tile_bytes = 100 * 8 * pairs;  // several tiles, the last one smaller
    auto const rows = static_cast<std::size_t>(2 * pairs);
    auto const width = static_cast<std::size_t>(channels);
    auto values = lab::random_values<float>(2 * pairs * channels, 1);
    for (std::size_t i = 0; i < rows / 2 * width; ++i)  // views of one image are alike
        values[rows / 2 * width + i] = 0.75F * values[i] + 0.25F * values[rows / 2 * width + i];
    auto const h = lab::exact(values);
    contrastive_geometry const g{
        .pairs = pairs, .channels = channels, .temperature = temperature, .normalize = normalize};

    std::vector<double> u = h;
    std::vector<double> length(rows, 1.0);
    for (std::size_t i = 0; normalize && i < rows; ++i) {
        double squares = 0;
        for (std::size_t c = 0; c < width; ++c) squares += h[i * width + c] * h[i * width + c];
        length[i] = std::sqrt(squares);
        for (std::size_t c = 0; c < width; ++c) u[i * width + c] /= length[i];
    }
    double const tau = static_cast<double>(temperature);
    double loss = 0;
    double entropy = 0;
    std::vector<double> du(u.size());
    for (std::size_t i = 0; i < rows; ++i) {
        std::vector<double> s(rows);
        for (std::size_t j = 0; j < rows; ++j)
            for (std::size_t c = 0; c < width; ++c) s[j] += u[i * width + c] * u[j * width + c] / tau;
        s[i] = -1e9;  // as the authors leave a row out
        auto const p = probabilities(s.data(), 2 * pairs, 1);
        std::size_t const positive = (i + rows / 2) % rows;
        loss -= std::log(p[positive]) / pairs;
        for (std::size_t j = 0; j < rows; ++j)
            for (std::size_t c = 0; c < width; ++c) {
                double const slope = (p[j] - (j == positive ? 1 : 0)) / pairs / tau;
                du[i * width + c] += slope * u[j * width + c];
                du[j * width + c] += slope * u[i * width + c];
            }
        if (i >= rows / 2) continue;
        for (double const q : probabilities(s.data() + pairs, pairs, 1)) entropy -= q > 0 ? q * std::log(q) / pairs : 0;
    }
    std::vector<double> dh = du;
    for (std::size_t i = 0; normalize && i < rows; ++i) {
        double along = 0;
        for (std::size_t c = 0; c < width; ++c) along += u[i * width + c] * du[i * width + c];
        for (std::size_t c = 0; c < width; ++c)
            dh[i * width + c] = (du[i * width + c] - u[i * width + c] * along) / length[i];
    }
    auto h_memory = lab::on_device(device, values);
    buffer<float> gradient(device, static_cast<std::int64_t>(values.size()));
    auto const found = contrastive_cross_entropy(device, g, h_memory.data(), 1, gradient.data(), store::write);
    CHECK(std::abs(static_cast<double>(found.loss) - loss) < 2e-6 * std::max(1.0, loss));
    CHECK(std::abs(static_cast<double>(found.entropy) - entropy) < 2e-6 * std::max(1.0, entropy));
    if (pairs > 1) CHECK(lab::difference(lab::from_device(device, gradient), dh) < 1e-5);
}

TEST_CASE("gpu losses: nt_xent of 65,536 pairs in 256 MiB of scratch memory") {
    gpu device;
    int const rows = cuda_kernels::contrastive_tile_rows(device.context, 2 * 65536);
    CHECK(rows == 128);
    cuda_kernels::contrastive_scratch const places({.pairs = 65536, .channels = 128}, rows, 256);
    CHECK(places.size * 4 <= std::int64_t{256} << 20);
}

TEST_CASE("gpu losses: rows of many logits of nt_xent, around the first of the second view") {
    gpu device;
    constexpr int pairs = 8192, first = pairs - 2, count = 3;
    contrastive_geometry const g{.pairs = pairs, .channels = 8, .temperature = 1};
    std::vector<float> const logits = lab::random_values<float>(std::int64_t{count} * 2 * pairs, 3);
    auto memory = lab::on_device(device, logits);
    buffer<float> log_sums(device, 2 * pairs), pull(device, 2 * pairs), terms(device, 5 * 2 * pairs);
    cuda_kernels::contrastive_rows(device.context.stream(), g, first, count, memory.data(), log_sums.data(),
                                   pull.data(), terms.data());
    auto const found_sums = lab::from_device(device, log_sums), found_pull = lab::from_device(device, pull),
               found_terms = lab::from_device(device, terms);
    for (std::size_t r = 0; r < count; ++r) {
        std::size_t const i = first + r, positive = i < pairs ? i + pairs : i - pairs;
        float const* const row = logits.data() + r * 2 * pairs;
        double all = 0, across = 0, surprise = 0, before = 0;
        for (std::size_t j = 0; j < 2 * std::size_t{pairs}; ++j)
            if (j != i) all += std::exp(static_cast<double>(row[j]));
        for (std::size_t j = pairs; j < 2 * std::size_t{pairs}; ++j) {
            double const e = std::exp(static_cast<double>(row[j]));
            across += e;
            surprise += e * static_cast<double>(row[j]);
            before += row[j] > row[positive];
        }
        double const pulled = static_cast<double>(row[positive]);
        double const expected[] = {std::log(all) - pulled, i < pairs && before < 1 ? 1.0 : 0.0,
                                   i < pairs ? std::log(across) - surprise / across : 0, 1, 0};
        for (std::size_t k = 0; k < 5; ++k)
            CHECK(std::abs(static_cast<double>(found_terms[5 * i + k]) - expected[k]) < 1e-5);
        CHECK(std::abs(static_cast<double>(found_sums[i]) - std::log(all)) < 1e-5);
        CHECK(std::abs(static_cast<double>(found_pull[i]) - (std::exp(pulled) / all - 1)) < 1e-6);
    }
}

TEST_CASE("gpu losses: the k largest logits, ties by index") {
    gpu device;
    auto logits = lab::on_device(device, std::vector<float>{1, 3, 3, 0, 5, 5, 5, 5, 4, 3, 2, 1});
    auto labels = lab::on_device(device, std::vector<std::int32_t>{2, 1, -1});
    CHECK(count_correct(device, 3, 4, logits.data(), labels.data(), 1) == 0);
    CHECK(count_correct(device, 3, 4, logits.data(), labels.data(), 2) == 2);
}

TEST_CASE("gpu losses: infinities and NaN are found anywhere") {
    emulation::with const machine(lab::any_order());
    gpu device;
    std::vector<float> values(40000, 1e38F);
    auto memory = lab::on_device(device, values);
    CHECK(all_finite(device, 40000, memory.data()));
    for (std::size_t const where : {std::size_t{0}, std::size_t{33000}, std::size_t{39999}})
        for (float const bad : {INFINITY, -INFINITY, NAN}) {
            values[where] = bad;
            device.upload(view<float>{values.data(), {40000}}, memory);
            CHECK(!all_finite(device, 40000, memory.data()));
            values[where] = 0;
        }
}
