// SPDX-License-Identifier: Apache-2.0
#pragma once
// Eigen arrays and views of the same memory: a dense row-major matrix of n rows and c columns is the view {n, 1, 1, c}.
// Nothing is copied; the memory stays its owner's.
//
//   m.predict(view_of(features))        features: a row-major Eigen::Matrix, Eigen::Array or Eigen::Map of either
//   eigen_of(outputs.last()).rowwise().sum()

#include <Eigen/Core>

#include <limits>
#include <string>
#include <type_traits>

#include <tempera/core/error.hpp>
#include <tempera/core/view.hpp>

namespace tempera {

/// Row-major, as views are.
template <class T>
using eigen_matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

namespace eigen_detail {

/// Whether rows of this type follow one another in memory when its run-time strides say so. Vectors lie the same way in
/// both orders.
template <class Dense>
inline constexpr bool is_row_major = bool(Dense::IsRowMajor) || bool(Dense::IsVectorAtCompileTime);

template <class Dense>
extents extents_of(Dense const& m) {
    static_assert(bool(Dense::Flags & Eigen::DirectAccessBit), "a view needs memory: evaluate the expression first");
    static_assert(is_row_major<Dense>, "a view is row-major: declare the matrix with Eigen::RowMajor");
    auto const limit = static_cast<Eigen::Index>(std::numeric_limits<int>::max());
    auto const spelled = [](Eigen::Index a, Eigen::Index b) { return std::to_string(a) + " and " + std::to_string(b); };
    if (m.rows() > limit || m.cols() > limit)
        throw error("view_of(Eigen)", {"at most ", limit, " rows and columns"}, spelled(m.rows(), m.cols()),
                    "take a block of rows at a time");
    // a column vector's row-major strides are (1, ignored), whatever its order is
    Eigen::Index const row = m.cols() == 1 ? (Dense::IsRowMajor ? m.outerStride() : m.innerStride()) : m.outerStride();
    bool const dense = (m.cols() <= 1 || m.innerStride() == 1) && (m.rows() <= 1 || row == m.cols());
    if (!dense)
        throw error("view_of(Eigen)", {"strides ", spelled(m.cols(), 1), " (dense rows)"},
                    spelled(row, m.innerStride()), "copy the block into a matrix of its own");
    return {static_cast<int>(m.rows()), 1, 1, static_cast<int>(m.cols())};
}

}  // namespace eigen_detail

/// {rows, 1, 1, cols} on the memory of a row-major matrix, array, map or block of whole rows. Throws error for strides
/// other than those of dense rows; column-major types and expressions without memory do not compile.
template <class Derived>
auto view_of(Eigen::DenseBase<Derived> const& m) -> view<typename Derived::Scalar const> {
    return {m.derived().data(), eigen_detail::extents_of(m.derived())};
}

/// The same, to write through. A temporary such as a map or a block refers to memory that outlives it.
template <class Derived>
auto view_of(Eigen::DenseBase<Derived>& m) {
    return view<std::remove_pointer_t<decltype(m.derived().data())>>{m.derived().data(),
                                                                     eigen_detail::extents_of(m.derived())};
}

/// A matrix or an array that is about to end would leave the view without memory.
template <class Scalar, int Rows, int Cols, int Options, int MaxRows, int MaxCols>
void view_of(Eigen::Matrix<Scalar, Rows, Cols, Options, MaxRows, MaxCols> const&&) = delete;
template <class Scalar, int Rows, int Cols, int Options, int MaxRows, int MaxCols>
void view_of(Eigen::Array<Scalar, Rows, Cols, Options, MaxRows, MaxCols> const&&) = delete;

/// The memory of a view as an Eigen matrix: a row per sample, as many columns as a sample has elements.
template <class T>
Eigen::Map<eigen_matrix<T>> eigen_of(view<T> v) {
    return {v.data, v.dims.n, static_cast<Eigen::Index>(v.dims.sample().size())};
}
template <class T>
Eigen::Map<eigen_matrix<T> const> eigen_of(view<T const> v) {
    return {v.data, v.dims.n, static_cast<Eigen::Index>(v.dims.sample().size())};
}

}  // namespace tempera
