// SPDX-License-Identifier: Apache-2.0
#pragma once
// The three stages of SimCLRv2 and what surrounds them, as plain functions.

#include <tempera/pipeline/device_views.hpp>
#include <tempera/pipeline/distill.hpp>
#include <tempera/pipeline/evaluate.hpp>
#include <tempera/pipeline/linear_evaluation.hpp>
#include <tempera/pipeline/linear_probe.hpp>
#include <tempera/pipeline/loss_means.hpp>
#include <tempera/pipeline/moving_average.hpp>
#include <tempera/pipeline/online_probe.hpp>
#include <tempera/pipeline/pretrain.hpp>
#include <tempera/pipeline/progress.hpp>
#include <tempera/pipeline/train.hpp>
#include <tempera/pipeline/train_options.hpp>
#include <tempera/pipeline/training_step.hpp>
