// SPDX-License-Identifier: Apache-2.0
#pragma once
// From our tensors to the reference's variables: TF1 checkpoint names in creation order, HWIO
// kernels and (in, out) dense kernels against our OHWI and (out, in).

#include <string>
#include <string_view>
#include <vector>

#include <tempera/core/manifest.hpp>

#include "../fixture.hpp"

namespace reference {

/// "base_model/conv2d_3/kernel" for every entry of a manifest, in order; empty for tensors of custom ops. Names without
/// "head." or "classifier." in front belong to the encoder.
inline std::vector<std::string> names(tempera::manifest const& entries) {
    using tempera::role;
    std::vector<std::string> out;
    int convolutions = -1, norms = -1;
    std::string scope;
    auto numbered = [](std::string const& base, int k) { return "base_model/" + base + (k > 0 ? "_" + std::to_string(k) : ""); };
    for (auto const& e : entries) {
        std::string const name(e.name.text());
        if (e.role == role::other) {
            out.emplace_back();
            continue;
        }
        std::string const owner = name.substr(0, name.rfind('.'));
        char const* leaf = e.role == role::scale             ? "gamma"
                           : e.role == role::offset          ? "beta"
                           : e.role == role::moving_mean     ? "moving_mean"
                           : e.role == role::moving_variance ? "moving_variance"
                           : e.role == role::bias || e.role == role::classifier_bias ? "bias"
                                                                                     : "kernel";
        bool const norm = e.role == role::scale || e.role == role::offset || tempera::is_statistic(e.role);
        if (name.rfind("head.layer", 0) == 0) {
            std::string const layer = name.substr(10, name.find('.', 10) - 10);
            out.push_back("head_contrastive/nl_" + layer + (norm ? "/batch_normalization/" : "/dense/") + leaf);
            continue;
        }
        if (name.rfind("classifier.", 0) == 0) {
            out.push_back(std::string("head_supervised/linear_layer/dense/") + leaf);
            continue;
        }
        if (owner != scope) ++(norm ? norms : convolutions);
        scope = owner;
        out.push_back(numbered(norm ? "batch_normalization" : "conv2d", norm ? norms : convolutions) + "/" + leaf);
    }
    return out;
}

/// Element i of our tensor lies at this index of the reference's.
inline std::size_t index_of(tempera::manifest_entry const& e, std::int64_t i) {
    if (e.rank == 1) return static_cast<std::size_t>(i);
    auto const [o_count, h_count, w_count, i_count] = e.dims;
    std::int64_t const in = i % i_count, w = i / i_count % w_count, h = i / i_count / w_count % h_count;
    std::int64_t const o = i / i_count / w_count / h_count;
    return static_cast<std::size_t>(((h * w_count + w) * i_count + in) * o_count + o);
}

/// Loads every tensor of a model from fixture[prefix + name].
template <class Model>
void load(Model& model, fixture::file const& file, std::string const& prefix) {
    auto const wanted = names(model.manifest());
    auto parameters = model.host_parameters();
    auto statistics = model.host_statistics();
    for (std::size_t k = 0; k < wanted.size(); ++k) {
        auto const& e = model.manifest()[k];
        if (wanted[k].empty()) continue;
        auto const& t = file[prefix + wanted[k]];
        if (t.size() != e.count) throw std::runtime_error(wanted[k] + " has another size than " + std::string(e.name.text()));
        auto& block = tempera::is_statistic(e.role) ? statistics : parameters;
        for (std::int64_t i = 0; i < e.count; ++i)
            block[static_cast<std::size_t>(e.offset + i)] = t.values[index_of(e, i)];
    }
    model.write_parameters(parameters.data());
    model.write_statistics(statistics.data());
}

/// Largest difference of one of our tensors (in a host block) from the fixture's, relative to its largest entry.
inline double difference(tempera::manifest_entry const& e, std::vector<float> const& block, fixture::tensor const& t) {
    std::vector<float> ordered(t.values.size());
    for (std::int64_t i = 0; i < e.count; ++i) ordered[index_of(e, i)] = block[static_cast<std::size_t>(e.offset + i)];
    return fixture::difference(ordered.data(), t);
}

template <class Model>
std::vector<float> host_gradients(Model& model) {
    auto const& g = model.gradients();
    return {g.data(), g.data() + g.size()};
}

}  // namespace reference
