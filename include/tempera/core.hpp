// SPDX-License-Identifier: Apache-2.0
#pragma once
// The plain structs that describing and computing share.

#include <tempera/core/device_kind.hpp>
#include <tempera/core/error.hpp>
#include <tempera/core/finite.hpp>
#include <tempera/core/list.hpp>
#include <tempera/core/loss_value.hpp>
#include <tempera/core/manifest.hpp>
#include <tempera/core/op_call.hpp>
#include <tempera/core/philox.hpp>
#include <tempera/core/phrase.hpp>
#include <tempera/core/precision.hpp>
#include <tempera/core/role.hpp>
#include <tempera/core/shape.hpp>
#include <tempera/core/spelling.hpp>
#include <tempera/core/text.hpp>
#include <tempera/core/version.hpp>
#include <tempera/core/view.hpp>
