// SPDX-License-Identifier: Apache-2.0
#pragma once
// The matrix kernels that can run on this machine: those of its instruction sets, and the code of avx512 (its vector
// length, tiles and masks) on emulated vectors. Include before any other header of cpu/.

#define TEMPERA_EMULATED_TARGET
#include <tempera/cpu/gemm.hpp>

#include <type_traits>
#include <vector>

namespace tempera::test {

template <class T>
std::vector<cpu_kernels::gemm_kernels<T> const*> kernel_tables() {
    std::vector<cpu_kernels::gemm_kernels<T> const*> all{&cpu_kernels::portable::gemm_table<T>,
                                                         &cpu_kernels::emulated::gemm_table<T>};
    if (detected_isa() >= isa::avx2) all.push_back(&cpu_kernels::avx2::gemm_table<T>);
    if (detected_isa() >= isa::avx512) all.push_back(&cpu_kernels::avx512::gemm_table<T>);
    if constexpr (std::is_same_v<T, bf16>) {
        all.push_back(&cpu_kernels::emulated_pairs::gemm_pairs_table);
        all.push_back(&cpu_kernels::emulated_amx::gemm_amx_table);
        if (detected_isa() >= isa::avx512_bf16) all.push_back(&cpu_kernels::avx512_bf16::gemm_pairs_table);
        if (detected_isa() == isa::amx && take_tile_state()) all.push_back(&cpu_kernels::amx::gemm_amx_table);
    }
    return all;
}

}  // namespace tempera::test
