// SPDX-License-Identifier: Apache-2.0
#pragma once
// Describing networks: layers, blocks and networks as constexpr functions of values.

#include <tempera/graph.hpp>
#include <tempera/nn/attention.hpp>
#include <tempera/nn/batch_norm.hpp>
#include <tempera/nn/conv.hpp>
#include <tempera/nn/dense.hpp>
#include <tempera/nn/pointwise.hpp>
#include <tempera/nn/pool.hpp>
#include <tempera/nn/projection_head.hpp>
#include <tempera/nn/resnet.hpp>
#include <tempera/nn/sequential.hpp>
#include <tempera/nn/simclr.hpp>
