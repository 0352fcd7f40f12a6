// SPDX-License-Identifier: Apache-2.0
#pragma once
// The filters of a convolution in panels, as the product of its forward pass reads them (gemm.hpp).

#include <algorithm>
#include <cstdint>

#include <tempera/cpu/gemm.hpp>
#include <tempera/cpu/tile_windows.hpp>
#include <tempera/device/convolution.hpp>

namespace tempera::cpu_kernels {

/// The windows of the forward pass.
inline window_walk walk_of(convolution_geometry const& g) {
    return {g.in_height, g.in_width, g.in_channels, g.out_height, g.out_width,
            g.stride,    -g.pad_top, -g.pad_left,   g.kernel,     g.kernel};
}

/// How a filter is packed: in one piece, or line by line, each filled up with zeros as tiles read it.
struct filter_pieces {
    bool by_lines;
    int count, elements, steps;  ///< steps of k in a piece, pairs or not

    template <class T>
    filter_pieces(gemm_kernels<T> const& kernels, convolution_geometry const& g) {
        window_walk const w = walk_of(g);
        by_lines = tile_windows_fit(kernels, w);
        count = by_lines ? w.window_height : 1;
        elements = w.window_width * w.channels * (by_lines ? 1 : w.window_height);
        steps = static_cast<int>(ceil_divide(by_lines ? padded_line(w) : elements, kernels.pair));
    }
    int depth() const { return count * steps; }
};

/// Floats of all filters in panels.
template <class T>
std::int64_t packed_floats(gemm_kernels<T> const& kernels, convolution_geometry const& g) {
    return round_up(g.out_channels, kernels.tile_columns) * filter_pieces(kernels, g).depth();
}

template <class T>
void pack_filters(cpu& device, gemm_kernels<T> const& kernels, convolution_geometry const& g, float const* w,
                  float* packed) {
    filter_pieces const pieces(kernels, g);
    std::int64_t const filter = g.weight_size() / g.out_channels;
    std::int64_t const tc = kernels.tile_columns;
    std::int64_t const piece = tc * pieces.steps, panel = piece * pieces.count;
    std::int64_t const filled = tc * ceil_divide(pieces.elements, kernels.pair);
    device.for_chunks(ceil_divide(g.out_channels, tc), [&](std::int64_t p, int) {
        int const columns = static_cast<int>(std::min<std::int64_t>(tc, g.out_channels - p * tc));
        for (int i = 0; i < pieces.count; ++i) {
            float* const to = packed + p * panel + i * piece;
            kernels.pack(w + p * tc * filter + i * pieces.elements, 1, filter, pieces.elements, columns, to, panel);
            std::fill(to + filled, to + piece, 0.0F);
        }
    });
}

}  // namespace tempera::cpu_kernels
