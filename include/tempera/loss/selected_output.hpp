// SPDX-License-Identifier: Apache-2.0
#pragma once
// selected_output: the one output that a loss reads, found by name (the last output where the name is empty), with
// its gradient, after their shapes have been checked.

#include <string>

#include <tempera/core/error.hpp>
#include <tempera/core/loss_value.hpp>
#include <tempera/core/spelling.hpp>
#include <tempera/core/text.hpp>
#include <tempera/device/store.hpp>

namespace tempera {

/// Rows of an output with the gradient to fill; its data is null when none is wanted.
struct selected_output {
    view<float const> values;
    view<float> gradient;

    int rows() const { return values.dims.n; }
    int channels() const { return values.dims.c; }
};

/// Index of the output named `name`, the last one where the name is empty. Throws error when there is none.
inline std::size_t index_of_output(char const* where, name_text const& name, output_views const& outputs) {
    if (outputs.size() == 0) throw error(where, "at least one output", "none", "pass what forward returned");
    if (name.length == 0) return outputs.size() - 1;
    std::string known;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
        if (outputs[i].name == name.text()) return i;
        known += (i == 0 ? "" : ", ") + std::string(outputs[i].name);
    }
    throw error(where, {"one of the outputs ", known}, {"\"", name.text(), "\""}, "correct .output");
}

/// The output that a loss reads. With store::write the gradients of all other outputs are set to zero.
/// Throws error when it is not a matrix {n, 1, 1, channels} or when a gradient has another shape.
template <class Device>
selected_output select_output(Device& device, char const* where, name_text const& name, output_views const& outputs,
                              gradient_views const& gradients, store mode) {
    std::size_t const chosen = index_of_output(where, name, outputs);
    selected_output found{outputs[chosen].values, {}};
    extents const& d = found.values.dims;
    if (found.values.data == nullptr || d.n < 1 || d.h != 1 || d.w != 1 || d.c < 1) {
        throw error(where, "an output {n, 1, 1, channels} with n >= 1", {"\"", outputs[chosen].name, "\" ", text_of(d)},
                    "pool or flatten the output first, or name another one in .output");
    }
    if (gradients.size() == 0) return found;
    if (gradients.size() != outputs.size()) {
        throw error(where, {outputs.size(), " gradients, one per output"}, gradients.size(),
                    "leave out all of them for the value alone, or give unwanted ones null data");
    }
    for (std::size_t i = 0; i < gradients.size(); ++i) {
        view<float> const& g = gradients[i].values;
        if (g.data == nullptr) continue;
        if (!(g.dims == outputs[i].values.dims)) {
            throw error(where, {"a gradient of shape ", text_of(outputs[i].values.dims)},
                        {"\"", gradients[i].name, "\" ", text_of(g.dims)}, "give it the shape of its output");
        }
        if (i == chosen) {
            found.gradient = g;
        } else if (mode == store::write) {
            fill(device, g.size(), 0.0F, g.data);
        }
    }
    return found;
}

/// Throws error unless there is one label per row.
inline void check_labels(char const* where, view<std::int32_t const> const& labels, int rows) {
    if (labels.data == nullptr || labels.size() != rows) {
        throw error(where, {rows, " labels, one per row of the output"},
                    labels.data == nullptr ? word("none") : word(labels.size()),
                    "give every row a label, -1 where it has none");
    }
}

}  // namespace tempera
