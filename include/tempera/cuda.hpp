// SPDX-License-Identifier: Apache-2.0
#pragma once
// The GPU device: gpu and every function of the catalogue for it. Opt-in; link tempera::cuda, or include
// <tempera/cuda/kernels.cuh> as well in a .cu file. Needs the headers of the CUDA Toolkit.

#include <tempera/cuda/augmentation.hpp>
#include <tempera/cuda/batch_norm.hpp>
#include <tempera/cuda/captured_step.hpp>
#include <tempera/cuda/contrastive.hpp>
#include <tempera/cuda/convolution.hpp>
#include <tempera/cuda/double_buffer.hpp>
#include <tempera/cuda/gpu.hpp>
#include <tempera/cuda/image_memory.hpp>
#include <tempera/cuda/losses.hpp>
#include <tempera/cuda/matmul.hpp>
#include <tempera/cuda/normalized_branches.hpp>
#include <tempera/cuda/optimizers.hpp>
#include <tempera/cuda/pointwise.hpp>
#include <tempera/cuda/pooling.hpp>
#include <tempera/cuda/recordings.hpp>
#include <tempera/cuda/selective.hpp>
#include <tempera/device/device.hpp>

namespace tempera {

static_assert(takes_convolution_statistics<gpu, bf16> && takes_convolution_statistics<gpu, half>, "schedules ask for it");
static_assert(Device<gpu, float> && Device<gpu, bf16> && Device<gpu, half>, "every function of the catalogue");

}  // namespace tempera
