// SPDX-License-Identifier: Apache-2.0
#pragma once
// Frozen parts of a network and the modes of batch norm.

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include <tempera/core/error.hpp>
#include <tempera/core/text.hpp>

namespace tempera {

/// Which statistics batch norm uses in training, and whether it updates the moving ones.
enum class bn : std::uint8_t { batch, batch_without_update, moving };

using prefix_text = fixed_text<64>;

/// Tensors whose name starts with a prefix are not trained; batch norm below it runs in `mode`.
struct frozen {
    prefix_text prefix{};
    bn mode = bn::moving;

    constexpr frozen() = default;
    constexpr frozen(char const* name, bn statistics = bn::moving) : prefix(name), mode(statistics) {}

    /// Whole levels only: "encoder.stage1" holds "encoder.stage1.block0" and not "encoder.stage10".
    constexpr bool holds(std::string_view path) const {
        std::string_view const p = prefix.text();
        return path.substr(0, p.size()) == p && (path.size() == p.size() || p.empty() || path[p.size()] == '.');
    }
};

/// Up to eight frozen parts; the first that holds a name decides.
struct frozen_list {
    static constexpr int capacity = 8;
    frozen parts[capacity]{};
    int count = 0;

    constexpr frozen_list() = default;
    constexpr frozen_list(frozen part) : count(1) { parts[0] = part; }
    constexpr frozen_list(std::initializer_list<frozen> list) {
        if (list.size() > capacity)
            throw error("frozen_list", "at most 8 parts", list.size(), "freeze a prefix that holds several");
        for (frozen const& f : list) parts[count++] = f;
    }
    /// Null when the name is trained.
    constexpr frozen const* find(std::string_view path) const {
        for (int i = 0; i < count; ++i)
            if (parts[i].holds(path)) return &parts[i];
        return nullptr;
    }
};

}  // namespace tempera
