// SPDX-License-Identifier: Apache-2.0
#pragma once
// Communicators: one process, or several that train one model.

#include <tempera/parallel/communicator.hpp>
#include <tempera/parallel/solo.hpp>
