// SPDX-License-Identifier: Apache-2.0
#pragma once
// The trace of a network function: fixed arrays that the layers append to, at compile time or at run
// time. Names are a tree of scopes, spelled on demand.

#include <cstdint>
#include <string_view>

#include <tempera/core/shape.hpp>
#include <tempera/core/text.hpp>
#include <tempera/graph/fault.hpp>
#include <tempera/graph/op.hpp>

/// Capacity of a trace; define it before the first include to raise it.
#ifndef TEMPERA_MAX_OPS
#define TEMPERA_MAX_OPS 1536
#endif

namespace tempera {

inline constexpr int max_ops = TEMPERA_MAX_OPS;
inline constexpr int max_tensors = 3 * TEMPERA_MAX_OPS;
inline constexpr int max_outputs = 8;
inline constexpr int max_depth = 24;  ///< levels of a path
inline constexpr int max_customs = TEMPERA_MAX_OPS / 16 + 1;

/// One level of the path of a name. number < 0: none. Digits at the end of a name are its number, so that two levels
/// spelled alike are alike.
struct scope_node {
    name_text name{};
    int number = -1;
    int path_length = 0;  ///< characters of the whole path
    int depth = 0;
    int parent = -1;
    int first_child = -1;
    int next_sibling = -1;
    int named_convs = 0, named_denses = 0, named_norms = 0, named_others = 0;  ///< default names given so far
};

/// "encoder.stage2.block0.conv1"
template <class Scopes>
constexpr path_text path_of(Scopes const& scopes, int scope) {
    int levels[max_depth]{};
    int depth = 0;
    for (int s = scope; s > 0 && depth < max_depth; s = scopes[s].parent) levels[depth++] = s;
    path_text out;
    while (depth > 0) {
        scope_node const& s = scopes[levels[--depth]];
        if (out.length > 0) out.push('.');
        out.push(s.name.text());
        if (s.number >= 0) out.push_number(s.number);
    }
    return out;
}

struct output_record {
    name_text name{};
    int value = no_value;
};

struct trace {
    op ops[max_ops]{};
    shape values[max_ops]{};  ///< value i is made by op i
    tensor tensors[max_tensors]{};
    scope_node scopes[max_ops]{};
    output_record outputs[max_outputs]{};
    custom_record customs[max_customs]{};
    int op_count = 0;
    int tensor_count = 0;
    int scope_count = 1;
    int output_count = 0;
    int custom_count = 0;
    int here = 0;               ///< the scope that new ops stand in
    name_text next_name{};  ///< given by named() or sequential() to the next layer
    int next_number = -1;
    bool next_is_named = false;
    diagnosis bad{};

    /// Keeps the first fault, at the current path with `leaf` behind it.
    constexpr void fail(fault what, op_kind op, shape got, shape expected, std::string_view leaf = {}) {
        if (bad.what != fault::none) return;
        bad = diagnosis{what, op, got, expected, path_of(scopes, here)};
        if (here == 0 && leaf.empty() && scope_count > 1) {  // no scope to name: what came before
            bad.where.push("after ");
            bad.where.push(path_of(scopes, scope_count - 1).text());
        }
        if (bad.where.length > 0 && !leaf.empty()) bad.where.push('.');
        bad.where.push(leaf);
    }
    constexpr void fail_number(fault what, op_kind op, int got, int expected) {
        fail(what, op, shape{1, 1, got}, shape{1, 1, expected});
    }
    /// Records a fault unless a fraction is legal; `nearest`: the nearest legal one.
    constexpr void require(bool legal, fault what, op_kind op, float found, float nearest) {
        if (!legal) fail_number(what, op, hundredths(found), hundredths(nearest));
    }
    /// Records a fault unless n >= 1; returns a legal number.
    constexpr int positive(int n, op_kind op) {
        if (n < 1) fail_number(fault::positive_number_expected, op, n, 1);
        return n < 1 ? 1 : n;
    }

    /// Appends an op; its value has shape `out`. Past the capacity the last op is overwritten.
    constexpr int emit(op const& o, shape out) {
        if (op_count == max_ops) {
            fail_number(fault::too_many_ops_raise_TEMPERA_MAX_OPS, o.kind, max_ops + 1, max_ops);
            --op_count;
        }
        ops[op_count] = o;
        ops[op_count].out = op_count;
        values[op_count] = out;
        return op_count++;
    }

    /// Adds a tensor to the op about to be emitted; past the capacity it is left out.
    constexpr void declare(op& o, tensor const& t) {
        if (tensor_count == max_tensors) {
            fail_number(fault::too_many_ops_raise_TEMPERA_MAX_OPS, o.kind, max_tensors + 1, max_tensors);
            return;
        }
        if (o.tensors == 0) o.tensor = tensor_count;
        ++o.tensors;
        tensors[tensor_count] = t;
        tensors[tensor_count].scope = o.scope;
        ++tensor_count;
    }

    /// Opens a scope below the current one without entering it. Past the capacity the last scope stands for it.
    constexpr int open(std::string_view name, int number) {
        if (scope_count == max_ops) {
            fail_number(fault::too_many_ops_raise_TEMPERA_MAX_OPS, op_kind::input, max_ops + 1, max_ops);
            return scope_count - 1;
        }
        scope_node& node = scopes[scope_count];
        node = scope_node{};
        node.name.push(name);
        node.number = number;
        if (!name.empty() && is_digit(name.back())) number_from_digits(node);
        for (int c = scopes[here].first_child; c >= 0; c = scopes[c].next_sibling)
            if (scopes[c].number == node.number && scopes[c].name == node.name) fail_at(fault::duplicate_name, c);
        if (name.find('.') != std::string_view::npos || (name.empty() && number < 0))
            fail(fault::malformed_name, op_kind::input, shape{}, shape{}, name);
        node.parent = here;
        node.depth = scopes[here].depth + 1;
        node.path_length = scopes[here].path_length + (here > 0 ? 1 : 0) + node.name.length + digits_of(node.number);
        // room for ".moving_variance" behind it
        if (static_cast<int>(name.size()) > name_text::capacity || node.depth > max_depth ||
            node.path_length + 16 > path_text::capacity)
            fail(fault::path_too_long, op_kind::input, shape{}, shape{}, name);
        node.next_sibling = scopes[here].first_child;
        scopes[here].first_child = scope_count;
        return scope_count++;
    }

    constexpr void name_next(std::string_view name, int number) {
        next_name = name_text{};
        next_name.push(name);
        next_number = number;
        next_is_named = true;
    }

    /// The scope of a layer with tensors: the name that named() gave, else its kind and a running number.
    constexpr int open_layer(op_kind kind) {
        if (next_is_named) {
            next_is_named = false;
            return open(next_name.text(), next_number);
        }
        scope_node& s = scopes[here];
        int& given = kind == op_kind::conv         ? s.named_convs
                     : kind == op_kind::dense      ? s.named_denses
                     : kind == op_kind::batch_norm ? s.named_norms
                                                   : s.named_others;
        return open(name_of(kind), ++given);
    }

private:
    constexpr void fail_at(fault what, int scope) {
        int const previous = here;
        here = scope;
        fail(what, op_kind::input, shape{}, shape{});
        here = previous;
    }

    /// Rounded away from 0, so that what is too small or too large still looks so; no number is the largest.
    static constexpr int hundredths(float x) {
        if (!(x > -1e6F && x < 1e6F)) return 100'000'000;
        auto const whole = static_cast<int>(x * 100);
        float const rest = x * 100 - static_cast<float>(whole);
        return whole + (rest > 1e-3F ? 1 : rest < -1e-3F ? -1 : 0);
    }
    static constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
    static constexpr int digits_of(int number) {
        int digits = number >= 0 ? 1 : 0;
        for (; number > 9; number /= 10) ++digits;
        return digits;
    }
    /// "conv12" becomes "conv" and 12; zeros in front, and all but the last nine digits, stay in the name.
    static constexpr void number_from_digits(scope_node& node) {
        name_text spelled = node.name;
        if (node.number >= 0) spelled.push_number(node.number);
        int begin = spelled.length;
        while (begin > 0 && is_digit(spelled.characters[begin - 1]) && spelled.length - begin < 9) --begin;
        while (begin + 1 < spelled.length && spelled.characters[begin] == '0') ++begin;
        node = scope_node{};
        node.name.push(spelled.text().substr(0, static_cast<std::size_t>(begin)));
        node.number = 0;
        for (int i = begin; i < spelled.length; ++i) node.number = 10 * node.number + (spelled.characters[i] - '0');
    }
};

}  // namespace tempera
