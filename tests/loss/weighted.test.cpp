// SPDX-License-Identifier: Apache-2.0
// Weighted sums of losses: values, gradients on one output or several, losses of other namespaces, steady memory.

#include <tempera/cpu/contrastive.hpp>
#include <tempera/cpu/distillation.hpp>
#include <tempera/cpu/pointwise.hpp>
#include <tempera/loss.hpp>

#include "../catch.hpp"
#include "../cpu/sample.hpp"
#include "outputs.hpp"

using namespace tempera;

namespace elsewhere {

/// Half the sum of squares of the last output: writes only, knows nothing of weights.
struct half_square {
    loss_value operator()(cpu&, output_views const& outputs, targets const&, gradient_views const& gradients) const {
        auto const x = outputs.last();
        double sum = 0;
        for (std::int64_t i = 0; i < x.size(); ++i) sum += 0.5 * static_cast<double>(x[i] * x[i]);
        if (gradients.size() > 0 && gradients.last().data != nullptr)
            for (std::int64_t i = 0; i < x.size(); ++i) gradients.last()[i] = x[i];
        return {static_cast<float>(sum), 0.25F, 0.5F};
    }
};

/// The sum of the first output.
struct total_of_first {
    bool reads(output_views const&, std::size_t i) const { return i == 0; }

    loss_value operator()(cpu&, output_views const& outputs, targets const&, gradient_views const& gradients) const {
        double sum = 0;
        for (std::int64_t i = 0; i < outputs[0].values.size(); ++i) sum += static_cast<double>(outputs[0].values[i]);
        if (gradients.size() > 0 && gradients[0].values.data != nullptr)
            for (std::int64_t i = 0; i < outputs[0].values.size(); ++i) gradients[0].values[i] = 1;
        return {static_cast<float>(sum), 0, 0};
    }
};

}  // namespace elsewhere

namespace {

/// cpu whose allocations are counted.
struct counting_cpu {
    cpu inner{.threads = 2};
    int allocations = 0;

    void* allocate(std::size_t bytes) {
        ++allocations;
        return inner.allocate(bytes);
    }
    void deallocate(void* p) { inner.deallocate(p); }
};
void fill(counting_cpu& d, std::int64_t n, float x, float* y) { tempera::fill(d.inner, n, x, y); }
void scale(counting_cpu& d, std::int64_t n, float x, float* y) { tempera::scale(d.inner, n, x, y); }
void copy(counting_cpu& d, std::int64_t n, float const* x, float* y, store mode) {
    tempera::copy(d.inner, n, x, y, mode);
}

/// A loss for any device, which can only write.
struct linear {
    float slope;

    template <class Device>
    loss_value operator()(Device&, output_views const& outputs, targets const&, gradient_views const& gradients) const {
        for (std::int64_t i = 0; i < outputs.last().size(); ++i) gradients.last()[i] = slope;
        return {slope, 0, 0};
    }
};

struct problem {
    host_outputs z{4, 3, sample::uniform<float>(12, 1, -2, 2)};
    std::vector<float> teacher = sample::uniform<float>(12, 2, -2, 2);
    std::vector<std::int32_t> labels{0, 2, -1, 1};
    targets target{labels_of(labels), {teacher.data(), {4, 1, 1, 3}}};
    cpu device{.threads = 2};

    template <class L>
    loss_value operator()(L const& loss) {
        return loss(device, z.values(), target, z.gradients());
    }
    std::vector<double> gradient() const { return sample::widen(z.matrices[0].gradient); }
};

std::vector<double> combined(double a, std::vector<double> const& x, double b, std::vector<double> const& y) {
    std::vector<double> out(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) out[i] = a * x[i] + b * y[i];
    return out;
}

bool near(float a, double b) { return std::fabs(static_cast<double>(a) - b) <= 1e-6 * std::fmax(1.0, std::fabs(b)); }

}  // namespace

static_assert(Loss<nt_xent, cpu> && Loss<cross_entropy, cpu> && Loss<distillation, cpu>);
static_assert(AccumulatingLoss<nt_xent, cpu> && !AccumulatingLoss<elsewhere::half_square, cpu>);
static_assert(Loss<decltype(0.5F * nt_xent{} + cross_entropy{}), cpu>);
static_assert(Loss<elsewhere::half_square, cpu> && !Loss<elsewhere::half_square, counting_cpu>);
static_assert(Loss<decltype(sum(elsewhere::half_square{}, nt_xent{})), cpu>);
static_assert(!Loss<decltype(sum(elsewhere::half_square{}, nt_xent{})), counting_cpu>);

TEST_CASE("a weighted sum adds values and gradients", "[loss]") {
    problem p;
    loss_value const a = p(cross_entropy{});
    auto const ga = p.gradient();
    loss_value const b = p(distillation{.temperature = 2});
    auto const gb = p.gradient();

    loss_value const s = p(0.5F * cross_entropy{} + distillation{.temperature = 2} * 3.0F);
    CHECK(near(s.loss, 0.5 * static_cast<double>(a.loss) + 3 * static_cast<double>(b.loss)));
    CHECK((s.accuracy == a.accuracy && s.entropy == a.entropy));
    CHECK(sample::difference(p.z.matrices[0].gradient, combined(0.5, ga, 3, gb)) < 1e-6);

    loss_value const nested =
        p(2.0F * (0.25F * cross_entropy{} + (cross_entropy{} + 0.5F * distillation{.temperature = 2})));
    CHECK(near(nested.loss, 2.5 * static_cast<double>(a.loss) + static_cast<double>(b.loss)));
    CHECK(sample::difference(p.z.matrices[0].gradient, combined(2.5, ga, 1, gb)) < 1e-6);
}

TEST_CASE("losses of other namespaces join sums on either side", "[loss]") {
    problem p;
    loss_value const a = p(cross_entropy{});
    auto const ga = p.gradient();
    loss_value const u = p(elsewhere::half_square{});
    auto const gu = p.gradient();
    CHECK(gu == sample::widen(p.z.matrices[0].values));

    auto check = [&](auto const& loss, double wa, double wu) {
        for (int call = 0; call < 2; ++call) {
            loss_value const got = p(loss);
            CHECK(near(got.loss, wa * static_cast<double>(a.loss) + wu * static_cast<double>(u.loss)));
            CHECK(sample::difference(p.z.matrices[0].gradient, combined(wa, ga, wu, gu)) < 1e-6);
        }
    };
    check(weighted(0.5F, elsewhere::half_square{}), 0, 0.5);
    check(sum(elsewhere::half_square{}, cross_entropy{}), 1, 1);
    check(sum(cross_entropy{}, elsewhere::half_square{}), 1, 1);
    check(cross_entropy{} + weighted(0.25F, elsewhere::half_square{}), 1, 0.25);
    check(elsewhere::half_square{} + cross_entropy{}, 1, 1);
    check(2.0F * sum(weighted(3.0F, elsewhere::half_square{}), elsewhere::half_square{}), 0, 8);
}

TEST_CASE("terms may read different outputs", "[loss]") {
    cpu device{.threads = 2};
    host_outputs h;
    h.add("encoder", 4, 2, sample::uniform<float>(8, 3)).add("head", 4, 3, sample::uniform<float>(12, 4));
    auto const encoder_gradient = [&] { return h.matrices[0].gradient; };
    std::vector<std::int32_t> const labels{0, 1, 1, 0};
    targets const target{labels_of(labels), {}};

    nt_xent{}(device, h.values(), {}, h.gradients());
    CHECK(encoder_gradient() == std::vector<float>(8, 0.0F));  // written although nothing reads it
    auto const head = h.matrices[1].gradient;
    cross_entropy{.output = "encoder"}(device, h.values(), target, h.gradients());
    auto const encoder = encoder_gradient();
    CHECK(h.matrices[1].gradient == std::vector<float>(12, 0.0F));

    auto const both = nt_xent{} + cross_entropy{.output = "encoder"};
    both(device, h.values(), target, h.gradients());
    CHECK(encoder_gradient() == encoder);
    CHECK(h.matrices[1].gradient == head);
    CHECK((reads_output(both, h.values(), 0) && reads_output(both, h.values(), 1)));
    CHECK((!reads_output(nt_xent{}, h.values(), 0) && reads_output(nt_xent{}, h.values(), 1)));
    CHECK((!reads_output(elsewhere::half_square{}, h.values(), 0) &&
           reads_output(elsewhere::half_square{}, h.values(), 1)));

    // a loss that only writes leaves the output it does not read to the others
    sum(elsewhere::total_of_first{}, nt_xent{})(device, h.values(), target, h.gradients());
    CHECK(encoder_gradient() == std::vector<float>(8, 1.0F));
    CHECK(h.matrices[1].gradient == head);
    sum(nt_xent{}, elsewhere::total_of_first{})(device, h.values(), target, h.gradients());
    CHECK(encoder_gradient() == std::vector<float>(8, 1.0F));
    CHECK(h.matrices[1].gradient == head);
}

TEST_CASE("gradients that are not wanted stay untouched", "[loss]") {
    cpu device{.threads = 2};
    host_outputs h;
    h.add("encoder", 4, 2, sample::uniform<float>(8, 5)).add("head", 4, 3, sample::uniform<float>(12, 6));
    auto const loss = nt_xent{} + 2.0F * sum(elsewhere::half_square{}, nt_xent{});
    float const value = loss(device, h.values(), {}, h.gradients()).loss;
    auto const head = h.matrices[1].gradient;
    h.matrices[0].gradient.assign(8, 7.0F);
    h.gradients();
    h.out[0].values.data = nullptr;
    CHECK(loss(device, h.values(), {}, gradient_views{h.out}).loss == value);
    CHECK(h.matrices[0].gradient == std::vector<float>(8, 7.0F));
    CHECK(h.matrices[1].gradient == head);
    CHECK(loss(device, h.values(), {}, {}).loss == value);
}

TEST_CASE("a sum of losses allocates once", "[loss]") {
    counting_cpu device;
    host_outputs h(4, 3, std::vector<float>(12, 1.0F));
    {
        auto const loss = sum(linear{1}, sum(linear{2}, weighted(0.5F, linear{8})));
        for (int step = 0; step < 3; ++step) CHECK(loss(device, h.values(), {}, h.gradients()).loss == 7);
        CHECK(h.matrices[0].gradient == std::vector<float>(12, 7.0F));
        CHECK(device.allocations == 2);
        auto const copied = loss;
        CHECK(copied(device, h.values(), {}, h.gradients()).loss == 7);
        CHECK(h.matrices[0].gradient == std::vector<float>(12, 7.0F));
    }
}
