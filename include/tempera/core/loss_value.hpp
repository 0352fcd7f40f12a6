// SPDX-License-Identifier: Apache-2.0
#pragma once
// What a loss reads, writes and reports.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include <tempera/core/error.hpp>
#include <tempera/core/view.hpp>

namespace tempera {

/// Means over the batch. accuracy: fraction of rows whose largest logit is the target: the label, for distillation the
/// teacher's largest logit, for nt_xent the other view among the N embeddings of its batch. entropy: mean entropy in nats
/// of the predicted distribution.
struct loss_value {
    float loss = 0;
    float accuracy = 0;
    float entropy = 0;
};

/// What the loss compares with. Device memory.
struct targets {
    view<std::int32_t const> labels{};        ///< {n,1,1,1}; -1: no label
    view<float const> teacher_logits{};       ///< {n,1,1,classes}
};

/// Named float32 views of a network's outputs, in the order of outputs(...).
template <class T>
class named_views {
public:
    struct entry {
        std::string_view name;
        view<T> values;
    };

    named_views() = default;
    explicit named_views(std::span<entry const> entries) : entries_(entries) {}

    std::size_t size() const { return entries_.size(); }
    entry const& operator[](std::size_t i) const { return entries_[i]; }
    /// The output that the loss sees by default. Throws error where there is none.
    view<T> last() const { return entries_.empty() ? (*this)[std::string_view("last")] : entries_.back().values; }
    /// Throws error when no output has this name, and for the gradient of one that takes none.
    view<T> operator[](std::string_view name) const {
        for (auto const& e : entries_) {
            if (e.name != name) continue;
            if (!std::is_const_v<T> && e.values.data == nullptr)
                throw error({"gradient of output \"", name, "\""}, "an output that takes a gradient", "one that takes none",
                            "name it in model_options::loss_outputs, and in the loss's reads()");
            return e.values;
        }
        if (entries_.empty())
            throw error({"outputs: \"", name, "\""}, "outputs, or gradients that are wanted", "none",
                        "where gradients.size() is 0, give the value alone");
        std::string known;
        for (auto const& e : entries_) known += (known.empty() ? "" : ", ") + std::string(e.name);
        throw error("outputs", {"one of ", known}, {"\"", name, "\""}, "ask for a name the network gives");
    }
    auto begin() const { return entries_.begin(); }
    auto end() const { return entries_.end(); }

private:
    std::span<entry const> entries_{};
};

using output_views = named_views<float const>;
/// Where a loss writes d loss / d output. One that takes no gradient has a view whose data is null, by its number.
using gradient_views = named_views<float>;

}  // namespace tempera
