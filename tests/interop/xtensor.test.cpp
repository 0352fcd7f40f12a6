// SPDX-License-Identifier: Apache-2.0
// Views of xtensor arrays and back: the same memory, and no other layout than dense rows.
#include <tempera/interop/xtensor.hpp>

#if __has_include(<xtensor/containers/xarray.hpp>)
#include <xtensor/containers/xarray.hpp>
#include <xtensor/containers/xtensor.hpp>
#else
#include <xtensor/xarray.hpp>
#include <xtensor/xtensor.hpp>
#endif

#include <vector>

#include "../catch.hpp"

using namespace tempera;
using Catch::Matchers::Contains;

TEST_CASE("an xtensor is a view of the same memory", "[interop]") {
    xt::xtensor<float, 4> images = xt::zeros<float>({2, 3, 4, 5});
    view<float> const v = view_of(images);
    CHECK(v.data == images.data());
    CHECK(v.dims == extents{2, 3, 4, 5});
    images(1, 2, 3, 4) = 7;
    CHECK(v[2 * 3 * 4 * 5 - 1] == 7);
    v[0] = 3;
    CHECK(images(0, 0, 0, 0) == 3);

    xt::xtensor<float, 4> const& constant = images;
    auto const read = view_of(constant);
    STATIC_REQUIRE(std::is_same_v<decltype(read), view<float const> const>);
    CHECK(read.data == images.data());
}

TEST_CASE("matrices, lists, sizes of 1, xarrays and adaptors are views", "[interop]") {
    xt::xtensor<std::int32_t, 1> labels = xt::zeros<std::int32_t>({6});
    CHECK(view_of(labels).dims == extents{6, 1, 1, 1});
    xt::xtensor<float, 2> rows = xt::zeros<float>({3, 4});
    CHECK(view_of(rows).dims == extents{3, 1, 1, 4});
    xt::xtensor<float, 4> one = xt::zeros<float>({1, 28, 28, 1});  // xtensor gives sizes of 1 the stride 0
    CHECK(view_of(one).dims == extents{1, 28, 28, 1});
    xt::xarray<float> array(std::vector<std::size_t>{2, 2, 2, 3});
    CHECK(view_of(array).dims == extents{2, 2, 2, 3});
    std::vector<float> memory(12);
    auto adaptor = xt::adapt(memory, std::vector<std::size_t>{4, 3});
    CHECK(view_of(adaptor).data == memory.data());
    CHECK(view_of(adaptor).dims == extents{4, 1, 1, 3});
}

TEST_CASE("a view is an xtensor of the same memory", "[interop]") {
    std::vector<float> memory(24);
    for (std::size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<float>(i);
    view<float> const v{memory.data(), {2, 3, 1, 4}};
    auto x = xtensor_of(v);
    CHECK(x.data() == memory.data());
    CHECK(x.shape(1) == 3);
    CHECK(x(1, 2, 0, 3) == 23);
    x(1, 2, 0, 3) = -1;
    CHECK(memory[23] == -1);
    view<float const> const read = v;
    CHECK(xtensor_of(read)(0, 1, 0, 1) == 5);
    CHECK(view_of(x).data == memory.data());
    CHECK(view_of(x).dims == v.dims);
}

TEST_CASE("xtensor arrays of other layouts are refused", "[interop]") {
    xt::xtensor<float, 4, xt::layout_type::column_major> columns({2, 3, 4, 5});
    CHECK_THROWS_WITH(view_of(columns), Contains("{60, 20, 5, 1}") && Contains("found {1, 2, 6, 24}"));
    xt::xarray<float> cube(std::vector<std::size_t>{2, 3, 4});
    CHECK_THROWS_WITH(view_of(cube), Contains("found 3"));
    xt::xarray<float> deep(std::vector<std::size_t>{2, 3, 4, 1, 1});
    CHECK_THROWS_AS(view_of(deep), error);
    xt::xarray<float, xt::layout_type::dynamic> strided(std::vector<std::size_t>{2, 3}, std::vector<std::ptrdiff_t>{1, 2});
    CHECK_THROWS_AS(view_of(strided), error);
}

template <class T>
concept Viewable = requires(T&& x) { view<float const>(view_of(std::forward<T>(x))); };

TEST_CASE("an xtensor about to end, or of another element type, has no view", "[interop]") {
    STATIC_REQUIRE(Viewable<xt::xtensor<float, 4>&>);
    STATIC_REQUIRE_FALSE(Viewable<xt::xtensor<float, 4>>);
    STATIC_REQUIRE_FALSE(Viewable<xt::xtensor<double, 4>&>);
}
