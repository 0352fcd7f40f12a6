// SPDX-License-Identifier: Apache-2.0
// A head of three layers has no tap 4.
// expect: unknown_tap
// expect: {1, 1, 4}
// expect: {1, 1, 3}
#include <tempera/nn.hpp>

using namespace tempera;

inline constexpr auto encoder = resnet<resnet_config{.depth = 10, .base_filters = 8}>;
inline constexpr auto head = projection_head<projection_config{.layers = 3, .out = 64}>;
inline constexpr auto network = classifier(encoder, head, classifier_config{.tap = 4, .classes = 10});
static_assert(plan_of<network, shape{28, 28, 1}>.parameters > 0);
