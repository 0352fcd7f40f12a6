// SPDX-License-Identifier: Apache-2.0
// The one source file of tempera::compiled: kernels and steps of the cpu, for programs of many files. Compiled with
// TEMPERA_COMPILED, as its users are.

#define TEMPERA_COMPILING
#include <tempera/tempera.hpp>

#define TEMPERA_TABLES(T)                                                           \
    template batch_norm_kernels<T> const& batch_norm_for<T>(isa);                   \
    template dropout_kernels<T> const& dropout_for<T>(isa);                         \
    template gate_kernels<T> const& gate_for<T>(isa);                               \
    template gemm_kernels<T> const& gemm_kernels_of<T>(isa);                        \
    template gemm_kernels<T> const& gemm_pairs_of<T>(isa);                          \
    template l2_normalize_kernels<T> const& l2_normalize_for<T>(isa);               \
    template normalized_branches_kernels<T> const& normalized_branches_for<T>(isa); \
    template pointwise_kernels<T> const& pointwise_for<T>(isa);                     \
    template pooling_kernels<T> const& pooling_for<T>(isa);                         \
    template selective_kernels<T> const& selective_for<T>(isa);                     \
    template winograd_kernels<T> const& winograd_for<T>(isa);

namespace tempera::cpu_kernels {

TEMPERA_TABLES(float)
TEMPERA_TABLES(bf16)
template contrastive_kernels const& contrastive_for<contrastive_kernels>(isa);
template finite_kernels const& finite_for<finite_kernels>(isa);
template optimizer_kernels const& optimizers_for<optimizer_kernels>(isa);
template softmax_kernels const& softmax_for<softmax_kernels>(isa);

}  // namespace tempera::cpu_kernels
