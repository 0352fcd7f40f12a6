// SPDX-License-Identifier: Apache-2.0
#pragma once
// NT-Xent on the cpu without the 2N x 2N matrix (catalogue: device/losses.hpp; SimCLR eq. 1).
//
//   S_ij = u_i . u_j / tau, i != j          lse_i = log sum_{j != i} exp S_ij
//   x_i = log sum_{j not i, pos} exp S_ij - S_i,pos      loss = 1 / N sum_i log(1 + exp x_i)
//   d loss / d u_i = 1 / (N tau) sum_j W_ij u_j          W_ij = P_ij + P_ji - 2 [j = pos],  P_ij = exp(S_ij - lse_i)
//
// Each view is cut into blocks of 112 rows. Two passes over pairs of blocks {I, J} compute each tile of S once: the
// first keeps a sum for every row (with a running maximum where exp S could overflow: |S| <= 1 / tau for unit rows),
// the second turns the tile into W and multiplies it with u_I and u_J. Pairs come in rounds in which no block occurs
// twice (a round-robin tournament), so that a pair owns the rows it adds to: no locks, and the same sums for any number
// of threads. Extra memory: about five times the size of h.

#include <cmath>
#include <cstdint>
#include <utility>

#include <tempera/cpu/gemm.hpp>
#include <tempera/cpu/peak.hpp>
#include <tempera/cpu/pointwise.hpp>
#include <tempera/cpu/verbose.hpp>
#include <tempera/device/losses.hpp>

namespace tempera::cpu_kernels {

constexpr int contrastive_block = 112;
constexpr float contrastive_masked = -1e30F;
constexpr float contrastive_largest_inverse = 1e6F;  ///< 1 / |h| where |h|^2 is at its smallest, 1e-12

/// A row of view a among the rows of view b: largest similarity and its first index, sum of e = exp(S - largest), and
/// sum of (S - largest) e.
struct contrastive_cross {
    float largest = contrastive_masked;
    int best = 0;
    double sum = 0;
    double moment = 0;
};

/// Working memory. Blocks 0 .. n - 1 are view a, n .. 2n - 1 view b; row r of block b has index 112 b + r.
struct contrastive_work {
    int pairs, channels;
    int padded;   ///< channels rounded up to whole panels
    int columns;  ///< the rows of a block rounded up to whole panels
    bool normalize;
    bool bounded;  ///< |S_ij| <= 60: exp(S_ij) needs no shift
    float inverse_temperature;
    float* u;             ///< {index, padded}
    float* across;        ///< per block the transpose of u / tau in panels: {columns / wide, channels, wide}
    float* along;         ///< per block u in panels: {padded / wide, 112, wide}; null: no gradient
    float* dz;            ///< {index, padded}
    float* inverse_norm;  ///< per index, as all below
    float* positive;      ///< S_i,pos
    float* shift;         ///< bounded: 0; else the largest S_ij of the negatives
    double* sum;          ///< sum over negatives of exp(S_ij - shift)
    float* log_sum;       ///< lse_i, log of the sum over all j != i of exp(S_ij)
    float* inverse_sum;   ///< exp(-lse_i), used when bounded
    float* pull;          ///< P_i,pos - 1
    double* loss;
    contrastive_cross* cross;

    int blocks_of_view() const { return (pairs + contrastive_block - 1) / contrastive_block; }
    int rows_of(int block) const {
        int const left = pairs - block % blocks_of_view() * contrastive_block;
        return left < contrastive_block ? left : contrastive_block;
    }
    std::int64_t first_row(int block) const {
        int const n = blocks_of_view();
        return std::int64_t{1} * (block / n) * pairs + std::int64_t{1} * (block % n) * contrastive_block;
    }
};

struct contrastive_kernels {
    void (*unit_rows)(contrastive_work const&, float const* h, int block);
    void (*statistics)(contrastive_work const&, int block_i, int block_j, float* tile);
    void (*weights)(contrastive_work const&, int block_i, int block_j, float* tile);
    void (*finish)(contrastive_work const&, float* dh, float factor, store mode, int block);
};

}  // namespace tempera::cpu_kernels

#define TEMPERA_KERNEL_FILE <tempera/cpu/kernels/contrastive.hpp>
#include <tempera/cpu/each_target.hpp>

namespace tempera {
namespace cpu_kernels {

template <class Table = contrastive_kernels>
Table const& contrastive_for(isa level) TEMPERA_TABLE(contrastive_table);

/// Lays the arrays of the workspace out from `memory` (null: only counts) and returns their bytes.
inline std::size_t place(contrastive_work& w, bool gradient, std::byte* memory) {
    std::size_t used = 0;
    auto take_blocks = [&]<class T>(T*& array, std::int64_t per_block) {
        array = memory == nullptr ? nullptr : reinterpret_cast<T*>(memory + used);
        auto const count = static_cast<std::size_t>(std::int64_t{2} * w.blocks_of_view() * per_block);
        used += (count * sizeof(T) + 63) / 64 * 64;
    };
    auto take = [&](auto*& array, std::int64_t per_index) { take_blocks(array, contrastive_block * per_index); };
    take(w.u, w.padded);
    take_blocks(w.across, std::int64_t{1} * w.columns * w.channels);
    w.along = w.dz = nullptr;
    if (gradient) {
        take(w.along, w.padded);
        take(w.dz, w.padded);
    }
    take(w.inverse_norm, 1);
    take(w.positive, 1);
    take(w.shift, 1);
    take(w.sum, 1);
    take(w.log_sum, 1);
    take(w.inverse_sum, 1);
    take(w.pull, 1);
    take(w.loss, 1);
    take(w.cross, 1);
    return used;
}

/// The products of a pass. A tile is 112 x 112 floats; line i of anything begins at i times its distance.
struct contrastive_products {
    contrastive_work const& w;
    gemm_tiles const& gemm;
    std::ptrdiff_t const* tile_lines;    ///< 112 i
    std::ptrdiff_t const* padded_lines;  ///< padded i

    std::int64_t row(int block) const { return std::int64_t{1} * block * contrastive_block * w.padded; }
    float* across(int block) const { return w.across + std::int64_t{1} * block * w.columns * w.channels; }
    float* along(int block) const { return w.along + row(block); }
    std::ptrdiff_t across_panel() const { return std::ptrdiff_t{w.channels} * gemm.tile_columns; }
    std::ptrdiff_t along_panel() const { return std::ptrdiff_t{contrastive_block} * gemm.tile_columns; }

    /// The panels of a block from its unit rows.
    void pack(int block, void (*scale)(float*, float, std::int64_t)) const {
        float const* const u = w.u + row(block);
        gemm.pack(u, 1, w.padded, w.channels, contrastive_block, across(block), across_panel());
        scale(across(block), w.inverse_temperature, std::int64_t{1} * w.columns * w.channels);
        if (w.along != nullptr) gemm.pack(u, w.padded, 1, contrastive_block, w.padded, along(block), along_panel());
    }
    /// tile = u_I u_J' / tau.
    void similarities(int i, int j, float* tile) const {
        gemm_block g{};
        g.rows = w.rows_of(i);
        g.columns = w.rows_of(j);
        g.depth = w.channels;
        g.a = w.u + row(i);
        g.a_row = w.padded;
        g.a_step = 1;
        g.b = across(j);
        g.b_panel = across_panel();
        g.c = tile;
        g.c_rows = tile_lines;
        multiply(g);
    }
    /// dz_I += W u_J from the tile W; with `transposed` dz_J += W' u_I.
    void gradient(int i, int j, float const* tile, bool transposed) const {
        gemm_block g{};
        g.rows = w.rows_of(transposed ? j : i);
        g.columns = w.channels;
        g.depth = w.rows_of(transposed ? i : j);
        g.a = tile;
        g.a_row = transposed ? 1 : contrastive_block;
        g.a_step = transposed ? contrastive_block : 1;
        g.b = along(transposed ? i : j);
        g.b_panel = along_panel();
        g.c = w.dz + row(transposed ? j : i);
        g.c_rows = padded_lines;
        g.accumulate = true;
        multiply(g);
    }

private:
    void multiply(gemm_block& g) const {
        g.a_group = gemm.tile_rows * g.a_row;
        g.b_step = gemm.tile_columns;
        gemm.multiply(g);
    }
};

/// f(I, J, tile) once for every pair of blocks I <= J; rounds follow one another, the pairs of a round run together.
template <class F>
void for_block_pairs(cpu& device, int blocks, F const& f) {
    std::size_t const bytes = sizeof(float) * contrastive_block * contrastive_block;
    auto tile = [&](int worker) { return static_cast<float*>(device.scratch(worker, scratch_slot::outer_own, bytes)); };
    device.for_chunks(blocks,
                      [&](std::int64_t b, int worker) { f(static_cast<int>(b), static_cast<int>(b), tile(worker)); });
    int const others = blocks - 1;  // odd: there are two views
    for (int round = 0; round < others; ++round) {
        device.for_chunks(blocks / 2, [&](std::int64_t chunk, int worker) {
            int const k = static_cast<int>(chunk);
            int const i = k == 0 ? others : (round + k) % others;
            int const j = (round - k + others) % others;
            f(i < j ? i : j, i < j ? j : i, tile(worker));
        });
    }
}

/// After the first pass: the loss of every row of a block, and what the second pass needs.
inline void contrastive_losses(contrastive_work const& w, int block) {
    for (int r = 0; r < w.rows_of(block); ++r) {
        std::int64_t const i = std::int64_t{1} * block * contrastive_block + r;
        auto const positive = static_cast<double>(w.positive[i]);
        double const x = static_cast<double>(w.shift[i]) - positive + std::log(w.sum[i]);
        w.loss[i] = x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
        w.log_sum[i] = static_cast<float>(positive + w.loss[i]);
        w.inverse_sum[i] = static_cast<float>(std::exp(-(positive + w.loss[i])));
        w.pull[i] = static_cast<float>(std::expm1(-w.loss[i]));
    }
}

}  // namespace cpu_kernels

inline loss_value contrastive_cross_entropy(cpu& device, contrastive_geometry const& g, float const* h, float weight,
                                            float* dh, store mode) {
    using namespace cpu_kernels;
    std::int64_t const rows = std::int64_t{2} * g.pairs;
    auto const& k = contrastive_for(device.level());
    gemm_tiles const& gemm = gemm_kernels_of<float>(device.level());
    verbose_scope scope(device, "contrastive_cross_entropy", gemm.name,
                        rows * rows * g.channels * (dh == nullptr ? 1 : 4) / 2, peak_to_print(device, gemm));
    scope.sizes("2 x %d x %d", g.pairs, g.channels);
    auto const& plain = pointwise_for<float>(device.level());

    auto const turn = device.exclusive();
    contrastive_work w{};
    w.pairs = g.pairs;
    w.channels = g.channels;
    w.padded = static_cast<int>(round_up(g.channels, gemm.tile_columns));
    w.columns = static_cast<int>(round_up(contrastive_block, gemm.tile_columns));
    w.normalize = g.normalize;
    w.inverse_temperature = 1 / g.temperature;
    w.bounded = g.normalize && w.inverse_temperature <= 60;
    std::size_t const bytes = place(w, dh != nullptr, nullptr);
    place(w, dh != nullptr, static_cast<std::byte*>(device.scratch(device.caller(), scratch_slot::outer, bytes)));
    device.reserve(scratch_slot::outer_own, sizeof(float) * contrastive_block * contrastive_block);
    std::ptrdiff_t tile_lines[contrastive_block];
    std::ptrdiff_t padded_lines[contrastive_block];
    for (int i = 0; i < contrastive_block; ++i) {
        tile_lines[i] = std::ptrdiff_t{i} * contrastive_block;
        padded_lines[i] = std::ptrdiff_t{i} * w.padded;
    }
    contrastive_products const products{w, gemm, tile_lines, padded_lines};

    int const blocks = 2 * w.blocks_of_view();
    device.for_chunks(blocks, [&](std::int64_t chunk, int) {
        int const block = static_cast<int>(chunk);
        for (std::int64_t i = chunk * contrastive_block; i < (chunk + 1) * contrastive_block; ++i) {
            w.shift[i] = w.bounded ? 0 : contrastive_masked;
            w.sum[i] = 0;
            w.log_sum[i] = 0;
            w.inverse_sum[i] = 0;
            w.cross[i] = contrastive_cross{};
        }
        k.unit_rows(w, h, block);
        products.pack(block, plain.scale);
        if (dh != nullptr) plain.fill(w.dz + products.row(block), 0, std::int64_t{contrastive_block} * w.padded);
    });
    for_block_pairs(device, blocks, [&](int i, int j, float* tile) {
        products.similarities(i, j, tile);
        k.statistics(w, i, j, tile);
    });
    device.for_chunks(blocks, [&](std::int64_t block, int) { contrastive_losses(w, static_cast<int>(block)); });
    if (dh != nullptr) {
        auto const factor = static_cast<float>(static_cast<double>(weight) /
                                               (static_cast<double>(g.pairs) * static_cast<double>(g.temperature)));
        for_block_pairs(device, blocks, [&](int i, int j, float* tile) {
            products.similarities(i, j, tile);
            k.weights(w, i, j, tile);
            products.gradient(i, j, tile, false);
            if (i != j) products.gradient(i, j, tile, true);
        });
        device.for_chunks(blocks,
                          [&](std::int64_t block, int) { k.finish(w, dh, factor, mode, static_cast<int>(block)); });
    }

    double loss = 0;
    double entropy = 0;
    std::int64_t correct = 0;
    for (int block = 0; block < blocks; ++block) {
        for (int r = 0; r < w.rows_of(block); ++r) {
            std::int64_t const i = std::int64_t{1} * block * contrastive_block + r;
            loss += w.loss[i];
            if (block >= blocks / 2) continue;
            contrastive_cross const& x = w.cross[i];
            entropy += std::log(x.sum) - x.moment / x.sum;
            correct += x.best == i;
        }
    }
    return {static_cast<float>(loss / g.pairs), static_cast<float>(static_cast<double>(correct) / g.pairs),
            static_cast<float>(entropy / g.pairs)};
}

}  // namespace tempera
