// SPDX-License-Identifier: Apache-2.0
#pragma once
// Values, ops, plans and the passes over them.

#include <tempera/graph/custom.hpp>
#include <tempera/graph/fault.hpp>
#include <tempera/graph/op.hpp>
#include <tempera/graph/plan.hpp>
#include <tempera/graph/plan_of.hpp>
#include <tempera/graph/prune.hpp>
#include <tempera/graph/schedule_of.hpp>
#include <tempera/graph/trace.hpp>
#include <tempera/graph/value.hpp>
