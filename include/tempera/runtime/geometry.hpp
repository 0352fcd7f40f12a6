// SPDX-License-Identifier: Apache-2.0
#pragma once
// The plain geometry that catalogue functions take, from an op of a plan.

#include <string>

#include <tempera/core/error.hpp>
#include <tempera/core/spelling.hpp>
#include <tempera/core/view.hpp>
#include <tempera/device/batch_norm.hpp>
#include <tempera/device/convolution.hpp>
#include <tempera/device/pointwise.hpp>
#include <tempera/device/pooling.hpp>
#include <tempera/device/selective.hpp>
#include <tempera/graph/plan.hpp>

namespace tempera {

inline convolution_geometry convolution_of(plan_view const& p, op const& o, int batch) {
    shape const in = p.values[o.in0], out = p.values[o.out];
    return {.batch = batch,
            .in_height = in.height,
            .in_width = in.width,
            .in_channels = in.channels,
            .out_height = out.height,
            .out_width = out.width,
            .out_channels = out.channels,
            .kernel = o.kernel,
            .stride = o.stride,
            .pad_top = o.pad_top,
            .pad_left = o.pad_left};
}

inline pool_geometry pool_of(plan_view const& p, op const& o, int batch) {
    shape const in = p.values[o.in0], out = p.values[o.out];
    return {.batch = batch,
            .in_height = in.height,
            .in_width = in.width,
            .out_height = out.height,
            .out_width = out.width,
            .channels = in.channels,
            .kernel = o.kernel,
            .stride = o.stride,
            .pad_top = o.pad_top,
            .pad_left = o.pad_left,
            .count_padding = o.flag};
}

inline batch_norm_geometry batch_norm_of(plan_view const& p, op const& o, int batch) {
    shape const s = p.values[o.in0];
    return {.rows = s.positions() * batch, .channels = s.channels, .epsilon = o.number};
}

inline gate_geometry gate_of(plan_view const& p, op const& o, int batch) {
    shape const s = p.values[o.in0];
    return {.batch = batch, .positions = s.positions(), .channels = s.channels};
}

/// Of an op that reads the branches of a selective kernel, or of the batch_norm before them.
inline selective_geometry selective_of(plan_view const& p, op const& o, int batch) {
    shape const s = p.values[o.in0];
    return {.batch = batch, .positions = s.positions(), .filters = s.channels / 2};
}

inline drop_block_geometry drop_block_of(plan_view const& p, op const& o, int batch) {
    shape const s = p.values[o.in0];
    int const smallest = s.height < s.width ? s.height : s.width;
    return {.batch = batch,
            .height = s.height,
            .width = s.width,
            .channels = s.channels,
            .block = o.kernel < smallest ? o.kernel : smallest,
            .keep = o.number};
}

/// "norm at encoder.stage2.block0.norm1": how errors name an op.
inline std::string spell(plan_view const& p, op const& o) {
    std::string const path(p.path_of(o.scope).text());
    return std::string(name_of(o.kind)) + (path.empty() ? "" : " at " + path);
}

/// Throws error unless a batch holds 1 to `most` samples of the network's input shape.
inline void require_batch(char const* where, view<float const> const& batch, shape in, int most, char const* advice) {
    if (batch.data != nullptr && batch.dims.sample() == in && batch.dims.n >= 1 && batch.dims.n <= most) return;
    std::string const found = phrase{batch.dims.n, " samples ", text_of(batch.dims.sample())}.text();
    throw error(where, {"a batch of 1..", most, " samples ", text_of(in)}, batch.data == nullptr ? "no data" : found,
                advice);
}

/// Batch statistics of one value, in all processes, are meaningless (variance 0).
inline void require_rows(plan_view const& p, op const& o, std::int64_t rows) {
    if (rows > 1) return;
    throw error(spell(p, o), "at least 2 values per channel for batch statistics", rows,
                "train with a larger batch, or freeze this part with bn::moving");
}

}  // namespace tempera
