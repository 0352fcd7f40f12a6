// SPDX-License-Identifier: Apache-2.0
#pragma once
// resumption: what an interrupted stage needs to go on as if it had not been: weights, statistics, the optimizer's state, how
// many steps and training passes there have been, the history, and the settings that must not change. It lies beside the
// checkpoint, in one file of its own, so that neither is ever half of a pair.

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tempera/core/error.hpp>
#include <tempera/io/crc64.hpp>
#include <tempera/io/safetensors.hpp>
#include <tempera/pipeline/optimizer_state.hpp>
#include <tempera/pipeline/train_options.hpp>
#include <tempera/runtime/checkpoint.hpp>

namespace tempera::detail {

inline std::string resumption_path(std::string const& checkpoint) { return checkpoint + ".resume"; }
inline std::string slot_name(int slot) { return "optimizer." + std::to_string(slot); }

/// Appends a number as every locale writes it, so that from_chars gives the same one back.
template <class Number>
void append(std::string& text, Number number, char const* behind) {
    char digits[40];
    text.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
    text += behind;
}

/// A checksum of a set's labels and of a few of its images, since a set may be larger than memory.
inline std::uint64_t fingerprint_of(image_set const& set) {
    crc64 sum;
    sum.add(std::as_bytes(set.labels()));
    constexpr int looks = 16;
    for (int k = 0; k < looks && !set.empty(); ++k) {
        auto const image = set.image(static_cast<int>(std::int64_t{1} * (set.size() - 1) * k / (looks - 1)));
        sum.add(std::as_bytes(std::span(image.data, static_cast<std::size_t>(image.size()))));
    }
    return sum.value();
}

/// What decides which steps there are. Augmentation, loss and the optimizer's settings are the caller's to keep.
inline std::string settings_of(train_options const& o, image_set const& set, int views) {
    std::string text;
    append(text, set.size(), " images of checksum ");
    append(text, fingerprint_of(set), ", ");
    append(text, views, " views, batch ");
    append(text, o.batch, ", epochs ");
    append(text, o.epochs, ", steps ");
    append(text, o.steps, ", rate ");
    append(text, o.learning_rate, ", warm-up epochs ");
    append(text, o.warmup_epochs, ", seed ");
    append(text, o.seed, o.schedule ? ", a schedule" : "");
    return text + (o.view ? ", a view" : "");
}

/// The first settings in which two texts of settings_of differ.
inline std::pair<std::string, std::string> first_difference(std::string_view a, std::string_view b) {
    auto const take = [](std::string_view& text) {
        std::string_view const first = text.substr(0, text.find(", "));
        text.remove_prefix(std::min(first.size() + 2, text.size()));
        return first;
    };
    std::string_view of_a, of_b;
    do {
        of_a = take(a);
        of_b = take(b);
    } while (of_a == of_b && !(a.empty() && b.empty()));
    auto const named = [](std::string_view text) { return std::string(text.empty() ? "nothing more" : text); };
    return {named(of_a), named(of_b)};
}

inline std::string text_of(std::vector<history_point> const& points) {
    std::string text;
    for (history_point const& p : points) {
        append(text, p.epoch, " ");
        append(text, p.step, " ");
        for (float const x : {p.training.loss, p.training.accuracy, p.training.entropy, p.probe_accuracy})
            append(text, x, " ");
        append(text, p.validation_top1, "\n");
    }
    return text;
}

/// Throws error for text that is none of text_of's.
inline std::vector<history_point> history_of(std::string const& path, std::string const& text) {
    std::vector<history_point> points;
    char const* at = text.data();
    char const* const end = at + text.size();
    auto const number = [&](auto& to) {
        auto const [next, failure] = std::from_chars(at, end, to);
        if (failure != std::errc{} || next == end || (*next != ' ' && *next != '\n'))
            throw error({path, ", metadata \"history\""}, "seven numbers a line", {"\"", text, "\""},
                        "delete the file to train from the start");
        at = next + 1;
    };
    while (at < end) {
        history_point& p = points.emplace_back();
        number(p.epoch);
        number(p.step);
        for (float* to :
             {&p.training.loss, &p.training.accuracy, &p.training.entropy, &p.probe_accuracy, &p.validation_top1})
            number(*to);
    }
    return points;
}

template <class D, precision P, class O>
void save_resumption(std::string const& checkpoint, std::string const& settings, basic_model<D, P> const& model,
                     optimizer_state<D, P, O> const& state, training_history const& history) {
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
                       {"settings", settings},
                       {"history", text_of(history.points)},
                       {"steps", std::to_string(state.steps())},
                       {"passes", std::to_string(model.passes())}});
}

/// An entry of the file's metadata.
inline std::string resumption_text(safetensors_file const& file, char const* name) {
    auto const found = file.metadata().find(name);
    return found == file.metadata().end() ? "" : found->second;
}
inline std::int64_t resumption_number(std::string const& path, safetensors_file const& file, char const* name) {
    std::string const text = resumption_text(file, name);
    std::int64_t number = -1;
    auto const [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (failure != std::errc{} || end != text.data() + text.size() || number < 0)
        throw error({path, ", metadata \"", name, "\""}, "a count", {"\"", text, "\""},
                    "delete the file to train from the start");
    return number;
}

/// Puts a model and its optimizer where the file left them; the steps that have been done, 0 where there is no file.
/// Throws error, and changes nothing, where it belongs to another network, optimizer or other settings, or where there is a
/// checkpoint without it.
template <class D, precision P, class O>
std::int64_t load_resumption(std::string const& checkpoint, std::string const& settings, basic_model<D, P>& model,
                             optimizer_state<D, P, O>& state, training_history& history) {
    std::string const path = resumption_path(checkpoint);
    if (!std::filesystem::exists(path)) {
        if (!std::filesystem::exists(checkpoint)) return 0;
        throw error("train_options.resume", {path, " beside the checkpoint"}, "none",
                    {"only a run with .resume leaves it; to train from the start, remove or rename ", checkpoint});
    }
    safetensors_file const file = read_safetensors(path);
    std::string const before = resumption_text(file, "settings");
    if (before != settings) {
        auto const [expected, found] = first_difference(before, settings);
        throw error({"train_options.resume, ", path}, {"what it was begun with, ", expected}, found,
                    "resume with the same, or name another checkpoint");
    }
    int saved_slots = 0;
    while (file.find(slot_name(saved_slots)) != nullptr) ++saved_slots;
    if (saved_slots != O::slots)
        throw error({"train_options.resume, ", path}, {"the state of an optimizer with ", O::slots, " slots"},
                    saved_slots, "resume with the optimizer that the run was begun with");
    std::vector<history_point> points = history_of(path, resumption_text(file, "history"));
    std::vector<std::vector<float>> slots;
    for (int i = 0; i < O::slots; ++i) {
        auto& slot = slots.emplace_back(static_cast<std::size_t>(model.plan().parameters));
        file.copy<float>(slot_name(i), slot);
    }
    std::int64_t const steps = resumption_number(path, file, "steps");
    std::int64_t const passes = resumption_number(path, file, "passes");
    tensor_sources sources = sources_of(path, file, model.manifest());
    for (int i = 0; i < O::slots; ++i) sources.erase(slot_name(i));
    loaded_tensors const taken =
        take_tensors(path, sources, model.manifest(), model.host_parameters(), model.host_statistics(), false);
    model.write_parameters(taken.parameters.data());
    model.write_statistics(taken.statistics.data());
    model.set_passes(static_cast<std::uint32_t>(passes));
    for (int i = 0; i < O::slots; ++i) state.write_slot(i, slots[static_cast<std::size_t>(i)].data());
    state.set_steps(steps);
    history.points = std::move(points);
    return steps;
}

}  // namespace tempera::detail
