// SPDX-License-Identifier: Apache-2.0
#pragma once
// Dropout and DropBlock on the CPU. Element i takes word i % 4 of the Philox counter block offset + i / 4, counter
// {lower 32 bits, upper 32 bits, 0, 0}, as a uniform number of 24 bits: any number of threads and any instruction
// set draw the same.
//
// DropBlock (Ghiasi et al. 2018), each channel on its own: every position whose block of side s = min(block, height,
// width) lies inside the map is a seed with probability gamma = (1 - keep) H W / s^2 / ((H - s + 1) (W - s + 1)); the
// block [i - s/2, i - s/2 + s) x [j - s/2, j - s/2 + s) around a seed is zero, the rest is elements / (ones of the batch).

#include <algorithm>
#include <cmath>
#include <cstdint>

#include <tempera/core/error.hpp>
#include <tempera/core/philox.hpp>
#include <tempera/cpu/row_blocks.hpp>
#include <tempera/cpu/verbose.hpp>
#include <tempera/cpu/walk.hpp>
#include <tempera/device/pointwise.hpp>

namespace tempera {
namespace cpu_kernels {

template <class T>
struct dropout_kernels {
    void (*words)(philox_key key, std::uint64_t first, int count, std::uint32_t* words);
    void (*walk)(philox_key key, std::uint64_t block, std::int32_t threshold, float factor, T const* x, T* y,
                 std::int64_t count, bool accumulate);
    void (*mask)(float const* mask, T const* x, T* y, std::int64_t count, bool accumulate);
};

}  // namespace cpu_kernels
}  // namespace tempera

#define TEMPERA_KERNEL_FILE <tempera/cpu/kernels/dropout.hpp>
#include <tempera/cpu/each_target.hpp>

namespace tempera {
namespace cpu_kernels {

template <class T>
dropout_kernels<T> const& dropout_for(isa level) TEMPERA_TABLE(dropout_table<T>);

/// A draw of 24 bits is below the probability exactly when it is below this number.
inline std::int32_t draws_below(double probability) {
    return static_cast<std::int32_t>(std::ceil(std::clamp(probability, 0.0, 1.0) * 16777216.0));
}

}  // namespace cpu_kernels

/// Throws error unless 0 <= rate < 1.
template <class T>
void apply_dropout(cpu& device, std::int64_t n, float rate, random_stream const& random, T const* x, T* y, store mode) {
    verbose_scope const scope(device, "apply_dropout", bytes_of<T>((1 + passes_of(mode)) * n));
    if (!(rate >= 0.0F && rate < 1.0F)) {
        throw error("dropout", "a rate of at least 0 and below 1", rate, "correct dropout{.rate}");
    }
    auto const kernel = cpu_kernels::dropout_for<T>(device.level()).walk;
    std::int32_t const threshold = cpu_kernels::draws_below(static_cast<double>(rate));
    float const factor = 1.0F / (1.0F - rate);
    for_elements(device, n, [&](std::int64_t i, std::int64_t count) {
        kernel(random.key, random.offset + static_cast<std::uint64_t>(i / 4), threshold, factor, x + i, y + i, count,
               mode == store::accumulate);
    });
}

inline void drop_block_mask(cpu& device, drop_block_geometry const& g, random_stream const& random, float* mask) {
    verbose_scope const scope(device, "drop_block_mask",
                              bytes_of<float>(std::int64_t{1} * g.batch * g.height * g.width * g.channels));
    if (g.batch <= 0) return;
    auto const words_of = cpu_kernels::dropout_for<float>(device.level()).words;
    int const side = std::min({g.block, g.height, g.width});
    double const gamma = (1.0 - static_cast<double>(g.keep)) * g.height * g.width / (static_cast<double>(side) * side) /
                         (static_cast<double>(g.height - side + 1) * (g.width - side + 1));
    auto const threshold = static_cast<std::uint32_t>(cpu_kernels::draws_below(gamma));
    std::int64_t const elements = std::int64_t{1} * g.height * g.width * g.channels;

    auto const lock = device.exclusive();
    auto* const ones = static_cast<std::int64_t*>(device.scratch(
        device.caller(), scratch_slot::shared, static_cast<std::size_t>(g.batch) * sizeof(std::int64_t)));
    // the counter blocks that hold a sample's draws, rounded up to whole vectors
    int const blocks = static_cast<int>((elements / 4 + 2 + 15) / 16 * 16);
    std::size_t const bytes = static_cast<std::size_t>(blocks) * 4 * sizeof(std::uint32_t);
    device.reserve(scratch_slot::own, bytes);

    device.for_chunks(g.batch, [&](std::int64_t sample, int worker) {
        auto* const words = static_cast<std::uint32_t*>(device.scratch(worker, scratch_slot::own, bytes));
        float* const out = mask + sample * elements;
        std::int64_t const first = sample * elements;
        words_of(random.key, random.offset + static_cast<std::uint64_t>(first / 4), blocks, words);
        std::fill(out, out + elements, 1.0F);
        auto const at = [&g](int row, int column) { return (std::int64_t{1} * row * g.width + column) * g.channels; };
        for (int i = side / 2; i < g.height - (side - 1) / 2; ++i) {
            for (int j = side / 2; j < g.width - (side - 1) / 2; ++j) {
                for (int c = 0; c < g.channels; ++c) {
                    if (words[first % 4 + at(i, j) + c] >> 8 >= threshold) continue;
                    for (int r = i - side / 2; r < i - side / 2 + side; ++r)
                        for (int q = j - side / 2; q < j - side / 2 + side; ++q) out[at(r, q) + c] = 0.0F;
                }
            }
        }
        ones[sample] = std::count(out, out + elements, 1.0F);
    });

    std::int64_t kept = 0;
    for (int sample = 0; sample < g.batch; ++sample) kept += ones[sample];
    float const factor =
        kept == 0 ? 0.0F : static_cast<float>(static_cast<double>(g.batch * elements) / static_cast<double>(kept));
    for_elements(device, g.batch * elements, [&](std::int64_t first, std::int64_t count) {
        for (std::int64_t i = first; i < first + count; ++i) mask[i] *= factor;
    });
}

template <class T>
void mask_elements(cpu& device, std::int64_t n, float const* mask, T const* x, T* y, store mode) {
    verbose_scope const scope(device, "mask_elements", bytes_of<float>(n) + bytes_of<T>((1 + passes_of(mode)) * n));
    auto const kernel = cpu_kernels::dropout_for<T>(device.level()).mask;
    for_elements(device, n, [&](std::int64_t i, std::int64_t count) {
        kernel(mask + i, x + i, y + i, count, mode == store::accumulate);
    });
}

}  // namespace tempera
