// SPDX-License-Identifier: Apache-2.0
#pragma once
// Checkpoints: the tensors of a manifest in a safetensors file, by name; and tensors by name from one model to
// another. A difference is reported entry by entry, and nothing is taken when something does not fit.

#include <algorithm>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tempera/core/error.hpp>
#include <tempera/core/manifest.hpp>
#include <tempera/core/precision.hpp>
#include <tempera/io/safetensors.hpp>

namespace tempera {

/// What load_matching did.
struct load_report {
    std::vector<std::string> matched;
    std::vector<std::string> unused;  ///< in the source, not in the model
    std::vector<std::string> fresh;   ///< in the model, not in the source: kept as they were
};

struct loaded_tensors {
    std::vector<float> parameters;
    std::vector<float> statistics;
    load_report report;
};

/// A tensor to take values from.
struct tensor_source {
    std::vector<std::int64_t> dims;
    std::vector<float> values;
};
using tensor_sources = std::map<std::string, tensor_source, std::less<>>;

/// The dimensions that users and files see: OHWI, (out, in), or (n).
inline std::vector<std::int64_t> dims_of(manifest_entry const& e) {
    if (e.rank == 1) return {e.dims[0]};
    if (e.rank == 2) return {e.dims[0], e.dims[3]};
    return {e.dims[0], e.dims[1], e.dims[2], e.dims[3]};
}

namespace detail {

inline std::string spell_dims(std::vector<std::int64_t> const& dims) {
    std::string text = "(";
    for (std::size_t i = 0; i < dims.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(dims[i]);
    return text + ")";
}

/// "3 entries: a, b, c", shortened after ten.
inline std::string spell_names(std::vector<std::string> const& names) {
    std::string text = std::to_string(names.size()) + (names.size() == 1 ? " entry: " : " entries: ");
    for (std::size_t i = 0; i < names.size() && i < 10; ++i) text += (i > 0 ? ", " : "") + names[i];
    return text + (names.size() > 10 ? ", ..." : "");
}

inline float const* values_of(manifest_entry const& e, std::vector<float> const& parameters,
                              std::vector<float> const& statistics) {
    return (is_statistic(e.role) ? statistics.data() : parameters.data()) + e.offset;
}

}  // namespace detail

/// Takes every entry of the manifest that the sources have. Throws error when shapes differ, when nothing matches, or,
/// unless partial, when either side has entries of its own.
inline loaded_tensors take_tensors(std::string const& where, tensor_sources const& sources, manifest const& to,
                                   std::vector<float> parameters, std::vector<float> statistics, bool partial) {
    loaded_tensors out{std::move(parameters), std::move(statistics), {}};
    std::vector<std::string> misshapen;
    bool other_order = false;  // of dimensions
    for (manifest_entry const& e : to) {
        std::string const name(e.name.text());
        auto const found = sources.find(name);
        if (found == sources.end()) {
            out.report.fresh.push_back(name);
            continue;
        }
        out.report.matched.push_back(name);
        auto const wanted = dims_of(e);
        if (found->second.dims != wanted) {
            using dims = decltype(found->second.dims);
            other_order = other_order || (wanted.size() == 4 &&
                                          found->second.dims == dims{wanted[0], wanted[3], wanted[1], wanted[2]});
            misshapen.push_back(phrase{name, " is ", detail::spell_dims(found->second.dims), ", the model has ",
                                       detail::spell_dims(wanted)}
                                    .text());
            continue;
        }
        float* const target = (is_statistic(e.role) ? out.statistics.data() : out.parameters.data()) + e.offset;
        for (std::size_t i = 0; i < found->second.values.size(); ++i) target[i] = found->second.values[i];
    }
    for (auto const& [name, source] : sources) {
        bool known = false;
        for (manifest_entry const& e : to) known = known || e.name.text() == name;
        if (!known) out.report.unused.push_back(name);
    }
    bool const differs = !out.report.fresh.empty() || !out.report.unused.empty();
    std::string others;
    if (!out.report.fresh.empty()) others += "missing " + detail::spell_names(out.report.fresh);
    if (!out.report.unused.empty())
        others += (others.empty() ? "" : "; ") + ("unknown " + detail::spell_names(out.report.unused));
    if (!misshapen.empty())
        throw error(where, "tensors of the model's shapes",
                    {detail::spell_names(misshapen), (differs && !partial ? "; " + others : "")},
                    other_order ? "filters are {out, height, width, in}: from {out, in, height, width} permute (0, 2, 3, 1)"
                                : "use the network that the tensors were trained with");
    if (partial && out.report.matched.empty())
        throw error(where, {"at least one of the model's ", to.size(), " entries"}, others,
                    "give the parts of both networks the same names");
    if (!partial && differs)
        throw error(where, {"exactly the model's ", to.size(), " entries"}, others,
                    "use the same network, or load_matching to take what matches by name");
    return out;
}

inline tensor_sources sources_of(manifest const& from, std::vector<float> const& parameters,
                                 std::vector<float> const& statistics) {
    tensor_sources sources;
    for (manifest_entry const& e : from) {
        float const* const values = detail::values_of(e, parameters, statistics);
        sources[std::string(e.name.text())] = {dims_of(e), {values, values + e.count}};
    }
    return sources;
}

/// Entries of a file, on values that must outlive it.
inline std::vector<safetensors_entry> entries_of(manifest const& from, std::vector<float> const& parameters,
                                                 std::vector<float> const& statistics) {
    std::vector<safetensors_entry> out;
    out.reserve(from.size());
    for (manifest_entry const& e : from) {
        std::span<float const> const values{detail::values_of(e, parameters, statistics),
                                            static_cast<std::size_t>(e.count)};
        out.push_back(entry_of<float>(std::string(e.name.text()), dims_of(e), values));
    }
    return out;
}

inline void save_tensors(std::string const& path, manifest const& from, std::vector<float> const& parameters,
                         std::vector<float> const& statistics) {
    write_safetensors(path, entries_of(from, parameters, statistics), {{"format", "tempera"}});
}

/// The entries of a file: float32, bfloat16 and float16 ones with their values where the manifest has their name; others
/// with their dimensions alone. Throws error for another type of one that the manifest has.
inline tensor_sources sources_of(std::string const& path, safetensors_file const& file, manifest const& to) {
    tensor_sources sources;
    for (safetensors_entry const& e : file.entries()) sources[e.name].dims = e.dims;
    for (manifest_entry const& wanted : to) {
        auto const found = sources.find(wanted.name.text());
        if (found == sources.end()) continue;
        std::string const& name = found->first;
        std::vector<float>& values = found->second.values;
        safetensors_entry const& e = file[name];
        values.resize(static_cast<std::size_t>(e.count()));
        auto const widen = [&]<class T>(std::vector<T> narrow) {
            file.copy<T>(name, narrow);
            for (std::size_t i = 0; i < narrow.size(); ++i) values[i] = static_cast<float>(narrow[i]);
        };
        switch (e.type) {
            case dtype::f32: file.copy<float>(name, values); break;
            case dtype::bf16: widen(std::vector<bf16>(values.size())); break;
            case dtype::f16: widen(std::vector<half>(values.size())); break;
            default:
                throw error({path, ", entry \"", name, "\""}, "F32, BF16 or F16", name_of(e.type),
                            "convert the tensor before loading it");
        }
    }
    return sources;
}

inline loaded_tensors load_tensors(std::string const& path, manifest const& to, std::vector<float> parameters,
                                   std::vector<float> statistics, bool partial) {
    return take_tensors(path, sources_of(path, read_safetensors(path), to), to, std::move(parameters),
                        std::move(statistics), partial);
}

inline loaded_tensors match_tensors(manifest const& from, std::vector<float> const& from_parameters,
                                    std::vector<float> const& from_statistics, manifest const& to,
                                    std::vector<float> parameters, std::vector<float> statistics) {
    return take_tensors("load_matching", sources_of(from, from_parameters, from_statistics), to, std::move(parameters),
                        std::move(statistics), true);
}

}  // namespace tempera
