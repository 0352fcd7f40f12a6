// SPDX-License-Identifier: Apache-2.0
#pragma once
// All kernels. Include it in .cu files that do not link tempera::cuda; kernels.cu is such a file.

#include <tempera/cuda/augmentation.cuh>
#include <tempera/cuda/batch_norm.cuh>
#include <tempera/cuda/contrastive.cuh>
#include <tempera/cuda/convolution.cuh>
#include <tempera/cuda/epilogue.cuh>
#include <tempera/cuda/global_average.cuh>
#include <tempera/cuda/losses.cuh>
#include <tempera/cuda/moments.cuh>
#include <tempera/cuda/normalize.cuh>
#include <tempera/cuda/normalized_branches.cuh>
#include <tempera/cuda/optimizers.cuh>
#include <tempera/cuda/pointwise.cuh>
#include <tempera/cuda/pooling.cuh>
#include <tempera/cuda/random.cuh>
#include <tempera/cuda/selective.cuh>
#include <tempera/cuda/step.cuh>
#include <tempera/cuda/swapped_filters.cuh>
#include <tempera/cuda/weight_gradient.cuh>
#include <tempera/cuda/whole_chunks.cuh>
#include <tempera/cuda/window_sum.cuh>
