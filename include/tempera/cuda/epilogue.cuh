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

/// values = relu(values + bias + residual), which are elements i .. i + Width - 1 of y.
template <int Width, class T>
__device__ void finish(convolution_epilogue<T> const& e, pack<float, Width> const& bias, std::int64_t i,
                       float* values) {
    pack<T, Width> added = {};
    if (e.residual != nullptr) added = load_pack<Width>(e.residual + i);
    for (int k = 0; k < Width; ++k) {
        float const v = values[k] + bias.at[k] + as_float(added.at[k]);
        values[k] = !e.relu || v > 0 || v != v ? v : 0;
    }
}

template <class T>
struct epilogue_work {
    convolution_epilogue<T> epilogue;
    T* y;

    template <int Width>
    __device__ pack<float, Width> channels(int first) const {
        return biases<Width>(epilogue, first);
    }
    template <int Width>
    __device__ void operator()(std::int64_t i, pack<float, Width> const& bias) const {
        auto stored = load_pack<Width>(y + i);
        float values[Width];
        for (int k = 0; k < Width; ++k) values[k] = as_float(stored.at[k]);
        finish(epilogue, bias, i, values);
        for (int k = 0; k < Width; ++k) put(stored.at[k], values[k]);
        store_pack(y + i, stored);
    }
};
template <class T>
void apply_epilogue(cudaStream_t stream, std::int64_t rows, int channels, convolution_epilogue<T> const& epilogue,
                    T* y) {
    along_channels<T>(stream, rows, channels, epilogue_work<T>{epilogue, y}, {epilogue.residual, y});
}

}  // namespace tempera::cuda_kernels
