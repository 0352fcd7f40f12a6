// SPDX-License-Identifier: Apache-2.0
// Losses refuse inputs that do not fit, and say what they expected.

#include <tempera/cpu/contrastive.hpp>
#include <tempera/cpu/distillation.hpp>
#include <tempera/cpu/pointwise.hpp>
#include <tempera/loss.hpp>

#include "../catch.hpp"
#include "../refusal.hpp"
#include "outputs.hpp"

using namespace tempera;
using Catch::Matchers::Contains;

namespace {

template <class L>
loss_value call(L const& loss, host_outputs& h, targets const& target = {}) {
    cpu device{.threads = 1};
    return loss(device, h.values(), target, h.gradients());
}

host_outputs matrix(int rows, int channels) {
    return {rows, channels, std::vector<float>(static_cast<std::size_t>(rows * channels), 1.0F)};
}

}  // namespace

TEST_CASE("nt_xent refuses odd batches and temperatures", "[loss]") {
    auto odd = matrix(3, 2), even = matrix(4, 2);
    CHECK_THROWS_WITH(call(nt_xent{}, odd),
                      Contains("nt_xent: expected an even number of rows, view a then view b, found 3"));
    CHECK_THROWS_WITH(call(nt_xent{.temperature = 0}, even), Contains("expected a temperature above 0"));
    CHECK_THROWS_AS(call(nt_xent{.temperature = NAN}, even), error);
    auto pair = matrix(2, 2);
    CHECK(call(nt_xent{}, pair).loss == 0);  // one image: nothing to tell apart
    CHECK(pair.matrices[0].gradient == std::vector<float>(4, 0.0F));
}

TEST_CASE("losses refuse outputs that are no matrix, and unknown names", "[loss]") {
    auto h = matrix(4, 6);
    h.matrices[0].dims = {4, 1, 2, 3};
    CHECK_THROWS_WITH(call(nt_xent{}, h),
                      Contains("expected an output {n, 1, 1, channels} with n >= 1, found \"logits\" {4, 1, 2, 3}"));
    h.matrices[0].dims = {0, 1, 1, 6};
    CHECK_THROWS_AS(call(nt_xent{}, h), error);
    h.matrices[0].dims = {4, 1, 1, 6};
    CHECK_THROWS_WITH(call(nt_xent{.output = "head"}, h),
                      Contains("expected one of the outputs logits, found \"head\""));
    host_outputs none;
    CHECK_THROWS_WITH(call(nt_xent{}, none), Contains("expected at least one output, found none"));
}

TEST_CASE("losses refuse gradients of other shapes or numbers", "[loss]") {
    cpu device{.threads = 1};
    auto h = matrix(4, 6);
    h.gradients();
    h.out[0].values.dims = {4, 1, 1, 5};
    CHECK_THROWS_WITH(nt_xent{}(device, h.values(), {}, gradient_views{h.out}),
                      Contains("expected a gradient of shape {4, 1, 1, 6}, found \"logits\" {4, 1, 1, 5}"));
    h.gradients();
    h.out.push_back(h.out[0]);
    CHECK_THROWS_WITH(nt_xent{}(device, h.values(), {}, gradient_views{h.out}),
                      Contains("expected 1 gradients, one per output, found 2"));
}

TEST_CASE("the last of no outputs is refused", "[loss]") {
    CHECK(says(refusal([] { static_cast<void>(gradient_views{}.last()); }), {"found none", "give the value alone"}));
}

TEST_CASE("cross_entropy refuses missing or ill-fitting labels", "[loss]") {
    auto h = matrix(2, 3);
    std::vector<std::int32_t> const three{0, 1, 2}, high{0, 3}, low{-2, 0}, good{0, 2};
    CHECK_THROWS_WITH(call(cross_entropy{}, h), Contains("expected 2 labels, one per row of the output, found none"));
    CHECK_THROWS_WITH(call(cross_entropy{}, h, {labels_of(three), {}}),
                      Contains("expected 2 labels, one per row of the output, found 3"));
    CHECK_THROWS_WITH(call(cross_entropy{}, h, {labels_of(high), {}}),
                      Contains("expected labels from -1 (none) to 2, found 3 in row 1"));
    CHECK_THROWS_WITH(call(cross_entropy{}, h, {labels_of(low), {}}), Contains("found -2 in row 0"));
    CHECK_THROWS_AS(call(cross_entropy{.label_smoothing = 1}, h, {labels_of(good), {}}), error);
    CHECK_THROWS_AS(call(cross_entropy{.label_smoothing = -0.1F}, h, {labels_of(good), {}}), error);
    CHECK(std::isfinite(call(cross_entropy{}, h, {labels_of(good), {}}).loss));
}

TEST_CASE("distillation refuses teachers of other shapes and wrong settings", "[loss]") {
    auto h = matrix(2, 3);
    std::vector<float> const t(8);
    targets const wide{{}, {t.data(), {2, 1, 1, 4}}}, fits{{}, {t.data(), {2, 1, 1, 3}}};
    CHECK_THROWS_WITH(call(distillation{}, h), Contains("expected teacher logits {2, 1, 1, 3}, found none"));
    CHECK_THROWS_WITH(call(distillation{}, h, wide),
                      Contains("expected teacher logits {2, 1, 1, 3}, found {2, 1, 1, 4}"));
    CHECK_THROWS_WITH(call(distillation{.alpha = 0.5F}, h, fits),
                      Contains("expected 2 labels, one per row of the output, found none"));
    CHECK_THROWS_AS(call(distillation{.temperature = -1}, h, fits), error);
    CHECK_THROWS_AS(call(distillation{.alpha = 1.5F}, h, fits), error);
    CHECK(std::isfinite(call(distillation{}, h, fits).loss));
}

TEST_CASE("losses are copyable configurations with the published defaults", "[loss]") {
    CHECK(nt_xent{}.temperature == 0.1F);
    CHECK(nt_xent{.temperature = 0.5F, .normalize = false}.temperature == 0.5F);
    CHECK(nt_xent{}.normalize);
    CHECK(cross_entropy{}.label_smoothing == 0);
    distillation const d{.temperature = 2.0F, .alpha = 0.5F, .scale_t2 = true};
    CHECK((d.temperature == 2 && d.alpha == 0.5F && d.scale_t2));
    CHECK((distillation{}.temperature == 1 && distillation{}.alpha == 1 && !distillation{}.scale_t2));
}
