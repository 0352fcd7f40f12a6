// SPDX-License-Identifier: Apache-2.0
// Devices that are one of several processes: exchange, whole batches of losses, statistics of batch norm over all rows.

#include <tempera/cpu.hpp>
#include <tempera/data.hpp>
#include <tempera/loss.hpp>
#include <tempera/parallel.hpp>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "../catch.hpp"
#include "../fixture.hpp"
#include "../loss/outputs.hpp"
#include "../refusal.hpp"
#include "threads_communicator.hpp"

using namespace tempera;

static_assert(Communicator<threads_communicator, cpu> && Communicator<process_group<cpu>, cpu>);

namespace {

/// Rows [first, first + count) of each of two halves, as one process has them of two views.
std::vector<float> rows_of_both(std::vector<float> const& all, int columns, int first, int count) {
    std::vector<float> out;
    auto const half = static_cast<std::ptrdiff_t>(all.size() / 2);
    for (std::ptrdiff_t const begin : {std::ptrdiff_t{0}, half}) {
        auto const from = all.begin() + begin + std::ptrdiff_t{1} * first * columns;
        out.insert(out.end(), from, from + std::ptrdiff_t{1} * count * columns);
    }
    return out;
}

}  // namespace

TEST_CASE("a device is alone unless told otherwise", "[parallel]") {
    cpu device{.threads = 1};
    CHECK((device.processes.alone() && device.processes.rank() == 0));
    CHECK(device.processes.sum(device, 3) == 3);
    CHECK_FALSE(device.processes.everywhere(device, false));
    solo one;
    cpu with_solo{.threads = 1, .processes = one};
    CHECK(with_solo.processes.alone());
}

TEST_CASE("numbers of the host are added up over the processes", "[parallel]") {
    std::vector<float> sums(3);
    std::vector<std::int64_t> counts(3);
    std::vector<int> all(3), some(3);
    in_processes(3, [&](cpu& device) {
        auto const r = static_cast<std::size_t>(device.processes.rank());
        sums[r] = device.processes.sum(device, static_cast<float>(10 * r + 1));
        counts[r] = device.processes.sum_of_counts(device, (std::int64_t{1} << 35) + 1);
        all[r] = device.processes.everywhere(device, true);
        some[r] = device.processes.everywhere(device, r != 1);
    });
    CHECK(sums == std::vector<float>{33, 33, 33});
    CHECK(counts == std::vector<std::int64_t>(3, (std::int64_t{3} << 35) + 3));
    CHECK(all == std::vector<int>{1, 1, 1});
    CHECK(some == std::vector<int>{0, 0, 0});
}

TEST_CASE("nt_xent of several processes equals the reference's replicas", "[parallel]") {
    auto const cases = nlohmann::json::parse(fixture::json("replicas", "/config"));
    REQUIRE(cases.size() == 2);
    fixture::file const values("replicas");
    for (auto const& [name, c] : cases.items()) {
        CAPTURE(name);
        int const replicas = c.at("replicas"), n = c.at("n_per_replica"), d = c.at("d");
        std::vector<float> rows = values[name + "/hidden_a"].values;
        auto const& b = values[name + "/hidden_b"].values;
        rows.insert(rows.end(), b.begin(), b.end());
        nt_xent const loss{.temperature = c.at("temperature"), .normalize = c.at("hidden_norm")};
        std::vector<loss_value> got(static_cast<std::size_t>(replicas));
        std::vector<std::vector<float>> gradients(got.size());
        in_processes(replicas, [&](cpu& device) {
            auto const r = static_cast<std::size_t>(device.processes.rank());
            host_outputs h(2 * n, d, rows_of_both(rows, d, device.processes.rank() * n, n));
            got[r] = whole_batch{loss, 2}(device, h.values(), {}, h.gradients());
            gradients[r] = h.matrices[0].gradient;
        });
        for (std::size_t r = 0; r < got.size(); ++r) {
            INFO("process " << r);
            CHECK_THAT(static_cast<double>(got[r].loss), Catch::Matchers::WithinRel(double{c.at("mean_loss")}, 1e-5));
            fixture::tensor expected = values[name + "/single_device_grad_hidden"];
            expected.values = rows_of_both(expected.values, d, static_cast<int>(r) * n, n);
            expected.dims = {2 * n, d};
            CHECK(fixture::difference(gradients[r].data(), expected) <= 1e-5);
        }
    }
}

TEST_CASE("means over labeled rows are those of all processes", "[parallel]") {
    int const classes = 5, n = 4;
    std::vector<float> logits, teacher;
    for (int i = 0; i < 3 * n * classes; ++i) {
        logits.push_back(0.3F * static_cast<float>(i * 7 % 11) - 1);
        teacher.push_back(0.2F * static_cast<float>(i * 5 % 13) - 1);
    }
    // Of the second process no row has a label.
    std::vector<std::int32_t> const labels{0,        4,        no_label, 2,        no_label, no_label,
                                           no_label, no_label, 1,        no_label, 3,        3};
    auto const loss = 0.5F * cross_entropy{.label_smoothing = 0.1F} + distillation{.temperature = 2, .alpha = 0.3F};

    host_outputs whole(3 * n, classes, logits);
    cpu alone{.threads = 1};
    targets const t{.labels = {labels.data(), {3 * n}}, .teacher_logits = {teacher.data(), {3 * n, 1, 1, classes}}};
    loss_value const expected = loss(alone, whole.values(), t, whole.gradients());

    std::vector<loss_value> got(3);
    std::vector<float> gradients(logits.size());
    in_processes(3, [&](cpu& device) {
        int const first = device.processes.rank() * n;
        auto const at = std::ptrdiff_t{1} * first * classes;
        host_outputs h(n, classes, {logits.begin() + at, logits.begin() + at + n * classes});
        targets const mine{.labels = {labels.data() + first, {n}},
                           .teacher_logits = {teacher.data() + at, {n, 1, 1, classes}}};
        got[static_cast<std::size_t>(device.processes.rank())] =
            whole_batch{loss, 1}(device, h.values(), mine, h.gradients());
        std::copy_n(h.matrices[0].gradient.begin(), n * classes, gradients.begin() + at);
    });
    for (loss_value const& v : got) CHECK((v.loss == expected.loss && v.accuracy == expected.accuracy));
    CHECK(gradients == whole.matrices[0].gradient);
}

TEST_CASE("a whole batch needs whole views", "[parallel]") {
    std::vector<std::string> said(2);
    in_processes(2, [&](cpu& device) {
        host_outputs h(3, 2, {1, 2, 3, 4, 5, 6});
        said[static_cast<std::size_t>(device.processes.rank())] = refusal([&] {
            whole_batch{nt_xent{}, 2}(device, h.values(), {}, h.gradients());
        });
    });
    for (auto const& text : said) CHECK(says(text, {"whole_batch: expected rows of 2 views, found 3"}));
}

TEMPLATE_TEST_CASE("batch norm is over the rows of all processes", "[parallel]", float, bf16) {
    for (int const channels : {3, 16, 70}) {
        int const processes = 3, rows = 50;
        batch_norm_geometry const part{rows, channels, 1e-5F}, whole{processes * rows, channels, 1e-5F};
        auto const count = static_cast<std::size_t>(whole.rows * channels);
        std::vector<TestType> x(count), dy(count), dx(count), own_dx(count);
        for (std::size_t i = 0; i < count; ++i) {
            x[i] = static_cast<TestType>(3 + 0.1F * static_cast<float>(i * i % 37) * (i < count / 2 ? 1.0F : -0.5F));
            dy[i] = static_cast<TestType>(0.1F * static_cast<float>(i * 11 % 29) - 1);
        }
        auto const c = static_cast<std::size_t>(channels);
        std::vector<float> scale(c, 1.5F), offset(c, 0.2F);
        struct sums {
            std::vector<float> mean, variance, dscale, doffset;
        };
        auto const run = [&](cpu& device, batch_norm_geometry const& g, std::int64_t first, TestType* to) {
            sums s{std::vector<float>(c), std::vector<float>(c), std::vector<float>(c), std::vector<float>(c)};
            TestType const *const in = x.data() + first * channels, *const slope = dy.data() + first * channels;
            batch_norm_statistics(device, g, in, s.mean.data(), s.variance.data());
            batch_norm_state const state{s.mean.data(), s.variance.data(), scale.data(), offset.data()};
            batch_norm_gradients<TestType> out{.dx = to + first * channels};
            out.dscale = s.dscale.data();
            out.doffset = s.doffset.data();
            out.by_x = true;
            batch_norm_backward(device, g, state, true, in, static_cast<TestType const*>(nullptr), slope, out);
            return s;
        };
        cpu alone{.threads = 1};
        sums const expected = run(alone, whole, 0, dx.data());
        std::vector<sums> got(processes);
        in_processes(processes, [&](cpu& device) {
            int const r = device.processes.rank();
            got[static_cast<std::size_t>(r)] = run(device, part, r * rows, own_dx.data());
        });
        for (std::size_t k = 0; k < c; ++k) {
            float dscale = 0, doffset = 0;  // each process has those of its own rows
            for (sums const& s : got) {
                CHECK_THAT(s.mean[k], Catch::Matchers::WithinRel(expected.mean[k], 1e-6F));
                CHECK_THAT(s.variance[k], Catch::Matchers::WithinRel(expected.variance[k], 1e-5F));
                dscale += s.dscale[k];
                doffset += s.doffset[k];
            }
            CHECK_THAT(dscale, Catch::Matchers::WithinAbs(expected.dscale[k], 2e-4));
            CHECK_THAT(doffset, Catch::Matchers::WithinAbs(expected.doffset[k], 1e-4));
        }
        double worst = 0;
        for (std::size_t i = 0; i < count; ++i)
            worst = std::max(worst, std::abs(static_cast<double>(static_cast<float>(dx[i])) -
                                             static_cast<double>(static_cast<float>(own_dx[i]))));
        CHECK(worst <= (sizeof(TestType) == 4 ? 5e-6 : 8e-3));  // bf16: one rounding of values below 2
    }
}
