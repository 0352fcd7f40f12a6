// SPDX-License-Identifier: Apache-2.0
#pragma once
// xtensor arrays and views of the same memory, without a copy: xt::xtensor<float, 4> is {n, h, w, c}, two dimensions are
// rows and columns, one is a list. xtensor 0.24 to 0.27.
//
//   m.predict(view_of(images))          images: xt::xtensor, xt::xarray or what xt::adapt makes, row-major
//   xt::mean(xtensor_of(outputs.last()), {0})

#if __has_include(<xtensor/containers/xadapt.hpp>)
#include <xtensor/containers/xadapt.hpp>
#else
#include <xtensor/xadapt.hpp>
#endif

#include <array>
#include <cstddef>
#include <utility>

#include <tempera/core/view.hpp>
#include <tempera/interop/dense_extents.hpp>

namespace tempera {

namespace xtensor_detail {

template <class Array>
auto view_of(Array& a) {
    extents const dims =
        tempera::detail::dense_extents("view_of(xtensor)", a.shape().data(), a.strides().data(), a.dimension());
    return view<std::remove_pointer_t<decltype(a.data())>>{a.data(), dims};
}

}  // namespace xtensor_detail

/// A view of an array's memory, to read. Throws error for column-major or strided arrays and for 0, 3 or more than 4
/// dimensions.
template <class Array>
auto view_of(xt::xcontainer<Array> const& array) {
    return xtensor_detail::view_of(static_cast<Array const&>(array));
}
/// The same, to write through.
template <class Array>
auto view_of(xt::xcontainer<Array>& array) {
    return xtensor_detail::view_of(static_cast<Array&>(array));
}
/// An array that is about to end would leave the view without memory.
template <class Array>
void view_of(xt::xcontainer<Array> const&&) = delete;

/// The memory of a view as an xtensor of four dimensions, which does not own it.
template <class T>
auto xtensor_of(view<T> v) {
    auto const size = [](int n) { return static_cast<std::size_t>(n); };
    std::array<std::size_t, 4> const shape{size(v.dims.n), size(v.dims.h), size(v.dims.w), size(v.dims.c)};
    return xt::adapt(std::move(v.data), static_cast<std::size_t>(v.size()), xt::no_ownership(), shape);
}

}  // namespace tempera
