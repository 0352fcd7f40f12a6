// SPDX-License-Identifier: Apache-2.0
#pragma once
// Column sums: reductions over the rows of row_blocks, channel by channel. Sums of a block are float32 in wide
// columns; columns of one channel, then blocks of one sample are added in double, in their order.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include <tempera/cpu/cpu.hpp>
#include <tempera/cpu/row_blocks.hpp>

namespace tempera {

/// Repeats the first `channels` elements until there are fold x channels.
inline void repeat_columns(float* columns, int channels, int fold) {
    for (int f = 1; f < fold; ++f) std::memcpy(columns + f * channels, columns, static_cast<std::size_t>(channels) * 4);
}
/// sums[c] = the sum of the columns of channel c in a wide row.
inline void fold_columns(float const* columns, int channels, int fold, float* sums) {
    for (int c = 0; c < channels; ++c) {
        double sum = 0;
        for (int f = 0; f < fold; ++f) sum += static_cast<double>(columns[f * channels + c]);
        sums[c] = static_cast<float>(sum);
    }
}

/// Calls f(begin, end) for ranges of channels that together cover them, in parallel where `work` (elements read) is
/// worth it. f must treat every channel by itself.
template <class F>
void for_channels(cpu& device, int channels, std::int64_t work, F const& f) {
    if (work < 65536) return f(0, channels);
    constexpr int range = 64;
    device.for_chunks((channels + range - 1) / range, [&](std::int64_t chunk, int) {
        int const begin = static_cast<int>(chunk) * range;
        f(begin, std::min(begin + range, channels));
    });
}

/// For every sample: zeroes `kinds` wide rows of columns, calls walk(sample, first element, count, columns, spare) for
/// its blocks, folds and adds them, and calls write(sample, totals) with one total per kind and channel. spare is memory
/// of the worker for `spare_rows` wide rows.
template <class Walk, class Write>
void sum_columns(cpu& device, row_blocks const& cut, int kinds, int spare_rows, Walk const& walk, Write const& write) {
    if (cut.chunks == 0) return;
    auto const lock = device.exclusive();
    int const sums = kinds * cut.channels;
    std::size_t const c = static_cast<std::size_t>(sums);
    std::size_t const wide = static_cast<std::size_t>(kinds * cut.wide);
    std::size_t const local_bytes = (c + wide + static_cast<std::size_t>(spare_rows * cut.wide)) * sizeof(float);
    bool const whole = cut.blocks_per_sample == 1;
    float* const partial =
        whole ? nullptr
              : static_cast<float*>(device.scratch(device.caller(), scratch_slot::shared,
                                                   static_cast<std::size_t>(cut.blocks()) * c * sizeof(float)));
    device.reserve(scratch_slot::own, local_bytes);

    device.for_chunks(cut.chunks, [&](std::int64_t chunk, int worker) {
        auto* const columns = static_cast<float*>(device.scratch(worker, scratch_slot::own, local_bytes));
        float* const totals = columns + wide;
        cut.each_block(chunk, [&](std::int64_t block, std::int64_t sample, std::int64_t first, std::int64_t count) {
            std::memset(columns, 0, wide * sizeof(float));
            walk(sample, first, count, columns, totals + c);
            float* const out = whole ? totals : partial + block * sums;
            for (int k = 0; k < kinds; ++k)
                fold_columns(columns + k * cut.wide, cut.channels, cut.fold, out + k * cut.channels);
            if (whole) write(sample, static_cast<float const*>(totals));
        });
    });
    if (whole) return;
    device.for_chunks(cut.batch, [&](std::int64_t sample, int worker) {
        auto* const totals = static_cast<float*>(device.scratch(worker, scratch_slot::own, local_bytes));
        fold_columns(partial + sample * cut.blocks_per_sample * sums, sums, static_cast<int>(cut.blocks_per_sample),
                     totals);
        write(sample, static_cast<float const*>(totals));
    });
}

}  // namespace tempera
