// SPDX-License-Identifier: Apache-2.0
#pragma once
// Philox4x32-10: counter-based random numbers (Salmon et al., SC 2011). A number depends on its key
// and counter alone, never on a thread or on an order.

#include <array>
#include <cstdint>

namespace tempera {

/// Key of a stream. Two streams with different keys or counters are independent.
struct philox_key {
    std::uint32_t lo = 0;
    std::uint32_t hi = 0;

    friend constexpr bool operator==(philox_key, philox_key) = default;
};

/// Four 32-bit words for one (key, counter).
constexpr std::array<std::uint32_t, 4> philox(philox_key key, std::array<std::uint32_t, 4> counter) {
    for (int round = 0; round < 10; ++round) {
        std::uint64_t const p0 = std::uint64_t{0xD2511F53U} * counter[0];
        std::uint64_t const p1 = std::uint64_t{0xCD9E8D57U} * counter[2];
        counter = std::array<std::uint32_t, 4>{static_cast<std::uint32_t>(p1 >> 32) ^ counter[1] ^ key.lo,
                                               static_cast<std::uint32_t>(p1),
                                               static_cast<std::uint32_t>(p0 >> 32) ^ counter[3] ^ key.hi,
                                               static_cast<std::uint32_t>(p0)};
        key.lo += 0x9E3779B9U;
        key.hi += 0xBB67AE85U;
    }
    return counter;
}

/// A sequence of draws from one stream. The stream is named by the four numbers that the caller
/// gives, for instance (seed, epoch, sample, view).
class philox_stream {
public:
    constexpr philox_stream(std::uint64_t seed, std::uint32_t a = 0, std::uint32_t b = 0, std::uint32_t c = 0)
        : key_{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)}, counter_{0, a, b, c} {}

    /// Uniform 32-bit word.
    constexpr std::uint32_t word() {
        if (left_ == 0) {
            block_ = philox(key_, counter_);
            ++counter_[0];
            left_ = 4;
        }
        return block_[static_cast<std::size_t>(4 - left_--)];
    }
    /// Uniform in [0, 1), 24 bits.
    constexpr float uniform() { return static_cast<float>(word() >> 8) * 0x1p-24F; }
    /// Uniform in [low, high).
    constexpr float uniform(float low, float high) { return low + (high - low) * uniform(); }
    /// Uniform integer in [0, n), n > 0, by multiplication (bias below n / 2^32).
    constexpr std::uint32_t below(std::uint32_t n) {
        return static_cast<std::uint32_t>((std::uint64_t{word()} * n) >> 32);
    }

private:
    philox_key key_;
    std::array<std::uint32_t, 4> counter_;
    std::array<std::uint32_t, 4> block_{};
    int left_ = 0;
};

}  // namespace tempera
