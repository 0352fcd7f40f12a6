// SPDX-License-Identifier: Apache-2.0
// Matrix products against sums in float64, and exactly on integers.

#include "lab.hpp"

using namespace tempera;

namespace {

std::vector<double> product(matmul_geometry const& g, std::vector<double> const& a, std::vector<double> const& b,
                            std::vector<double> c) {
    for (int i = 0; i < g.m; ++i)
        for (int j = 0; j < g.n; ++j)
            for (int p = 0; p < g.k; ++p)
                c[static_cast<std::size_t>(i * g.n + j)] +=
                    a[static_cast<std::size_t>(g.transpose_a ? p * g.m + i : i * g.k + p)] *
                    b[static_cast<std::size_t>(g.transpose_b ? j * g.k + p : p * g.n + j)];
    return c;
}

}  // namespace

TEST_CASE("gpu matmul: all transposes, written and accumulated") {
    matmul_geometry g;
    std::tie(g.m, g.n, g.k) =
        GENERATE(std::tuple(1, 1, 1), std::tuple(3, 5, 7), std::tuple(16, 1, 9), std::tuple(1, 20, 33));
    g.transpose_a = GENERATE(false, true);
    g.transpose_b = GENERATE(false, true);
    store const mode = GENERATE(store::write, store::accumulate);
    gpu device;
    auto const a = lab::random_values<float>(g.m * g.k, 1);
    auto const b = lab::random_values<float>(g.k * g.n, 2);
    auto const old = lab::random_values<float>(g.m * g.n, 3);
    auto a_memory = lab::on_device(device, a);
    auto b_memory = lab::on_device(device, b);
    auto c_memory = lab::on_device(device, old);
    matmul(device, g, a_memory.data(), b_memory.data(), c_memory.data(), mode);
    auto const start = mode == store::write ? std::vector<double>(old.size()) : lab::exact(old);
    CHECK(lab::difference(lab::from_device(device, c_memory), product(g, lab::exact(a), lab::exact(b), start)) < 1e-6);
}

TEST_CASE("gpu matmul: exact on integers, and never reads what it overwrites") {
    gpu device;
    matmul_geometry const g{.m = 4, .n = 3, .k = 11, .transpose_b = true};
    std::vector<float> a(44);
    std::vector<float> b(33);
    for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(static_cast<int>(i * 7 % 19) - 9);
    for (std::size_t i = 0; i < b.size(); ++i) b[i] = static_cast<float>(static_cast<int>(i * 5 % 17) - 8);
    auto a_memory = lab::on_device(device, a);
    auto b_memory = lab::on_device(device, b);
    buffer<float> c_memory(device, 12);  // NaN
    matmul(device, g, a_memory.data(), b_memory.data(), c_memory.data(), store::write);
    CHECK(lab::exact(lab::from_device(device, c_memory)) ==
          product(g, lab::exact(a), lab::exact(b), std::vector<double>(12)));
}

TEST_CASE("gpu matmul: nothing to do") {
    gpu device;
    long const before = emulation::counts().products;
    buffer<float> memory(device, 1);
    matmul(device, {.m = 0, .n = 3, .k = 2}, memory.data(), memory.data(), memory.data(), store::write);
    CHECK(emulation::counts().products == before);
}

TEST_CASE("gpu matmul: layers multiply in TF32 where it is allowed, matmul and losses never") {
    bool const allowed = GENERATE(false, true);
    gpu device{.index = 0, .tf32 = allowed};
    // 1 + 2^-11 + 2^-20 lies above the middle of 1 and 1 + 2^-10, its neighbours with 10 bits. Of a size for tensor cores.
    constexpr int rows = 128, depth = 32, columns = 64;
    std::vector<float> a(rows * depth), b(columns * depth);
    for (std::size_t i = 0; i < rows; ++i) a[i * depth] = 1 + 0x1p-11F + 0x1p-20F, a[i * depth + 1] = 1;
    for (std::size_t i = 0; i < columns; ++i) b[i * depth] = 1, b[i * depth + 1] = -1;
    constexpr float exact = 0x1p-11F + 0x1p-20F;
    auto a_memory = lab::on_device(device, a);
    auto b_memory = lab::on_device(device, b);
    buffer<float> y(device, rows * columns);
    convolution_forward(device, {.batch = rows, .in_channels = depth, .out_channels = columns}, a_memory.data(),
                        b_memory.data(), nullptr, y.data());
    for (float const found : lab::from_device(device, y)) {
        if (allowed) CHECK((found == 0x1p-10F || found == 0.0F));  // rounded or cut off
        else CHECK(found == exact);
    }
    matmul(device, {.m = rows, .n = columns, .k = depth, .transpose_b = true}, a_memory.data(), b_memory.data(), y.data(),
           store::write);
    for (float const found : lab::from_device(device, y)) CHECK(found == exact);

    auto const h = lab::random_values<float>(24, 9);
    auto h_memory = lab::on_device(device, h);
    gpu strict{.index = 0};
    auto strict_memory = lab::on_device(strict, h);
    contrastive_geometry const g{.pairs = 3, .channels = 4, .temperature = 0.5F};
    CHECK(contrastive_cross_entropy(device, g, h_memory.data(), 1, nullptr, store::write).loss ==
          contrastive_cross_entropy(strict, g, strict_memory.data(), 1, nullptr, store::write).loss);
}
