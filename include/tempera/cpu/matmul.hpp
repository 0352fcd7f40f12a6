// SPDX-License-Identifier: Apache-2.0
#pragma once
// matmul on the cpu: c (+)= op(a) op(b), row-major float32. See device/matmul.hpp.

#include <algorithm>
#include <cstdint>

#include <tempera/cpu/gemm_job.hpp>
#include <tempera/cpu/peak.hpp>
#include <tempera/cpu/verbose.hpp>
#include <tempera/device/matmul.hpp>

namespace tempera {

namespace cpu_kernels {

inline void matmul_with(cpu& device, gemm_kernels<float> const& kernels, matmul_geometry const& g, float const* a,
                        float const* b, float* c, store mode) {
    if (g.m == 0 || g.n == 0) return;
    if (g.k == 0) {  // a sum of nothing
        if (mode == store::write) std::fill_n(c, std::int64_t{1} * g.m * g.n, 0.0F);
        return;
    }
    auto const turn = device.exclusive();
    std::int64_t const tc = kernels.tile_columns;
    std::int64_t const panels = ceil_divide(g.n, tc);
    float* const packed = panels_of(device, panels * tc * g.k);
    std::ptrdiff_t const step_k = g.transpose_b ? 1 : g.n;
    std::ptrdiff_t const step_n = g.transpose_b ? g.k : 1;
    device.for_chunks(panels, [&](std::int64_t p, int) {
        int const columns = static_cast<int>(std::min(tc, g.n - p * tc));
        kernels.pack(b + p * tc * step_n, step_k, step_n, g.k, columns, packed + p * tc * g.k, tc * g.k);
    });

    gemm_job<float> job;
    job.rows = g.m;
    job.columns = g.n;
    job.depth = g.k;
    if (g.transpose_a) {
        job.a = a;
        job.a_row = g.m;
        job.a_transposed = true;
    } else if (g.k % 512 != 0 || g.n < 128) {
        job.a = a;
        job.a_row = g.k;
    } else {
        job.walk = {1, g.m, g.k, 1, g.m, 1, 0, 0, 1, 1};
        job.source = a;
        job.gather = kernels.gather;
    }
    job.panels = packed;
    job.c = c;
    job.out = {1, 1, g.n, 0, 0};
    job.accumulate = mode == store::accumulate;
    run_gemm(device, kernels, job);
}

}  // namespace cpu_kernels

inline void matmul(cpu& device, matmul_geometry const& g, float const* a, float const* b, float* c, store mode) {
    auto const& kernels = cpu_kernels::gemm_kernels_of<float>(device.level());
    verbose_scope scope(device, "matmul", kernels.name, std::int64_t{1} * g.m * g.n * g.k,
                        cpu_kernels::peak_to_print(device, kernels));
    scope.sizes("%d x %d x %d%s%s", g.m, g.n, g.k, g.transpose_a ? " a^T" : "", g.transpose_b ? " b^T" : "");
    cpu_kernels::matmul_with(device, kernels, g, a, b, c, mode);
}

}  // namespace tempera
