// SPDX-License-Identifier: Apache-2.0
#pragma once
// is_finite: by the bits, so that it is true of programs that are compiled with -ffast-math too.

#include <bit>
#include <cstdint>

namespace tempera {

constexpr bool is_finite(float x) { return (std::bit_cast<std::uint32_t>(x) & 0x7f800000U) != 0x7f800000U; }

}  // namespace tempera
