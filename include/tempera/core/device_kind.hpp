// SPDX-License-Identifier: Apache-2.0
#pragma once
// Kinds of devices, the sets a custom op supports, and the traits schedules depend on.

#include <cstdint>

#include <tempera/core/precision.hpp>

namespace tempera {

enum class device_kind : std::uint8_t { cpu, gpu };

/// Whether convolutions take the batch-norm statistics of what they write (device/convolution.hpp).
constexpr bool convolutions_take_statistics(device_kind device, precision p) {
    return (p == precision::float32) == (device == device_kind::cpu);
}

/// Where a custom op can run: `on_cpu`, `on_gpu`, or `on_cpu | on_gpu`.
enum class device_set : std::uint8_t { none = 0, cpu = 1, gpu = 2, both = 3 };

inline constexpr device_set on_cpu = device_set::cpu;
inline constexpr device_set on_gpu = device_set::gpu;

constexpr device_set operator|(device_set a, device_set b) {
    return static_cast<device_set>(static_cast<int>(a) | static_cast<int>(b));
}
constexpr bool contains(device_set set, device_kind kind) {
    return (static_cast<int>(set) & (1 << static_cast<int>(kind))) != 0;
}

}  // namespace tempera
