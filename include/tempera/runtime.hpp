// SPDX-License-Identifier: Apache-2.0
#pragma once
// Running networks: models, predictors, checkpoints.

#include <tempera/runtime/basic_model.hpp>
#include <tempera/runtime/checkpoint.hpp>
#include <tempera/runtime/compiled_steps.hpp>
#include <tempera/runtime/dynamic_model.hpp>
#include <tempera/runtime/dynamic_plan.hpp>
#include <tempera/runtime/fold.hpp>
#include <tempera/runtime/model.hpp>
#include <tempera/runtime/model_options.hpp>
#include <tempera/runtime/predictor.hpp>
#include <tempera/runtime/summary.hpp>
