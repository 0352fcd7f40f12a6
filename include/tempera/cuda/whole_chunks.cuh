// SPDX-License-Identifier: Apache-2.0
#pragma once
// Copies of maps and filters for tensor cores, as T, with zeros behind their channels up to a whole number of chunks of
// 16 bytes.

#include <tempera/cuda/along_rows.cuh>
#include <tempera/cuda/launch.hpp>
#include <tempera/cuda/ptx.cuh>

namespace tempera::cuda_kernels {

template <class From, class T>
struct whole_chunks_work {
    int columns, channels;
    From const* from;
    T* to;

    template <int Width>
    __device__ void operator()(row_place<Width> const& at) const {
        std::int64_t const position = std::int64_t{at.row} * columns + at.column;
        From const* const source = from + position * channels + at.channel;
        pack<T, Width> values = {};
        for (int k = 0; k < Width; ++k)
            if (at.channel + k < channels) put(values.at[k], as_float(source[k]));
        int const whole = (channels + Width - 1) / Width * Width;
        store_pack(to + position * whole + at.channel, values);
    }
};
template <class From, class T>
void copy_in_whole_chunks(cudaStream_t stream, int rows, int columns, int channels, From const* from, T* to) {
    along_rows<chunk_elements>(stream, rows, columns, whole_chunks(channels),
                               whole_chunks_work<From, T>{columns, channels, from, to});
}

}  // namespace tempera::cuda_kernels
