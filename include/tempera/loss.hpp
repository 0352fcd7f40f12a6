// SPDX-License-Identifier: Apache-2.0
#pragma once
// The losses: outputs and targets in, a value and gradients out.

#include <tempera/loss/cross_entropy.hpp>
#include <tempera/loss/distillation.hpp>
#include <tempera/loss/loss_concept.hpp>
#include <tempera/loss/nt_xent.hpp>
#include <tempera/loss/selected_output.hpp>
#include <tempera/loss/weighted.hpp>
#include <tempera/loss/whole_batch.hpp>
