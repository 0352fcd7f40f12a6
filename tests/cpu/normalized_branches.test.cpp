// SPDX-License-Identifier: Apache-2.0
// Selective kernels that normalize their branches as they read them, on the CPU, against their definition in float64.

#include <tempera/cpu/normalized_branches.hpp>

#include "../catch.hpp"
#include "../device/branches_in_double.hpp"
#include "every_isa.hpp"
#include "sample.hpp"

using namespace tempera;
using sample::at;

namespace {

template <class T>
struct branch_arrays {
    selective_geometry g;
    std::int64_t maps = g.batch * g.positions * g.filters;
    std::int64_t vectors = std::int64_t{g.batch} * g.filters;
    std::vector<T> x = sample::uniform<T>(2 * maps, 1), dy = sample::uniform<T>(maps, 2);
    std::vector<float> mean = sample::uniform<float>(2 * g.filters, 3),
                       logits = sample::uniform<float>(2 * vectors, 4, -4.0F, 4.0F),
                       variance = sample::uniform<float>(2 * g.filters, 5, 0.1F, 2.0F),
                       scale = sample::uniform<float>(2 * g.filters, 6, -1.0F, 2.0F),
                       offset = sample::uniform<float>(2 * g.filters, 7), daverage = sample::uniform<float>(vectors, 8);

    normalized_branches<T> branches() const {
        return {x.data(), {mean.data(), variance.data(), scale.data(), offset.data()}, 1e-3F};
    }
    branches_in_double exact(bool batch_statistics) const {
        branches_in_double e{g,
                             static_cast<double>(1e-3F),
                             batch_statistics,
                             sample::widen(x),
                             sample::widen(mean),
                             sample::widen(variance),
                             sample::widen(scale),
                             sample::widen(offset),
                             sample::widen(logits),
                             sample::widen(dy),
                             sample::widen(daverage),
                             {},
                             {},
                             {},
                             {},
                             {},
                             {}};
        e.run();
        return e;
    }
};

/// Everything that the four functions write.
template <class T>
struct branch_results {
    std::vector<float> sums, average, dlogits, dscale, doffset;
    std::vector<T> y, dx;

    branch_results(cpu& device, branch_arrays<T> const& a, bool batch_statistics, store mode = store::write,
                   bool parameters = true)
        : sums(at(8 * a.vectors), NAN),
          average(at(a.vectors)),
          dlogits(at(2 * a.vectors), 1.0F),
          dscale(a.scale.size(), 1.0F),
          doffset(a.scale.size(), 1.0F),
          y(a.dy.size()),
          dx(a.x.size(), T(1.0F)) {
        normalized_average(device, a.g, a.branches(), sums.data(), average.data());
        normalized_merge(device, a.g, a.branches(), a.logits.data(), y.data());
        normalized_merge_backward(device, a.g, a.branches(), a.logits.data(), a.dy.data(), sums.data(), dlogits.data(),
                                  mode);
        batch_norm_gradients<T> const to{.dx = dx.data(),
                                         .dx_store = mode,
                                         .dscale = parameters ? dscale.data() : nullptr,
                                         .doffset = parameters ? doffset.data() : nullptr,
                                         .parameter_store = mode};
        normalized_branches_backward(device, a.g, a.branches(), batch_statistics, a.logits.data(), a.dy.data(),
                                     a.daverage.data(), sums.data(), to);
    }
};

std::vector<double> plus(std::vector<double> values, double more) {
    for (double& v : values) v += more;
    return values;
}

}  // namespace

TEMPLATE_TEST_CASE("normalized branches equal float64, forward and backward", "[cpu][selective]", float, bf16) {
    every_isa([](cpu& device) {
        for (selective_geometry const& g : {selective_geometry{1, 1, 1},
                                            {2, 5, 3},
                                            {3, 49, 64},
                                            {2, 7, 133},
                                            {1, 90, 16},
                                            {2, 3000, 24},
                                            {4, 1, 300}}) {
            branch_arrays<TestType> const a{g};
            for (bool const batch_statistics : {true, false}) {
                CAPTURE(g.batch, g.positions, g.filters, batch_statistics);
                auto const exact = a.exact(batch_statistics);
                branch_results<TestType> const found(device, a, batch_statistics);
                CHECK(sample::difference(found.average, exact.average) < 6e-6);  // blocks add up 1365 rows in float32
                CHECK(sample::difference(found.y, exact.y) < sample::tolerance<TestType>);
                CHECK(sample::difference(found.dlogits, exact.dlogits) < 6e-6);
                CHECK(sample::difference(found.dx, exact.dx) < sample::tolerance<TestType>);
                CHECK(sample::difference(found.dscale, exact.dscale) < 6e-6);
                CHECK(sample::difference(found.doffset, exact.doffset) < 6e-6);

                branch_results<TestType> const added(device, a, batch_statistics, store::accumulate);
                CHECK(sample::difference(added.dlogits, plus(exact.dlogits, 1)) < 6e-6);
                CHECK(sample::difference(added.dx, plus(exact.dx, 1)) < sample::tolerance<TestType>);
                CHECK(sample::difference(added.dscale, plus(exact.dscale, 1)) < 6e-6);
                CHECK(sample::difference(added.doffset, plus(exact.doffset, 1)) < 6e-6);

                branch_results<TestType> const frozen(device, a, batch_statistics, store::write, false);
                CHECK(sample::same_bits(frozen.dx, found.dx));
            }
        }
    });
}

TEST_CASE("normalized branches take a norm without scale and offset, and give its parameters alone",
          "[cpu][selective]") {
    every_isa([](cpu& device) {
        branch_arrays<float> a{{2, 9, 5}};
        branch_results<float> const whole(device, a, true);
        std::vector<float> dscale(10), doffset(10);
        batch_norm_gradients<float> const to{.dscale = dscale.data(), .doffset = doffset.data()};
        normalized_branches_backward(device, a.g, a.branches(), true, a.logits.data(), a.dy.data(), a.daverage.data(),
                                     whole.sums.data(), to);
        CHECK(dscale == whole.dscale);
        CHECK(doffset == whole.doffset);

        std::fill(a.scale.begin(), a.scale.end(), 1.0F);
        std::fill(a.offset.begin(), a.offset.end(), 0.0F);
        std::vector<float> y(a.dy.size());
        normalized_branches<float> plain = a.branches();
        plain.norm.scale = plain.norm.offset = nullptr;
        normalized_merge(device, a.g, plain, a.logits.data(), y.data());
        CHECK(y == branch_results<float>(device, a, true).y);
    });
}

TEST_CASE("a NaN in a branch is not lost in its ReLU", "[cpu][selective]") {
    every_isa([](cpu& device) {
        branch_arrays<float> a{{1, 4, 3}};
        a.x[7] = NAN;
        std::vector<float> y(a.dy.size());
        normalized_merge(device, a.g, a.branches(), a.logits.data(), y.data());
        CHECK(std::isnan(y[4]));
    });
}

TEMPLATE_TEST_CASE("normalized branches are bitwise the same for any number of threads", "[cpu][selective]", float,
                   bf16) {
    for (selective_geometry const& g : {selective_geometry{1, 4000, 40}, selective_geometry{9, 100, 133}}) {
        branch_arrays<TestType> const a{g};
        cpu one{.threads = 1};
        branch_results<TestType> const first(one, a, true);
        for (int const threads : {2, 3, 5}) {
            cpu device{.threads = threads};
            branch_results<TestType> const found(device, a, true);
            CHECK(sample::same_bits(found.sums, first.sums));
            CHECK(sample::same_bits(found.average, first.average));
            CHECK(sample::same_bits(found.y, first.y));
            CHECK(sample::same_bits(found.dlogits, first.dlogits));
            CHECK(sample::same_bits(found.dx, first.dx));
            CHECK(sample::same_bits(found.dscale, first.dscale));
        }
    }
}

TEST_CASE("normalized branches of no samples touch nothing", "[cpu][selective]") {
    cpu device{.threads = 2};
    branch_arrays<float> const a{{0, 4, 3}};
    branch_results<float> const found(device, a, true, store::accumulate);
    CHECK(found.dscale == std::vector<float>(6, 1.0F));
}
