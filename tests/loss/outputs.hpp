// SPDX-License-Identifier: Apache-2.0
#pragma once
// Named outputs with gradients in host memory, to call losses with.

#include <tempera/core/loss_value.hpp>

#include <array>
#include <vector>

/// One or two outputs {rows, 1, 1, channels}; gradients start as 7 so that what a loss leaves alone shows.
struct host_outputs {
    struct matrix {
        tempera::extents dims;
        std::vector<float> values, gradient;
    };

    host_outputs() = default;
    host_outputs(int rows, int channels, std::vector<float> values) {
        add("logits", rows, channels, std::move(values));
    }

    host_outputs& add(char const* name, int rows, int channels, std::vector<float> values) {
        std::vector<float> const gradient(values.size(), 7.0F);
        matrices.push_back({{rows, 1, 1, channels}, std::move(values), gradient});
        names.push_back(name);
        return *this;
    }

    tempera::output_views values() {
        in.clear();
        for (std::size_t i = 0; i < matrices.size(); ++i)
            in.push_back({names[i], {matrices[i].values.data(), matrices[i].dims}});
        return tempera::output_views{in};
    }
    tempera::gradient_views gradients() {
        out.clear();
        for (std::size_t i = 0; i < matrices.size(); ++i)
            out.push_back({names[i], {matrices[i].gradient.data(), matrices[i].dims}});
        return tempera::gradient_views{out};
    }

    std::vector<matrix> matrices;
    std::vector<char const*> names;
    std::vector<tempera::output_views::entry> in;
    std::vector<tempera::gradient_views::entry> out;
};

inline tempera::view<std::int32_t const> labels_of(std::vector<std::int32_t> const& labels) {
    return {labels.data(), {static_cast<int>(labels.size()), 1, 1, 1}};
}
