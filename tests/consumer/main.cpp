// SPDX-License-Identifier: Apache-2.0
// A program of someone else: it composes a network, proves its size, and shares the headers with a second unit.
#include <cstdio>

#include <tempera/nn.hpp>
#include <tempera/optim.hpp>

using namespace tempera;

inline constexpr auto network = resnet<resnet_config{.depth = 18}>;
static_assert(plan_of<network, shape{32, 32, 3}>.parameters > 11'000'000);

std::int64_t parameters_of_another();

int main() {
    auto const here = plan_of<network, shape{32, 32, 3}>.parameters;
    std::printf("%lld parameters here, %lld in the other unit\n", static_cast<long long>(here),
                static_cast<long long>(parameters_of_another()));
    return parameters_of_another() > here ? 0 : 1;
}
