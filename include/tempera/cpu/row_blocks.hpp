// SPDX-License-Identifier: Apache-2.0
#pragma once
// row_blocks: how a {batch, positions, channels} array is cut into chunks for the pool, and how narrow rows are
// laid end to end so that vectors fill.
//
//   chunks      either several whole samples or one block of one sample's rows, about 64 Ki elements each; they
//               depend on the sizes alone, so that every reduction has one order for any number of threads
//   wide rows   `fold` consecutive rows seen as one row of `wide` = fold x channels elements: for 3 channels
//               64 rows make one of 192. Coefficients per channel are repeated `fold` times to match.
//
// Work that fits one chunk never wakes the pool.

#include <algorithm>
#include <cstdint>

#include <tempera/cpu/cpu.hpp>

namespace tempera {

struct row_blocks {
    static constexpr std::int64_t chunk_elements = 65536;
    static constexpr std::int64_t most_blocks = 512;  ///< of one sample: bounds the memory of partial sums

    int batch = 0;
    std::int64_t positions = 0;
    int channels = 0;

    int fold = 1;
    int wide = 0;
    std::int64_t rows_per_block = 0;     ///< rows of one sample that are worked through at once
    std::int64_t blocks_per_sample = 0;  ///< more than 1: a chunk is one block
    int samples_per_chunk = 1;
    std::int64_t chunks = 0;

    /// may_fold false: a wide row is one row.
    row_blocks(int batch_, std::int64_t positions_, int channels_, bool may_fold = true)
        : batch(batch_), positions(positions_), channels(channels_) {
        if (batch <= 0 || positions <= 0 || channels <= 0) return;
        while (may_fold && channels < 256 && 2 * fold <= positions && (fold * channels < 128 || fold * channels % 16 != 0)) fold *= 2;
        wide = fold * channels;
        std::int64_t const least = std::max({chunk_elements / channels, std::int64_t{64},
                                             (positions + most_blocks - 1) / most_blocks});
        rows_per_block = std::min(positions, (least + fold - 1) / fold * fold);
        blocks_per_sample = (positions + rows_per_block - 1) / rows_per_block;
        if (blocks_per_sample == 1) {
            samples_per_chunk = static_cast<int>(
                std::clamp(chunk_elements / (positions * channels), std::int64_t{1}, std::int64_t{batch}));
            chunks = (batch + samples_per_chunk - 1) / samples_per_chunk;
        } else {
            chunks = batch * blocks_per_sample;
        }
    }

    /// Blocks of the whole array: blocks_per_sample of every sample in turn.
    std::int64_t blocks() const { return batch * blocks_per_sample; }

    /// Calls f(block, sample, first element, count of elements) for the blocks of one chunk.
    template <class F>
    void each_block(std::int64_t chunk, F const& f) const {
        std::int64_t const per_chunk = blocks_per_sample == 1 ? samples_per_chunk : 1;
        std::int64_t const end = std::min((chunk + 1) * per_chunk, blocks());
        for (std::int64_t block = chunk * per_chunk; block < end; ++block) {
            std::int64_t const sample = block / blocks_per_sample;
            std::int64_t const row = block % blocks_per_sample * rows_per_block;
            std::int64_t const count = std::min(rows_per_block, positions - row);
            f(block, sample, (sample * positions + row) * channels, count * channels);
        }
    }
};

/// Calls f(first, count) for pieces of `total` elements, in parallel.
template <class F>
void for_elements(cpu& device, std::int64_t total, F const& f) {
    constexpr std::int64_t piece = row_blocks::chunk_elements;
    device.for_chunks((total + piece - 1) / piece, [&](std::int64_t chunk, int) {
        f(chunk * piece, std::min(piece, total - chunk * piece));
    });
}

/// Calls f(first row, count of rows) for pieces of `rows` rows that are worked through one by one, in parallel.
template <class F>
void for_rows(cpu& device, std::int64_t rows, int channels, F const& f) {
    std::int64_t const piece = std::max<std::int64_t>(1, row_blocks::chunk_elements / std::max(1, channels));
    device.for_chunks((rows + piece - 1) / piece, [&](std::int64_t chunk, int) {
        f(chunk * piece, std::min(piece, rows - chunk * piece));
    });
}

}  // namespace tempera
