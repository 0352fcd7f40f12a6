// SPDX-License-Identifier: Apache-2.0
#pragma once
// plan_of<network, input>: the plan as a constant, and the one static assertion that shows a fault.

#include <cstddef>
#include <utility>

#include <tempera/graph/plan.hpp>

namespace tempera {

/// Where a fault stands, spelled as characters so that every compiler prints it.
template <char...>
struct at {};

template <fault What>
inline constexpr bool no_fault = What == fault::none;

/// The static assertion. Its arguments are the message: what is wrong, at which op, the shape found there, the one
/// that was expected, and the path.
template <fault What, op_kind Op, shape Got, shape Expected, class At>
struct well_formed {
    static_assert(no_fault<What>, "this network is not well formed: fault, op, found, expected and path are named beside");
};

namespace detail {

/// A faulty network has a plan too, with the legal shapes that the trace went on with: one error, not a chain.
template <auto Network, shape Input>
struct planned {
    static constexpr trace make_trace() {
        trace t{};
        trace_network(t, Network, Input);
        return t;
    }
    static constexpr trace traced = make_trace();

    static constexpr plan<sizes_of(traced)> make_plan() {
        plan<sizes_of(traced)> p{};
        copy_trace(traced, p);
        return p;
    }
    static constexpr plan<sizes_of(traced)> exact = make_plan();

    template <std::size_t... I>
    static constexpr auto where(std::index_sequence<I...>) {
        return at<traced.bad.where.characters[I]...>{};
    }
    using path = decltype(where(std::make_index_sequence<static_cast<std::size_t>(traced.bad.where.length)>{}));
};

/// As a default argument the assertion leaves clang a usable constant after it has failed.
template <auto Network, shape Input, class P = planned<Network, Input>,
          std::size_t = sizeof(well_formed<P::traced.bad.what, P::traced.bad.op, P::traced.bad.got, P::traced.bad.expected,
                                           typename P::path>)>
inline constexpr auto const& proved = P::exact;

}  // namespace detail

/// The plan of a network on samples of a shape:
/// .parameters .statistics .multiply_adds .ops .values .manifest()
template <auto Network, shape Input>
inline constexpr auto const& plan_of = detail::proved<Network, Input>;

}  // namespace tempera
