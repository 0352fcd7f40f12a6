// SPDX-License-Identifier: Apache-2.0
#pragma once
// Elements in registers: every kernel computes in float32 and stores float, bf16 or half, rounded to nearest even.

#include <cstdint>

#include <cuda_runtime.h>
#ifdef __CUDACC__
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

#include <tempera/core/precision.hpp>
#include <tempera/device/store.hpp>

/// Before loops over what lies in registers, which an index known at run time alone would move to memory.
#ifdef __CUDACC__
#define TEMPERA_UNROLL _Pragma("unroll")
#else
#define TEMPERA_UNROLL
#endif

namespace tempera::cuda_kernels {

#ifdef __CUDACC__
__device__ inline float as_float(float x) { return x; }
__device__ inline float as_float(bf16 x) { return __bfloat162float(__ushort_as_bfloat16(x.bits)); }
__device__ inline float as_float(half x) { return __half2float(__ushort_as_half(x.bits)); }

__device__ inline void put(float& target, float x) { target = x; }
__device__ inline void put(bf16& target, float x) { target.bits = __bfloat16_as_ushort(__float2bfloat16_rn(x)); }
__device__ inline void put(half& target, float x) { target.bits = __half_as_ushort(__float2half_rn(x)); }
#else  // the host twins of these conversions are the library's own
template <class T>
float as_float(T x) {
    return static_cast<float>(x);
}
template <class T>
void put(T& target, float x) {
    target = static_cast<T>(x);
}
#endif

/// Writes x, or adds it to what is there.
template <class T>
__device__ void put(T& target, float x, store mode) {
    put(target, mode == store::accumulate ? as_float(target) + x : x);
}

/// Neighbouring elements that are loaded and stored at once.
template <class T, int Width>
struct alignas(sizeof(T) * Width) pack {
    T at[Width];
};
template <int Width, class T>
__device__ pack<T, Width> load_pack(T const* from) {
    return *reinterpret_cast<pack<T, Width> const*>(from);
}
template <int Width, class T>
__device__ void store_pack(T* to, pack<T, Width> const& values) {
    *reinterpret_cast<pack<T, Width>*>(to) = values;
}
/// Writes values as a pack, or adds them to what is there.
template <class T, int Width>
__device__ void store_pack(T* to, float const (&values)[Width], store mode) {
    pack<T, Width> result = {};
    if (mode == store::accumulate) result = load_pack<Width>(to);
    for (int k = 0; k < Width; ++k) put(result.at[k], values[k], mode);
    store_pack(to, result);
}

/// from[c .. c + Width - 1], of an array that need not be aligned to packs and may be null: taken as `otherwise`.
template <int Width>
__device__ pack<float, Width> load_floats(float const* from, int c, float otherwise) {
    pack<float, Width> values;
    if (from == nullptr) {
        for (int k = 0; k < Width; ++k) values.at[k] = otherwise;
    } else if (Width % 4 == 0 && reinterpret_cast<std::uintptr_t>(from + c) % 16 == 0) {
        for (int k = 0; k + 4 <= Width; k += 4) {
            auto const four = load_pack<4>(from + c + k);
            for (int j = 0; j < 4; ++j) values.at[k + j] = four.at[j];
        }
    } else {
        for (int k = 0; k < Width; ++k) values.at[k] = from[c + k];
    }
    return values;
}

/// ReLU; NaN stays.
__device__ inline float rectified(float x) { return x > 0 || x != x ? x : 0; }

/// Both rounded to T, which devices do at once.
template <class T>
__device__ pack<T, 2> rounded_pair(float first, float second) {
    pack<T, 2> pair;
    put(pair.at[0], first);
    put(pair.at[1], second);
    return pair;
}
#ifdef __CUDACC__
template <>
__device__ inline pack<bf16, 2> rounded_pair<bf16>(float first, float second) {
    __nv_bfloat162 const rounded = __floats2bfloat162_rn(first, second);
    pack<bf16, 2> pair;
    pair.at[0].bits = __bfloat16_as_ushort(rounded.x);
    pair.at[1].bits = __bfloat16_as_ushort(rounded.y);
    return pair;
}
template <>
__device__ inline pack<half, 2> rounded_pair<half>(float first, float second) {
    __half2 const rounded = __floats2half2_rn(first, second);
    pack<half, 2> pair;
    pair.at[0].bits = __half_as_ushort(rounded.x);
    pair.at[1].bits = __half_as_ushort(rounded.y);
    return pair;
}
#endif

}  // namespace tempera::cuda_kernels
