// SPDX-License-Identifier: Apache-2.0
// The deepest published network must stay within clang's -fconstexpr-steps=700000 (the default is 1048576).
#include <tempera/nn.hpp>

using namespace tempera;

inline constexpr auto deepest = resnet<resnet_config{.depth = 200, .width = 2, .selective_kernel = true}>;
static_assert(plan_of<deepest, shape{224, 224, 3}>.parameters > 0);

int main() { return 0; }
