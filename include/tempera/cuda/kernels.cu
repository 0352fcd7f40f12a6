// SPDX-License-Identifier: Apache-2.0
// The one file that tempera::cuda compiles with nvcc (-std=c++20). Naming a launcher's address compiles it and its
// kernels, so that files built without nvcc find them at link time.

#include <tuple>

#include <tempera/cuda/kernels.cuh>

namespace tempera::cuda_kernels {

/// Launchers that exist once per element type of activations.
template <class T>
auto launchers_for() {
    return std::make_tuple(
        &relu_forward<T>, &relu_backward<T>, &sigmoid_forward<T>, &sigmoid_backward<T>, &add_forward<T>, &multiply<T>,
        &copy<T>, &fill<T>, &scale<T>, &copy_channels<T>, &gate_forward<T>, &gate_backward<T>, &mask_elements<T>,
        &dropout<T>, &l2_normalize_forward<T>, &l2_normalize_backward<T>, &batch_norm_statistics<T>,
        &batch_norm_apply<T>, &batch_norm_backward<T>, &gather_columns<T>, &gather_gradient<T>, &apply_epilogue<T>,
        &bias_gradient<T>, &max_pool_forward<T>, &max_pool_backward<T>, &average_pool_forward<T>,
        &average_pool_backward<T>, &global_average_pool_forward<T>, &global_average_pool_backward<T>,
        &selective_merge_forward<T>, &selective_merge_backward<T>, &normalized_average<T>, &normalized_merge<T>,
        &normalized_merge_backward<T>, &normalized_branches_backward<T>, &convert<T, float>, &convert<float, T>);
}
/// Launchers that exist for the element types of tensor cores.
template <class T>
auto tensor_launchers_for() {
    return std::make_tuple(&tensor_forward<T>, &tensor_forward_statistics<T>, &tensor_backward_data<T>,
                           &tensor_backward_weights<T>, &swap_channels<T>, &copy_in_whole_chunks<T, T>,
                           &copy_in_whole_chunks<float, T>);
}
template auto launchers_for<float>();
template auto launchers_for<bf16>();
template auto launchers_for<half>();
template auto tensor_launchers_for<bf16>();
template auto tensor_launchers_for<half>();

/// Launchers of float32 alone.
auto launchers_for_float32() {
    return std::make_tuple(&drop_block_mask, &batch_norm_moving, &softmax_cross_entropy, &distillation_term,
                           &count_correct, &find_not_finite, &split_embeddings, &contrastive_rows, &contrastive_weights,
                           &contrastive_split_weights, &contrastive_gradient, &sum_row_terms, &apply_lars, &apply_sgd,
                           &apply_adam, &apply_ema, &add_to_tally, &store_value<replay_numbers>,
                           &store_value<loss_tally>, &store_value<scale_numbers>, &scale_by, &note_not_finite,
                           &adjust_scale, &distort);
}

}  // namespace tempera::cuda_kernels
