// SPDX-License-Identifier: Apache-2.0
#pragma once
// Copies of maps and filters for tensor cores, as T, with zeros behind their channels up to a whole number of chunks of
// 16 bytes. Where channels are few, those of a block of positions come together (position_blocks).

#include <tempera/cuda/along_rows.cuh>
#include <tempera/cuda/launch_tensor.hpp>
#include <tempera/cuda/ptx.cuh>
#include <tempera/cuda/tile.cuh>

namespace tempera::cuda_kernels {

template <class From, class T>
struct whole_chunks_work {
    chunk_copy copy;
    From const* from;
    T* to;

    template <int Width>
    __device__ void operator()(row_place<Width> const& at) const {
        position_blocks const& b = copy.blocks;
        int const first_row = at.row % copy.to_height * b.size - b.blank_rows;
        int const first_column = at.column * b.size - b.blank_columns;
        From const* const sample =
            from + std::int64_t{at.row / copy.to_height} * copy.height * copy.width * copy.channels;
        constexpr odometer one(1, 2, 2);
        odometer in_block(at.channel, b.size, copy.channels);  // (row, column, channel)
        pack<T, Width> values = {};
        for (int k = 0; k < Width; ++k) {
            int const row = first_row + in_block.high;
            int const column = first_column + in_block.middle;
            if (in_block.high < b.size && row >= 0 && row < copy.height && column >= 0 && column < copy.width)
                put(values.at[k], as_float(sample[(row * copy.width + column) * copy.channels + in_block.low]));
            in_block.add(one, b.size, copy.channels);
        }
        store_pack(to + (std::int64_t{at.row} * copy.to_width + at.column) * copy.to_channels + at.channel, values);
    }
};
template <class From, class T>
void copy_in_whole_chunks(cudaStream_t stream, chunk_copy const& copy, From const* from, T* to) {
    along_rows<chunk_elements>(stream, std::int64_t{copy.samples} * copy.to_height, copy.to_width, copy.to_channels,
                               whole_chunks_work<From, T>{copy, from, to});
}

}  // namespace tempera::cuda_kernels
