// SPDX-License-Identifier: Apache-2.0
// A factor per channel over wide rows (see row_blocks.hpp): dx (+)= dy gate and sums += dy x in one walk.
// The forward pass is the first half with x for dy.

template <class T>
struct gate_pass {
    int wide;
    T const* x;
    T const* dy;
    T* dx;
    float const* gate;
    float* sums;
    bool accumulate;
};
template <bool Tail, int Rows, class T>
TEMPERA_INLINE void step_rows(gate_pass<T> const& k, std::int64_t i, std::int64_t j, int n) {
    vf const gate = k.dx == nullptr ? vzero() : load<Tail>(k.gate + j, n);
    vf sum = k.sums == nullptr ? vzero() : load<Tail>(k.sums + j, n);
#pragma GCC unroll 4
    for (int r = 0; r < Rows; ++r) {
        std::int64_t const at = i + r * k.wide;
        vf const g = load<Tail>(k.dy + at, n);
        if (k.sums != nullptr) sum = vfma(g, load<Tail>(k.x + at, n), sum);
        if (k.dx != nullptr) put<Tail>(k.dx + at, g * gate, n, k.accumulate);
    }
    if (k.sums != nullptr) save<Tail>(k.sums + j, sum, n);
}
/// dx null: no map, gate is not read. sums null: no sums, x is not read.
template <class T>
void gate_walk(T const* x, T const* dy, T* dx, std::int64_t count, int wide, float const* gate, float* sums,
               bool accumulate) {
    walk_rows(gate_pass<T>{wide, x, dy, dx, gate, sums, accumulate}, count);
}

template <class T>
inline constexpr gate_kernels<T> gate_table{gate_walk<T>};
