// SPDX-License-Identifier: Apache-2.0
#pragma once
// Whether a function writes its result or adds it to what is there.

#include <cstdint>

namespace tempera {

enum class store : std::uint8_t { write, accumulate };

}  // namespace tempera
