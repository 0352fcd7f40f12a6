// SPDX-License-Identifier: Apache-2.0
#pragma once
// Processes that train one model must have the same weights, and make the same exchanges.

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include <tempera/core/error.hpp>
#include <tempera/device/process_group.hpp>
#include <tempera/io/crc64.hpp>
#include <tempera/pipeline/train_options.hpp>
#include <tempera/runtime/basic_model.hpp>

namespace tempera::detail {

/// What of a stage's options decides when processes exchange something, beside the settings that a resumed run must keep.
inline std::string exchanges_of(train_options const& o) {
    return std::to_string(o.validate_every) + (o.checkpoint.empty() ? ", no checkpoint" : ", a checkpoint") +
           (o.resume ? ", resumed" : "") + (o.validation.empty() ? "" : ", validation ") +
           std::to_string(o.validation.size());
}

/// Throws error, in all processes, where weights, statistics or `text` differ.
template <class D, precision P>
void require_same(std::string const& where, basic_model<D, P> const& model, std::string const& text,
                  char const* expected, char const* advice) {
    auto const processes = processes_of(model.device());
    if (processes.alone()) return;
    std::vector<float> const parameters = model.host_parameters(), statistics = model.host_statistics();
    crc64 sum;
    sum.add(std::as_bytes(std::span(parameters)));
    sum.add(std::as_bytes(std::span(statistics)));
    sum.add(text);
    // Two floats hold 48 of its bits exactly.
    float const mine[2] = {static_cast<float>(sum.value() & 0xffffffU),
                           static_cast<float>(sum.value() >> 24 & 0xffffffU)};
    std::vector<float> all(static_cast<std::size_t>(2 * processes.size()));
    processes.all_gather(model.device(), view<float const>{mine, {2}}, view<float>{all.data(), {2 * processes.size()}});
    for (int r = 0; r < processes.size(); ++r)
        if (std::memcmp(&all[static_cast<std::size_t>(2 * r)], all.data(), sizeof mine) != 0)
            throw error(where, expected, {"others in process ", r}, advice);
}

}  // namespace tempera::detail
