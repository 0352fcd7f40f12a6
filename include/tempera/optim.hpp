// SPDX-License-Identifier: Apache-2.0
#pragma once
// The optimizers and their schedules: gradients in, updated parameters out.

#include <tempera/optim/adam.hpp>
#include <tempera/optim/ema.hpp>
#include <tempera/optim/lars.hpp>
#include <tempera/optim/learning_rate.hpp>
#include <tempera/optim/ranges.hpp>
#include <tempera/optim/sgd.hpp>
#include <tempera/optim/warmup_cosine.hpp>
