// SPDX-License-Identifier: Apache-2.0
// A classifier of one class.
// expect: wrong_classes
// expect: dense
// expect: {1, 1, 1}
// expect: {1, 1, 2}
#include <tempera/nn.hpp>

using namespace tempera;

inline constexpr auto encoder = resnet<resnet_config{.depth = 10, .base_filters = 8}>;
inline constexpr auto network = classifier(encoder, classifier_config{.classes = 1});
static_assert(plan_of<network, shape{28, 28, 1}>.parameters > 0);
