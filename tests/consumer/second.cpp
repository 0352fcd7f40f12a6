// SPDX-License-Identifier: Apache-2.0
#include <tempera/nn.hpp>
#include <tempera/optim.hpp>

using namespace tempera;

inline constexpr auto wider = resnet<resnet_config{.depth = 18, .width = 2}>;

std::int64_t parameters_of_another() { return plan_of<wider, shape{32, 32, 3}>.parameters; }
