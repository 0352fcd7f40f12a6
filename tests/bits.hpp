// SPDX-License-Identifier: Apache-2.0
#pragma once
// Floats as bits: -0 differs from 0, and NaN equals itself.

#include <bit>
#include <cstdint>
#include <vector>

#include <tempera/core/view.hpp>

inline std::vector<std::uint32_t> bits_of(tempera::view<float const> x) {
    std::vector<std::uint32_t> bits;
    for (std::int64_t i = 0; i < x.size(); ++i) bits.push_back(std::bit_cast<std::uint32_t>(x[i]));
    return bits;
}

/// Everything that training changes in a model: parameters, then statistics.
template <class Model>
std::vector<std::uint32_t> state_of(Model const& m) {
    std::vector<std::uint32_t> bits;
    for (auto const& block : {m.host_parameters(), m.host_statistics()})
        for (float const x : block) bits.push_back(std::bit_cast<std::uint32_t>(x));
    return bits;
}
