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

template <fault What, op_kind Op, shape Got, shape Expected, class At>
struct well_formed {
    static_assert(What == fault::none,
                  "this network is not well formed: read well_formed<fault, op, got, expected, at<path>> above or below");
    static constexpr bool value = What == fault::none;
};

namespace detail {

template <auto Network, shape Input>
struct planned {
    static constexpr trace make_trace() {
        trace t{};
        trace_network(t, Network, Input);
        return t;
    }
    static constexpr trace traced = make_trace();

    template <std::size_t... I>
    static constexpr auto where(std::index_sequence<I...>) {
        return at<traced.bad.where.characters[I]...>{};
    }
    using checked = well_formed<traced.bad.what, traced.bad.op, traced.bad.got, traced.bad.expected,
                                decltype(where(std::make_index_sequence<static_cast<std::size_t>(traced.bad.where.length)>{}))>;

    static constexpr plan<sizes_of(traced)> make_plan() {
        plan<sizes_of(traced)> p{};
        if constexpr (checked::value) copy_trace(traced, p);
        return p;
    }
    static constexpr plan<sizes_of(traced)> exact = make_plan();
};

}  // namespace detail

/// The plan of a network on samples of a shape:
/// .parameters .statistics .multiply_adds .ops .values .manifest()
template <auto Network, shape Input>
inline constexpr auto const& plan_of = detail::planned<Network, Input>::exact;

}  // namespace tempera
