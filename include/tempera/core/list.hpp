// SPDX-License-Identifier: Apache-2.0
#pragma once
// fixed_list: an array of known size, possibly zero, indexed by int. list_view: a pointer to one. Both are
// cheap in constant evaluation, where every call counts as a step.

namespace tempera {

template <class T, int N>
struct fixed_list {
    T items[N > 0 ? N : 1]{};

    constexpr T& operator[](int i) { return items[i]; }
    constexpr T const& operator[](int i) const { return items[i]; }
    static constexpr int size() { return N; }
    constexpr T* begin() { return items; }
    constexpr T* end() { return items + N; }
    constexpr T const* begin() const { return items; }
    constexpr T const* end() const { return items + N; }
};

template <class T>
struct list_view {
    T const* items = nullptr;
    int count = 0;

    constexpr list_view() = default;
    constexpr list_view(T const* first, int n) : items(first), count(n) {}
    template <int N>
    constexpr list_view(fixed_list<T, N> const& from) : items(from.items), count(N) {}

    constexpr T const& operator[](int i) const { return items[i]; }
    constexpr int size() const { return count; }
    constexpr T const* begin() const { return items; }
    constexpr T const* end() const { return items + count; }
};

}  // namespace tempera
