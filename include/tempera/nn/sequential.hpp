// SPDX-License-Identifier: Apache-2.0
#pragma once
// Composition: sequential(f, g, ...) applies parts in order, named("name", f) gives a part its level of the
// path. Unnamed parts of sequential are called 0, 1, ...

#include <string_view>

#include <tempera/nn/batch_norm.hpp>
#include <tempera/nn/conv.hpp>
#include <tempera/nn/dense.hpp>

namespace tempera {

/// Layers that own tensors take the name given to them as their own; any other part opens a scope.
template <class F>
inline constexpr bool owns_tensors = false;
template <>
inline constexpr bool owns_tensors<conv> = true;
template <>
inline constexpr bool owns_tensors<dense> = true;
template <>
inline constexpr bool owns_tensors<batch_norm> = true;

/// Calls f on x below the level "name<number>".
template <class F>
constexpr auto apply_named(F const& f, value x, std::string_view name, int number = -1) {
    if constexpr (owns_tensors<F>) {
        x.graph().name_next(name, number);
        return f(x);
    } else {
        scope const level(x, name, number);
        return f(x);
    }
}

template <class F>
struct named_part {
    name_text name;
    F part;
    constexpr auto operator()(value x) const { return apply_named(part, x, name.text()); }
};

/// A part under a name of its own: named("stem", conv{.filters = 64}). At most 24 characters, no dots.
template <class F>
constexpr named_part<F> named(char const* name, F part) {
    return named_part<F>{name_text(name), part};
}

template <class F>
struct is_named : std::false_type {};
template <class F>
struct is_named<named_part<F>> : std::true_type {};

template <class First, class... Rest>
struct sequential_parts {
    First first;
    sequential_parts<Rest...> rest;
    constexpr auto operator()(value x, int number = 0) const {
        return rest(sequential_parts<First>{first}(x, number), number + 1);
    }
};
template <class Last>
struct sequential_parts<Last> {
    Last first;
    constexpr auto operator()(value x, int number = 0) const {
        if constexpr (is_named<Last>::value) return first(x);
        else return apply_named(first, x, "", number);
    }
};

template <class Last>
constexpr sequential_parts<Last> sequential(Last part) {
    return sequential_parts<Last>{part};
}
template <class First, class Second, class... Rest>
constexpr sequential_parts<First, Second, Rest...> sequential(First first, Second second, Rest... rest) {
    return sequential_parts<First, Second, Rest...>{first, sequential(second, rest...)};
}

}  // namespace tempera
