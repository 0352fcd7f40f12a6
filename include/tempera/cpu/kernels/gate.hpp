// SPDX-License-Identifier: Apache-2.0
// A factor per channel over wide rows (see row_blocks.hpp): dx (+)= dy gate and sums += dy x in one walk.
// The forward pass is the first half with x for dy.

template <class T>
struct gate_pass {
    T const* x;
    T const* dy;
    T* dx;
    float const* gate;
    float* sums;
    bool accumulate;
};
template <bool Tail, class T>
TEMPERA_INLINE void step(gate_pass<T> const& k, std::int64_t i, std::int64_t j, int n) {
    vf const g = load<Tail>(k.dy + i, n);
    if (k.sums != nullptr)
        save<Tail>(k.sums + j, vfma(g, load<Tail>(k.x + i, n), load<Tail>(k.sums + j, n)), n);
    if (k.dx != nullptr) put<Tail>(k.dx + i, g * load<Tail>(k.gate + j, n), n, k.accumulate);
}
/// dx null: no map, gate is not read. sums null: no sums, x is not read.
template <class T>
void gate_walk(T const* x, T const* dy, T* dx, std::int64_t count, int wide, float const* gate, float* sums,
               bool accumulate) {
    walk(gate_pass<T>{x, dy, dx, gate, sums, accumulate}, count, wide);
}

template <class T>
inline constexpr gate_kernels<T> gate_table{gate_walk<T>};
