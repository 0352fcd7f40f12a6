// SPDX-License-Identifier: Apache-2.0
// Softmax cross entropy, distillation and top-k on the CPU against the definitions in double, finite differences, and
// threads.

#include <tempera/cpu/distillation.hpp>

#include <algorithm>
#include <numeric>

#include "../catch.hpp"
#include "every_isa.hpp"
#include "sample.hpp"

using namespace tempera;
using sample::at;

namespace {

using rows_of_doubles = std::vector<double>;

std::vector<double> softmax(double const* z, std::size_t n, double temperature = 1) {
    double const top = *std::max_element(z, z + n);
    std::vector<double> p(n);
    double sum = 0;
    for (std::size_t j = 0; j < n; ++j) sum += p[j] = std::exp((z[j] - top) / temperature);
    for (double& x : p) x /= sum;
    return p;
}

double smoothed(rows_of_doubles const& z, std::size_t classes, std::vector<std::int32_t> const& labels,
                double smoothing) {
    double loss = 0;
    int labeled = 0;
    for (std::size_t i = 0; i < labels.size(); ++i) {
        if (labels[i] < 0) continue;
        ++labeled;
        auto const p = softmax(z.data() + i * classes, classes);
        for (std::size_t j = 0; j < classes; ++j) {
            double const q = smoothing / static_cast<double>(classes) +
                             (static_cast<std::int32_t>(j) == labels[i] ? 1 - smoothing : 0);
            if (q > 0) loss -= q * std::log(p[j]);
        }
    }
    return labeled > 0 ? loss / labeled : 0;
}

double distilled(rows_of_doubles const& z, rows_of_doubles const& teacher, std::size_t classes,
                 std::vector<std::int32_t> const& labels, double temperature, double alpha, bool scale_t2) {
    double loss = 0;
    std::size_t const rows = z.size() / classes;
    auto const labeled = static_cast<double>(std::count_if(labels.begin(), labels.end(), [](int y) { return y >= 0; }));
    for (std::size_t i = 0; i < rows; ++i) {
        auto const p = softmax(teacher.data() + i * classes, classes, temperature);
        auto const q = softmax(z.data() + i * classes, classes, temperature);
        for (std::size_t j = 0; j < classes; ++j) loss -= p[j] * std::log(q[j]);
    }
    return alpha * loss / static_cast<double>(rows) * (scale_t2 ? temperature * temperature : 1) +
           (alpha < 1 ? (1 - alpha) * smoothed(z, classes, labels, 0) * labeled / static_cast<double>(rows) : 0);
}

template <class F>
rows_of_doubles slopes(rows_of_doubles z, F const& f) {
    rows_of_doubles out(z.size());
    for (std::size_t i = 0; i < z.size(); ++i) {
        double const kept = z[i];
        z[i] = kept + 1e-6;
        double const up = f(z);
        z[i] = kept - 1e-6;
        out[i] = (up - f(z)) / 2e-6;
        z[i] = kept;
    }
    return out;
}

std::vector<std::int32_t> some_labels(int rows, int classes) {
    std::vector<std::int32_t> out;
    for (int i = 0; i < rows; ++i) out.push_back(i % 4 == 3 ? -1 : i * 7 % classes);
    return out;
}

struct size {
    int rows, classes;
};
constexpr size sizes[] = {{1, 1}, {3, 2}, {4, 5}, {6, 16}, {5, 37}};

}  // namespace

TEST_CASE("softmax cross entropy equals the definition and finite differences", "[cpu][softmax]") {
    every_isa([](cpu& device) {
        for (size const s : sizes)
            for (double const smoothing : {0.0, 0.1}) {
                CAPTURE(s.rows, s.classes, smoothing);
                auto const n = std::int64_t{1} * s.rows * s.classes;
                auto const z = sample::uniform<float>(n, 1, -5, 5);
                auto const before = sample::uniform<float>(n, 2);
                auto const labels = some_labels(s.rows, s.classes);
                auto loss = [&](rows_of_doubles const& x) { return smoothed(x, at(s.classes), labels, smoothing); };
                auto slope = slopes(sample::widen(z), loss);
                auto d = before;
                loss_value const got = softmax_cross_entropy(device, s.rows, s.classes, z.data(), labels.data(),
                                                             static_cast<float>(smoothing), 1, d.data(), store::write);
                CHECK_THAT(static_cast<double>(got.loss), Catch::Matchers::WithinRel(loss(sample::widen(z)), 1e-6) ||
                                                              Catch::Matchers::WithinAbs(0, 1e-7));
                CHECK((s.classes == 1 || sample::difference(d, slope) < 1e-6));
                for (std::size_t i = 0; i < slope.size(); ++i)
                    slope[i] = static_cast<double>(before[i]) + (s.classes == 1 ? 0 : 3 * slope[i]);
                d = before;
                softmax_cross_entropy(device, s.rows, s.classes, z.data(), labels.data(), static_cast<float>(smoothing),
                                      3, d.data(), store::accumulate);
                CHECK(sample::difference(d, slope) < 3e-6);
            }
    });
}

TEST_CASE("softmax cross entropy reports accuracy and entropy of the labeled rows", "[cpu][softmax]") {
    every_isa([](cpu& device) {
        float const z[] = {2, 1, 0, /**/ 0, 0, 0, /**/ 5, 9, 1};
        std::int32_t const labels[] = {0, 1, -1};
        loss_value const got = softmax_cross_entropy(device, 3, 3, z, labels, 0, 1, nullptr, store::write);
        CHECK(got.accuracy == 0.5F);  // equal logits count for the first class
        auto const p = softmax(std::vector<double>{2, 1, 0}.data(), 3);
        double entropy = std::log(3.0);
        for (double const x : p) entropy -= x * std::log(x);
        CHECK_THAT(static_cast<double>(got.entropy), Catch::Matchers::WithinRel(entropy / 2, 1e-6));
    });
}

TEST_CASE("a batch without labels has loss 0 and gradient 0", "[cpu][softmax]") {
    every_isa([](cpu& device) {
        std::vector<float> const z(12, 1.0F);
        std::vector<std::int32_t> const labels(4, -1);
        std::vector<float> d(12, 5.0F);
        loss_value const got =
            softmax_cross_entropy(device, 4, 3, z.data(), labels.data(), 0.1F, 1, d.data(), store::accumulate);
        CHECK((got.loss == 0 && got.accuracy == 0 && got.entropy == 0));
        CHECK(d == std::vector<float>(12, 5.0F));
        softmax_cross_entropy(device, 4, 3, z.data(), labels.data(), 0.1F, 1, d.data(), store::write);
        CHECK(d == std::vector<float>(12, 0.0F));
    });
}

TEST_CASE("classes at minus infinity take no part, NaN shows", "[cpu][softmax]") {
    every_isa([](cpu& device) {
        float z[] = {1, -INFINITY, 2, 80, -INFINITY, -80, 0, 1, -INFINITY};
        std::int32_t const label[] = {2};
        loss_value got = softmax_cross_entropy(device, 1, 3, z, label, 0, 1, nullptr, store::write);
        CHECK_THAT(got.loss, Catch::Matchers::WithinRel(std::log1p(std::exp(-1.0F)), 1e-6F));
        CHECK(std::isfinite(got.entropy));
        std::int32_t const first[] = {0};
        CHECK_THAT(softmax_cross_entropy(device, 1, 9, z, first, 0, 1, nullptr, store::write).loss,
                   Catch::Matchers::WithinRel(79.0F, 1e-6F));
        z[0] = NAN;
        got = softmax_cross_entropy(device, 1, 9, z, label, 0, 1, nullptr, store::write);
        CHECK(std::isnan(got.loss));
        CHECK(got.accuracy == 0);
    });
}

TEST_CASE("labels out of range are refused by row", "[cpu][softmax]") {
    cpu device{.threads = 2};
    std::vector<float> const z(6);
    std::int32_t const high[] = {0, 3}, low[] = {-2, 0};
    CHECK_THROWS_WITH(softmax_cross_entropy(device, 2, 3, z.data(), high, 0, 1, nullptr, store::write),
                      Catch::Matchers::Contains("expected labels from -1 (none) to 2, found 3 in row 1"));
    CHECK_THROWS_AS(count_correct(device, 2, 3, z.data(), low, 1), error);
    CHECK_THROWS_AS(
        distillation_cross_entropy(device, {2, 3, 1, 0.5F, false}, z.data(), z.data(), low, 1, nullptr, store::write),
        error);
}

TEST_CASE("count_correct equals sorting, ties by index", "[cpu][softmax]") {
    every_isa([](cpu& device) {
        for (int const classes : {1, 3, 10, 45}) {
            int const rows = 60;
            auto const z = sample::integers<float>(rows * classes, 4, -4, 4);  // many ties
            auto const labels = some_labels(rows, classes);
            for (int const top : {1, 2, 5}) {
                std::int64_t expected = 0;
                for (int i = 0; i < rows; ++i) {
                    std::vector<int> order(at(classes));
                    std::iota(order.begin(), order.end(), 0);
                    std::stable_sort(order.begin(), order.end(),
                                     [&](int a, int b) { return z[at(i * classes + a)] > z[at(i * classes + b)]; });
                    for (int k = 0; k < std::min(top, classes); ++k) expected += order[at(k)] == labels[at(i)];
                }
                CAPTURE(classes, top);
                CHECK(count_correct(device, rows, classes, z.data(), labels.data(), top) == expected);
            }
        }
    });
}

TEST_CASE("distillation equals the definition and finite differences", "[cpu][softmax]") {
    every_isa([](cpu& device) {
        for (size const s : sizes)
            for (double const alpha : {1.0, 0.3, 0.0})
                for (double const temperature : {0.5, 2.0}) {
                    bool const scale_t2 = alpha > 0.5;
                    CAPTURE(s.rows, s.classes, alpha, temperature);
                    auto const n = std::int64_t{1} * s.rows * s.classes;
                    auto const z = sample::uniform<float>(n, 5, -3, 3), teacher = sample::uniform<float>(n, 6, -3, 3);
                    auto const before = sample::uniform<float>(n, 7);
                    auto const labels = some_labels(s.rows, s.classes);
                    auto const t = sample::widen(teacher);
                    auto loss = [&](rows_of_doubles const& x) {
                        return distilled(x, t, at(s.classes), labels, temperature,
                                         static_cast<double>(static_cast<float>(alpha)), scale_t2);
                    };
                    auto slope = slopes(sample::widen(z), loss);
                    distillation_geometry const g{s.rows, s.classes, static_cast<float>(temperature),
                                                  static_cast<float>(alpha), scale_t2};
                    auto d = before;
                    loss_value const got =
                        distillation_cross_entropy(device, g, z.data(), teacher.data(),
                                                   alpha < 1 ? labels.data() : nullptr, 1, d.data(), store::write);
                    CHECK_THAT(static_cast<double>(got.loss),
                               Catch::Matchers::WithinRel(loss(sample::widen(z)), 2e-6) ||
                                   Catch::Matchers::WithinAbs(0, 1e-7));
                    CHECK((s.classes == 1 || sample::difference(d, slope) < 2e-6));
                    for (std::size_t i = 0; i < slope.size(); ++i)
                        slope[i] = static_cast<double>(before[i]) + (s.classes == 1 ? 0 : 3 * slope[i]);
                    d = before;
                    distillation_cross_entropy(device, g, z.data(), teacher.data(), labels.data(), 3, d.data(),
                                               store::accumulate);
                    CHECK(sample::difference(d, slope) < 2e-6);
                }
    });
}

TEST_CASE("distillation reports the agreement with the teacher", "[cpu][softmax]") {
    every_isa([](cpu& device) {
        float const student[] = {2, 1, 0, /**/ 0, 3, 0, /**/ 5, 9, 1};
        float const teacher[] = {7, 1, 0, /**/ 0, 3, 9, /**/ 5, 6, 1};
        loss_value const got = distillation_cross_entropy(device, {3, 3, 1, 1, false}, student, teacher, nullptr, 1,
                                                          nullptr, store::write);
        CHECK_THAT(got.accuracy, Catch::Matchers::WithinRel(2.0F / 3, 1e-6F));
    });
}

TEST_CASE("softmax losses are bitwise the same for any number of threads", "[cpu][softmax]") {
    int const rows = 3000, classes = 33;
    auto const z = sample::uniform<float>(rows * classes, 8, -4, 4),
               teacher = sample::uniform<float>(rows * classes, 9, -4, 4);
    auto const labels = some_labels(rows, classes);
    std::vector<float> expected;
    loss_value first;
    for (int const threads : {1, 2, 3, 5}) {
        cpu device{.threads = threads};
        std::vector<float> d(z.size());
        loss_value const a =
            softmax_cross_entropy(device, rows, classes, z.data(), labels.data(), 0.1F, 1, d.data(), store::write);
        loss_value const b = distillation_cross_entropy(device, {rows, classes, 0.5F, 0.4F, true}, z.data(),
                                                        teacher.data(), labels.data(), 1, d.data(), store::accumulate);
        if (threads == 1) expected = d, first = {a.loss + b.loss, a.accuracy + b.accuracy, a.entropy + b.entropy};
        CHECK(sample::same_bits(d, expected));
        CHECK((a.loss + b.loss == first.loss && a.accuracy + b.accuracy == first.accuracy &&
               a.entropy + b.entropy == first.entropy));
    }
}
