// SPDX-License-Identifier: Apache-2.0
#pragma once
// The catalogue: every function a device provides, and the concept that checks for them.

#include <tempera/device/batch_norm.hpp>
#include <tempera/device/communicator.hpp>
#include <tempera/device/convolution.hpp>
#include <tempera/device/device.hpp>
#include <tempera/device/distortion.hpp>
#include <tempera/device/losses.hpp>
#include <tempera/device/matmul.hpp>
#include <tempera/device/memory.hpp>
#include <tempera/device/normalized_branches.hpp>
#include <tempera/device/optimizers.hpp>
#include <tempera/device/pointwise.hpp>
#include <tempera/device/pooling.hpp>
#include <tempera/device/process_group.hpp>
#include <tempera/device/selective.hpp>
#include <tempera/device/store.hpp>
