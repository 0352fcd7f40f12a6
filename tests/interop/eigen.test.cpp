// SPDX-License-Identifier: Apache-2.0
// Views of Eigen arrays and back: the same memory, and no other layout than dense rows.
#include <tempera/interop/eigen.hpp>

#include "../catch.hpp"

using namespace tempera;
using Catch::Matchers::Contains;

TEST_CASE("a row-major Eigen matrix is a view of the same memory", "[interop]") {
    eigen_matrix<float> m(3, 5);
    for (Eigen::Index i = 0; i < m.size(); ++i) m.data()[i] = static_cast<float>(i);
    view<float> const v = view_of(m);
    CHECK(v.data == m.data());
    CHECK(v.dims == extents{3, 1, 1, 5});
    CHECK(v[7] == m(1, 2));
    v[7] = -1;
    CHECK(m(1, 2) == -1);

    eigen_matrix<float> const& constant = m;
    auto const read = view_of(constant);
    STATIC_REQUIRE(std::is_same_v<decltype(read), view<float const> const>);
    CHECK(read.data == m.data());
}

TEST_CASE("arrays, fixed sizes, maps, vectors and blocks of whole rows are views", "[interop]") {
    Eigen::Array<double, 2, 3, Eigen::RowMajor> a;
    a << 1, 2, 3, 4, 5, 6;
    CHECK(view_of(a).data == a.data());
    CHECK(view_of(a).dims == extents{2, 1, 1, 3});

    float memory[12]{};
    Eigen::Map<eigen_matrix<float>> map(memory, 4, 3);
    CHECK(view_of(map).data == memory);
    auto const rows = view_of(map.middleRows(1, 2));
    CHECK(rows.data == memory + 3);
    CHECK(rows.dims == extents{2, 1, 1, 3});

    Eigen::VectorXi labels(4);  // a column: four rows of one element, in either order
    CHECK(view_of(labels).dims == extents{4, 1, 1, 1});
    Eigen::RowVectorXf row(4);
    CHECK(view_of(row).dims == extents{1, 1, 1, 4});
    CHECK(view_of(eigen_matrix<float>(0, 3).eval()).dims.n == 0);
}

TEST_CASE("a view is an Eigen map of the same memory", "[interop]") {
    float memory[24];
    for (int i = 0; i < 24; ++i) memory[i] = static_cast<float>(i);
    view<float> const images{memory, {2, 2, 3, 2}};
    auto m = eigen_of(images);
    CHECK(m.data() == memory);
    CHECK(m.rows() == 2);
    CHECK(m.cols() == 12);
    CHECK(m(1, 3) == 15);
    m(1, 3) = 99;
    CHECK(memory[15] == 99);
    view<float const> const read = images;
    CHECK(eigen_of(read).sum() == 24 * 23 / 2 + 99 - 15);
}

TEST_CASE("Eigen arrays with gaps between rows or elements are refused", "[interop]") {
    eigen_matrix<float> m(4, 6);
    CHECK_THROWS_WITH(view_of(m.leftCols(3)), Contains("strides 3 and 1") && Contains("found 6 and 1"));
    CHECK_THROWS_AS(view_of(m.col(2)), error);
    CHECK_NOTHROW(view_of(m.row(2)));
    CHECK_NOTHROW(view_of(m.topLeftCorner(1, 3)));  // one row has no gap
    float memory[24]{};
    Eigen::Map<eigen_matrix<float>, 0, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>> strided(memory, 3, 2, {8, 2});
    CHECK_THROWS_WITH(view_of(strided), Contains("found 8 and 2"));
    Eigen::Map<Eigen::VectorXf, 0, Eigen::InnerStride<>> every_second(memory, 5, Eigen::InnerStride<>(2));
    CHECK_THROWS_AS(view_of(every_second), error);
}

template <class T>
concept Viewable = requires(T&& x) { view<float const>(view_of(std::forward<T>(x))); };

TEST_CASE("a matrix about to end has no view", "[interop]") {
    STATIC_REQUIRE(Viewable<eigen_matrix<float>&>);
    STATIC_REQUIRE(Viewable<eigen_matrix<float> const&>);
    STATIC_REQUIRE_FALSE(Viewable<eigen_matrix<float>>);
    STATIC_REQUIRE_FALSE(Viewable<Eigen::Array<float, 2, 2, Eigen::RowMajor>>);
    STATIC_REQUIRE_FALSE(Viewable<eigen_matrix<double>&>);
}
