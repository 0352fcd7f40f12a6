// SPDX-License-Identifier: Apache-2.0
#pragma once
// The cpu device with every kernel of the catalogue.

#include <tempera/cpu/available_threads.hpp>
#include <tempera/cpu/bandwidth.hpp>
#include <tempera/cpu/batch_norm.hpp>
#include <tempera/cpu/column_sums.hpp>
#include <tempera/cpu/contrastive.hpp>
#include <tempera/cpu/convolution.hpp>
#include <tempera/cpu/cpu.hpp>
#include <tempera/cpu/direct_convolution.hpp>
#include <tempera/cpu/distillation.hpp>
#include <tempera/cpu/dropout.hpp>
#include <tempera/cpu/filter_panels.hpp>
#include <tempera/cpu/finite.hpp>
#include <tempera/cpu/gate.hpp>
#include <tempera/cpu/gemm.hpp>
#include <tempera/cpu/gemm_job.hpp>
#include <tempera/cpu/isa.hpp>
#include <tempera/cpu/l2_normalize.hpp>
#include <tempera/cpu/matmul.hpp>
#include <tempera/cpu/normalized_branches.hpp>
#include <tempera/cpu/optimizers.hpp>
#include <tempera/cpu/past_caches.hpp>
#include <tempera/cpu/peak.hpp>
#include <tempera/cpu/pointwise.hpp>
#include <tempera/cpu/pool.hpp>
#include <tempera/cpu/pooling.hpp>
#include <tempera/cpu/row_blocks.hpp>
#include <tempera/cpu/selective.hpp>
#include <tempera/cpu/softmax.hpp>
#include <tempera/cpu/target.hpp>
#include <tempera/cpu/vector.hpp>
#include <tempera/cpu/verbose.hpp>
#include <tempera/cpu/walk.hpp>
#include <tempera/cpu/winograd.hpp>
#include <tempera/cpu/winograd_weights.hpp>
