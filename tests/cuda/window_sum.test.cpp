// SPDX-License-Identifier: Apache-2.0
// The parts of convolutions on tensor cores: window sums as sets of products, places of chunks in shared memory, and
// both widths of tiles.

#include <algorithm>
#include <array>

#include <tempera/cuda/weight_gradient.cuh>
#include <tempera/cuda/swapped_filters.cuh>
#include <tempera/cuda/window_sum.cuh>

#include "lab.hpp"

using namespace tempera;
using namespace tempera::cuda_kernels;

namespace {

/// Every chunk has a place of its own, and eight chunks loaded at once (consecutive rows of a column) or stored at once
/// (consecutive chunks) lie in eight groups of banks.
template <int Chunks>
consteval bool free_of_conflicts() {
    constexpr int rows = 32;
    bool seen[rows * Chunks] = {};
    for (int row = 0; row < rows; ++row)
        for (int column = 0; column < Chunks; ++column) {
            int const place = chunk_place<Chunks>(row, column);
            if (place < 0 || place >= rows * Chunks || seen[place]) return false;
            seen[place] = true;
        }
    for (int first = 0; first < rows * Chunks; first += 8) {
        unsigned stored = 0;
        for (int i = first; i < first + 8; ++i) stored |= 1U << chunk_place<Chunks>(i / Chunks, i % Chunks) % 8;
        if (stored != 0xff) return false;
    }
    for (int first = 0; first < rows; first += 8)
        for (int column = 0; column < Chunks; ++column) {
            unsigned loaded = 0;
            for (int row = first; row < first + 8; ++row) loaded |= 1U << chunk_place<Chunks>(row, column) % 8;
            if (loaded != 0xff) return false;
        }
    return true;
}
static_assert(free_of_conflicts<4>() && free_of_conflicts<8>() && free_of_conflicts<16>());

consteval bool counts_on() {
    for (int middles = 1; middles < 4; ++middles)
        for (int lows = 1; lows < 4; ++lows)
            for (int a = 0; a < 30; ++a)
                for (int b = 0; b < 30; ++b) {
                    odometer sum(a, middles, lows);
                    sum.add(odometer(b, middles, lows), middles, lows);
                    if ((sum.high * middles + sum.middle) * lows + sum.low != a + b) return false;
                    if (sum.low >= lows || sum.middle >= middles) return false;
                }
    return true;
}
static_assert(counts_on());

consteval bool divides(int d) {
    divisor const by(d);
    constexpr std::int64_t most = 0x7fffffff;
    for (std::int64_t q = 0; q < 20; ++q)
        for (std::int64_t n = q * d; n < q * d + d && n < q * d + 40 && n <= most; ++n)
            if (by.of(static_cast<int>(n)) != q) return false;
    for (int n = most; n > most - 60; --n)
        if (by.of(n) != n / d || by.of(n / d * d) != n / d || (n >= d && by.of(n / d * d - 1) != n / d - 1)) return false;
    return true;
}
static_assert(divides(1) && divides(2) && divides(3) && divides(7) && divides(8) && divides(56) && divides(147) &&
              divides(641) && divides(1 << 20) && divides((1 << 30) + 1) && divides(0x7fffffff));

/// (position of x, of w, of y) on one axis.
using hit = std::array<int, 3>;

std::vector<hit> by_definition(int in, int out, int kernel, int stride, int pad) {
    std::vector<hit> all;
    for (int x = 0; x < in; ++x)
        for (int w = 0; w < kernel; ++w)
            for (int y = 0; y < out; ++y)
                if (y * stride + w - pad == x) all.push_back({x, w, y});
    return all;
}

}  // namespace

TEST_CASE("gpu window sums: both directions hold every product of a convolution once") {
    int const in = GENERATE(1, 2, 5, 8);
    int const kernel = GENERATE(1, 2, 3, 7);
    int const stride = GENERATE(1, 2, 3);
    int const pad = GENERATE(0, 1, 3);
    convolution_geometry g{.batch = 1, .in_height = in, .kernel = kernel, .stride = stride, .pad_top = pad};
    g.out_height = (in + stride - 1) / stride;
    auto const expected = by_definition(in, g.out_height, kernel, stride, pad);

    std::vector<hit> forward;
    window_sum const f = forward_sum(g);
    for (int i = 0; i < f.down.count; ++i)
        for (int r = 0; r < f.down.taps; ++r) {
            int const x = f.down.in_first + i * f.in_step + r * f.tap_step;
            if (x >= 0 && x < f.down.in_size)
                forward.push_back({x, f.down.w_first + r * f.w_step, f.down.out_first + i * f.out_step});
        }
    std::sort(forward.begin(), forward.end());
    CHECK(forward == expected);

    std::vector<hit> gradient;
    std::vector<int> written;
    for (int phase = 0; phase < stride; ++phase) {
        window_sum const b = gradient_sum(g, phase, 0);
        for (int i = 0; i < b.down.count; ++i) {
            int const x = b.down.out_first + i * b.out_step;
            written.push_back(x);
            for (int r = 0; r < b.down.taps; ++r) {
                int const y = b.down.in_first + i * b.in_step + r * b.tap_step;
                if (y >= 0 && y < b.down.in_size) gradient.push_back({x, b.down.w_first + r * b.w_step, y});
            }
        }
    }
    std::sort(gradient.begin(), gradient.end());
    std::sort(written.begin(), written.end());
    CHECK(gradient == expected);
    for (int x = 0; x < in; ++x) CHECK(written.at(static_cast<std::size_t>(x)) == x);
    CHECK(written.size() == static_cast<std::size_t>(in));
}

TEST_CASE("gpu window sums: tiles of 64 and of 128 columns, of warps and of warpgroups, give the same bits", "[emulated]") {
    emulation::with const machine(lab::any_order());
    gpu device;
    convolution_geometry const g{.batch = 1,
                                 .in_height = 10,
                                 .in_width = 14,
                                 .in_channels = 24,
                                 .out_height = 10,
                                 .out_width = 14,
                                 .out_channels = 136,
                                 .kernel = 3,
                                 .pad_top = 1,
                                 .pad_left = 1};
    auto x = lab::on_device(device, lab::random_values<bf16>(g.in_size(), 1));
    auto w = lab::on_device(device, lab::random_values<bf16>(g.weight_size(), 2));
    auto bias = lab::on_device(device, lab::random_values<float>(g.out_channels, 3));
    auto const old = lab::random_values<bf16>(g.out_size(), 4);
    auto const run = [&]<class Product>() {
        auto y = lab::on_device(device, old);
        unsigned const columns = Product::columns;
        launch_with(Product::launched_bytes, window_sum_kernel<bf16, Product>, dim3(2 * ((136 + columns - 1) / columns)),
                    dim3(product_threads), device.context.stream(), forward_sum(g), window_divisors(forward_sum(g)),
                    x.data(), w.data(),
                    convolution_epilogue<bf16>{.bias = bias.data(), .residual = y.data()}, y.data(),
                    static_cast<float*>(nullptr), forward_sum(g).depth(), static_cast<float*>(nullptr));
        return lab::from_device(device, y);
    };
    auto const found = run.operator()<block_product<bf16, 64, major::depth>>();
    CHECK(found == run.operator()<block_product<bf16, 128, major::depth>>());
    CHECK(found == run.operator()<warpgroup_product<bf16, 64, major::depth>>());
    CHECK(found == run.operator()<warpgroup_product<bf16, 128, major::depth>>());
    CHECK(found != old);
}

TEST_CASE("gpu window sums: warpgroups where the device has them, warps elsewhere", "[emulated]") {
    emulation::machine machine;
    machine.compute_major = GENERATE(8, 9, 10);
    emulation::with const here(machine);
    CHECK(runs_here(window_sum_kernel<bf16, warpgroup_product<bf16, 64, major::depth>>) == (machine.compute_major == 9));
}

TEMPLATE_TEST_CASE("gpu window sums: filters with their channels swapped, zeros behind them", "", bf16, tempera::half) {
    emulation::with const machine(lab::any_order());
    gpu device;
    convolution_geometry const g{.in_channels = GENERATE(3, 8, 37), .out_channels = GENERATE(8, 72), .kernel = 3};
    auto const w = lab::random_values<TestType>(g.weight_size(), 1);
    auto const values = lab::exact(w);
    auto from = lab::on_device(device, std::vector<float>(values.begin(), values.end()));
    buffer<TestType> to(device, in_whole_chunks(g).weight_size());
    swap_channels(device.context.stream(), g, from.data(), to.data());
    std::vector<double> expected(static_cast<std::size_t>(to.size()));
    for (int o = 0; o < g.out_channels; ++o)
        for (int tap = 0; tap < 9; ++tap)
            for (int c = 0; c < g.in_channels; ++c)
                expected[static_cast<std::size_t>((c * 9 + tap) * g.out_channels + o)] =
                    values[static_cast<std::size_t>((o * 9 + tap) * g.in_channels + c)];
    CHECK(lab::difference(lab::from_device(device, to), expected) == 0);
}

TEST_CASE("gpu window sums: tiles are wide where that wastes nothing and fills a GPU") {
    CHECK(wide_tiles(128 * 128, 128));
    CHECK(!wide_tiles(127 * 128, 128));
    CHECK(wide_tiles(64 * 128, 256));
    CHECK(!wide_tiles(1 << 20, 64));
    CHECK(!wide_tiles(1 << 20, 192));
    CHECK(wide_tiles(1 << 20, 200));
}

TEST_CASE("gpu window sums: the depth is split where tiles are few and it is deep, and all of it is there") {
    auto const splits = [](int batch, int map, int in, int out, int kernel) {
        convolution_geometry const g{.batch = batch,
                                     .in_height = map,
                                     .in_width = map,
                                     .in_channels = in,
                                     .out_height = map,
                                     .out_width = map,
                                     .out_channels = out,
                                     .kernel = kernel};
        depth_splits const s = splits_of(g);
        CHECK(s.depth % tile_depth == 0);
        CHECK(std::int64_t{s.depth} * s.count >= forward_sum(g).depth());
        CHECK(std::int64_t{s.depth} * (s.count - 1) < forward_sum(g).depth());
        return s.count;
    };
    CHECK(splits(1, 14, 256, 256, 3) == 9);
    CHECK(splits(1, 7, 2048, 512, 1) == 8);
    CHECK(splits(1, 7, 512, 2048, 1) == 1);
    CHECK(splits(1, 3, 392, 8, 3) == 12);
    CHECK(splits(256, 7, 512, 512, 3) == 1);
    CHECK(splits(0, 7, 512, 512, 3) == 18);
}

TEST_CASE("gpu window sums: images come in blocks of positions where the stride is 2") {
    convolution_geometry stem{.in_height = 224, .in_width = 225, .in_channels = 3, .kernel = 7, .stride = 2};
    stem.pad_top = 2;
    stem.pad_left = 3;
    convolution_geometry const blocks = in_blocks(stem);
    CHECK(blocks.stride == 1);
    CHECK(blocks.in_height == 112);
    CHECK(blocks.in_width == 113);
    CHECK(blocks.pad_top == 1);
    CHECK(blocks.pad_left == 2);
    CHECK(forward_sum(blocks).depth() == 4 * 4 * 16);
    CHECK(in_blocks(blocks) == blocks);
    stem.stride = 1;
    CHECK(in_blocks(stem) == in_whole_chunks(stem));
}
