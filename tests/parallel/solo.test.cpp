// SPDX-License-Identifier: Apache-2.0
// A single process as a communicator: sums and gathers change nothing.

#include <tempera/cpu/pointwise.hpp>
#include <tempera/parallel.hpp>

#include <vector>

#include "../catch.hpp"

using namespace tempera;

static_assert(Communicator<solo, cpu>);

TEST_CASE("solo is rank 0 of 1 and leaves sums as they are", "[parallel]") {
    cpu device{.threads = 1};
    solo alone;
    CHECK((alone.rank() == 0 && alone.size() == 1));
    std::vector<float> x{1, 2, 3};
    alone.all_reduce_sum(device, view<float>{x.data(), {3, 1, 1, 1}});
    CHECK(x == std::vector<float>{1, 2, 3});
}

TEST_CASE("solo gathers its own part", "[parallel]") {
    cpu device{.threads = 1};
    solo const alone;
    std::vector<float> x{1, 2, 3}, all(3);
    view<float const> const mine{x.data(), {3, 1, 1, 1}};
    alone.all_gather(device, mine, view<float>{all.data(), {3, 1, 1, 1}});
    CHECK(all == x);
    alone.all_gather(device, mine, view<float>{x.data(), {3, 1, 1, 1}});
    CHECK(x == all);
    CHECK_THROWS_WITH(alone.all_gather(device, mine, view<float>{all.data(), {2, 1, 1, 1}}),
                      Catch::Matchers::Contains("solo.all_gather: expected 3 elements, found 2"));
}
