// SPDX-License-Identifier: Apache-2.0
#pragma once
// Which Philox stream each random decision about data draws from. Every stream is named by what it decides, never
// by a thread or an order, so a view of a sample is the same however it comes to be computed.

#include <cstdint>

#include <tempera/core/philox.hpp>

namespace tempera {

namespace data_streams {

/// Sets the streams of data apart from those that a program draws from the same seed for other purposes.
inline constexpr std::uint64_t domain = 0x6461'7461'0000'0000U;  // "data"

/// Values of the last word above any number of views.
enum : std::uint32_t { shuffle = 0xffff'0000U, draw = 0xffff'0001U, class_order = 0xffff'0002U, batch = 0xfffe'0000U };

}  // namespace data_streams

/// The decisions that make one view (0, 1, ...) of one sample in one epoch.
inline philox_stream view_stream(std::uint64_t seed, int epoch, int sample, int view) {
    return {seed ^ data_streams::domain, static_cast<std::uint32_t>(epoch), static_cast<std::uint32_t>(sample),
            static_cast<std::uint32_t>(view)};
}
/// What all samples of one view of a batch share.
inline philox_stream batch_stream(std::uint64_t seed, int epoch, int batch, int view) {
    return {seed ^ data_streams::domain, static_cast<std::uint32_t>(epoch), static_cast<std::uint32_t>(batch),
            data_streams::batch + static_cast<std::uint32_t>(view)};
}
/// The order of the samples in an epoch.
inline philox_stream shuffle_stream(std::uint64_t seed, int epoch) {
    return {seed ^ data_streams::domain, static_cast<std::uint32_t>(epoch), 0, data_streams::shuffle};
}
/// Which samples of a class a balanced draw takes.
inline philox_stream draw_stream(std::uint64_t seed, int label) {
    return {seed ^ data_streams::domain, static_cast<std::uint32_t>(label), 0, data_streams::draw};
}
/// Which classes give one sample more where a count does not divide evenly.
inline philox_stream class_order_stream(std::uint64_t seed) {
    return {seed ^ data_streams::domain, 0, 0, data_streams::class_order};
}

/// Puts `count` elements into a uniformly random order (Fisher and Yates).
template <class T>
constexpr void shuffle(T* values, std::int64_t count, philox_stream& stream) {
    for (std::int64_t i = count - 1; i > 0; --i) {
        auto const j = static_cast<std::int64_t>(stream.below(static_cast<std::uint32_t>(i + 1)));
        T const kept = values[i];
        values[i] = values[j];
        values[j] = kept;
    }
}

}  // namespace tempera
