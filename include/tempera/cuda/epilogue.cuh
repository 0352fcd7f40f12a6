// SPDX-License-Identifier: Apache-2.0
#pragma once
// What becomes of a convolution's sums before they are stored (device/convolution.hpp): for kernels that hold them in
// float32, and as a pass of its own over what a matrix product has stored.

#include <tempera/cuda/along_channels.cuh>
#include <tempera/cuda/elements.cuh>

namespace tempera::cuda_kernels {

/// Of channels first .. first + Width - 1; zeros where there is no bias.
template <int Width, class T>
__device__ pack<float, Width> biases(convolution_epilogue<T> const& e, int first) {
    pack<float, Width> all = {};
    if (e.bias != nullptr)
        for (int k = 0; k < Width; ++k) all.at[k] = e.bias[first + k];
    return all;
}

/// Of the residual; zeros where there is none.
template <int Width, class T>
__device__ pack<T, Width> load_residual(convolution_epilogue<T> const& e, std::int64_t i) {
    pack<T, Width> added = {};
    if (e.residual != nullptr) added = load_pack<Width>(e.residual + i);
    return added;
}

/// relu(sum + bias + residual), rounded.
template <class T>
__device__ T finished(convolution_epilogue<T> const& e, float sum, float bias, T residual) {
    float const v = sum + bias + as_float(residual);
    T y;
    put(y, e.relu ? rectified(v) : v);
    return y;
}

template <class T>
struct epilogue_work {
    static constexpr int ahead = 2;
    convolution_epilogue<T> epilogue;
    T* y;

    template <int Width>
    struct maps {
        pack<T, Width> y, residual;
    };
    template <int Width>
    __device__ maps<Width> load(std::int64_t i) const {
        return {load_pack<Width>(y + i), load_residual<Width>(epilogue, i)};
    }
    template <int Width>
    __device__ pack<float, Width> channels(int first) const {
        return biases<Width>(epilogue, first);
    }
    template <int Width>
    __device__ void operator()(std::int64_t i, maps<Width> loaded, pack<float, Width> const& bias) const {
        for (int k = 0; k < Width; ++k)
            loaded.y.at[k] = finished(epilogue, as_float(loaded.y.at[k]), bias.at[k], loaded.residual.at[k]);
        store_pack(y + i, loaded.y);
    }
};
template <class T>
void apply_epilogue(cudaStream_t stream, std::int64_t rows, int channels, convolution_epilogue<T> const& epilogue,
                    T* y) {
    along_channels<T>(stream, rows, channels, epilogue_work<T>{epilogue, y}, {epilogue.residual, y});
}

}  // namespace tempera::cuda_kernels
