// SPDX-License-Identifier: Apache-2.0
#pragma once
// resumption: what an interrupted stage needs to go on as if it had not been: weights, statistics, the optimizer's state,
// and how many steps and training passes there have been. It lies beside the checkpoint, in one file of its own, so that
// neither is ever half of a pair.

#include <charconv>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <tempera/core/error.hpp>
#include <tempera/io/safetensors.hpp>
#include <tempera/pipeline/optimizer_state.hpp>
#include <tempera/runtime/checkpoint.hpp>

namespace tempera::detail {

inline std::string resumption_path(std::string const& checkpoint) { return checkpoint + ".resume"; }
inline std::string slot_name(int slot) { return "optimizer." + std::to_string(slot); }

template <class D, precision P, class O>
void save_resumption(std::string const& checkpoint, basic_model<D, P> const& model,
                     optimizer_state<D, P, O> const& state) {
    std::vector<float> const parameters = model.host_parameters(), statistics = model.host_statistics();
    std::vector<std::vector<float>> slots;
    std::vector<safetensors_entry> entries = entries_of(model.manifest(), parameters, statistics);
    for (int i = 0; i < O::slots; ++i) slots.push_back(state.host_slot(i));
    for (int i = 0; i < O::slots; ++i) {
        std::vector<float> const& s = slots[static_cast<std::size_t>(i)];
        entries.push_back(entry_of<float>(slot_name(i), {static_cast<std::int64_t>(s.size())}, s));
    }
    write_safetensors(resumption_path(checkpoint), std::move(entries),
                      {{"format", "tempera resumption"},
                       {"steps", std::to_string(state.steps())},
                       {"passes", std::to_string(model.passes())}});
}

/// A number of the file's metadata.
inline std::int64_t resumption_number(std::string const& path, safetensors_file const& file, char const* name) {
    auto const found = file.metadata().find(name);
    std::string const text = found == file.metadata().end() ? "" : found->second;
    std::int64_t number = -1;
    auto const [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (failure != std::errc{} || end != text.data() + text.size() || number < 0)
        throw error({path, ", metadata \"", name, "\""}, "a count", {"\"", text, "\""},
                    "delete the file to train from the start");
    return number;
}

/// Puts a model and its optimizer where the file left them; the steps that have been done, 0 where there is no file.
/// Throws error, and changes nothing, where it belongs to another network or optimizer.
template <class D, precision P, class O>
std::int64_t load_resumption(std::string const& checkpoint, basic_model<D, P>& model, optimizer_state<D, P, O>& state) {
    std::string const path = resumption_path(checkpoint);
    if (!std::filesystem::exists(path)) return 0;
    safetensors_file const file = read_safetensors(path);
    std::vector<std::vector<float>> slots;
    for (int i = 0; i < O::slots; ++i) {
        auto& slot = slots.emplace_back(static_cast<std::size_t>(model.plan().parameters));
        file.copy<float>(slot_name(i), slot);
    }
    std::int64_t const steps = resumption_number(path, file, "steps");
    std::int64_t const passes = resumption_number(path, file, "passes");
    tensor_sources sources = sources_of(path, file, model.manifest());
    for (int i = 0; i < O::slots; ++i) sources.erase(slot_name(i));
    loaded_tensors const taken = take_tensors(path, sources, model.manifest(), model.host_parameters(),
                                              model.host_statistics(), false);
    model.write_parameters(taken.parameters.data());
    model.write_statistics(taken.statistics.data());
    model.set_passes(static_cast<std::uint32_t>(passes));
    for (int i = 0; i < O::slots; ++i) state.write_slot(i, slots[static_cast<std::size_t>(i)].data());
    state.set_steps(steps);
    return steps;
}

}  // namespace tempera::detail
