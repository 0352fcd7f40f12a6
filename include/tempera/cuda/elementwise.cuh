// SPDX-License-Identifier: Apache-2.0
#pragma once
// y[i] (+)= function(x[i]...): arrays of one size, in packs of at most 16 bytes. y may be one of the x.

#include <algorithm>
#include <cstdint>

#include <tempera/cuda/each.cuh>
#include <tempera/cuda/launch.hpp>

namespace tempera::cuda_kernels {

template <class Function, class To, int Width, class... From>
__device__ void put_pack(Function const& function, store mode, To* y, pack<From, Width> const&... x) {
    pack<To, Width> out = {};
    if (mode == store::accumulate) out = load_pack<Width>(y);
    for (int k = 0; k < Width; ++k) put(out.at[k], function(as_float(x.at[k])...), mode);
    store_pack(y, out);
}

/// A thread for every pack, then one for every element of the rest.
template <int Width, class Function, class To, class... From>
__global__ void elementwise_kernel(std::int64_t n, Function function, store mode, To* y, From const*... x) {
    std::int64_t const thread = std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    std::int64_t const packs = n / Width;
    if (thread < packs) {
        std::int64_t const i = thread * Width;
        put_pack<Function, To, Width, From...>(function, mode, y + i, load_pack<Width>(x + i)...);
    } else if (std::int64_t const i = packs * Width + (thread - packs); i < n) {
        put_pack<Function, To, 1, From...>(function, mode, y + i, load_pack<1>(x + i)...);
    }
}

/// Packs are of one element where an array is not aligned to 16 bytes.
template <class Function, class To, class... From>
void elementwise(cudaStream_t stream, std::int64_t n, Function function, store mode, To* y, From const*... x) {
    if (n <= 0) return;
    constexpr auto width = static_cast<int>(16 / std::max({sizeof(To), sizeof(From)...}));
    auto const start = [&](auto kernel, int of_pack) {
        std::int64_t const threads = n / of_pack + n % of_pack;
        auto const blocks = static_cast<unsigned>((threads + each_threads - 1) / each_threads);
        launch(kernel, dim3(blocks), dim3(each_threads), stream, n, function, mode, y, x...);
    };
    if (aligned_to_packs(y) && (aligned_to_packs(x) && ...))
        start(elementwise_kernel<width, Function, To, From...>, width);
    else start(elementwise_kernel<1, Function, To, From...>, 1);
}

}  // namespace tempera::cuda_kernels
