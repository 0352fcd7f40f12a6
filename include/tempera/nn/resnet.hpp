// SPDX-License-Identifier: Apache-2.0
#pragma once
// The ResNets of SimCLRv2 (section 2, table 1): depth 10 (ours), 18, 34 with basic blocks, 50, 101, 152, 200 with
// bottlenecks; width multiplier, selective kernels, squeeze-excite, DropBlock.
//
//   stem -> stages of blocks, strides 1, 2, 2, 2, filters base * width * 2^stage -> global average pool

#include <cstdint>

#include <tempera/core/list.hpp>
#include <tempera/nn/attention.hpp>

namespace tempera {

enum class stem : std::uint8_t {
    automatic,  ///< cifar up to 32 pixels, else resnet_d with selective kernels, else imagenet
    imagenet,   ///< 7x7/2, max pool 3x3/2
    resnet_d,   ///< 3x3/2, 3x3, 3x3, max pool 3x3/2
    cifar,      ///< 3x3, no pool
    small,      ///< 3x3/2, no pool (ours)
};

struct resnet_config {
    int depth = 50;         ///< 10, 18, 34, 50, 101, 152 or 200
    int width = 1;          ///< multiplies the filters of every layer
    int base_filters = 64;  ///< of the first stage's 3x3 convolutions
    int stages = 4;         ///< 1 to 4; each halves the map and doubles the filters
    tempera::stem stem = tempera::stem::automatic;
    bool selective_kernel = false;  ///< in basic blocks it replaces the first 3x3 + BN + ReLU (ours)
    float sk_ratio = 0.0625F;   ///< selective_kernel::ratio
    float se_ratio = 0;         ///< squeeze_excite::ratio; 0: none
    float drop_block_keep = 1;  ///< bottlenecks of all stages, block size 7; basic blocks have none, there it is 1

    friend constexpr bool operator==(resnet_config const&, resnet_config const&) = default;
};

/// A ResNet encoder: {h,w,c} to {1,1,features}.
struct resnet_network {
    resnet_config config{};

    constexpr bool bottleneck() const { return config.depth >= 50; }

    constexpr value operator()(value x) const {
        trace& t = x.graph();
        fixed_list<int, 4> const blocks = blocks_per_stage(t);
        int const filters = t.positive(config.base_filters, op_kind::conv) * t.positive(config.width, op_kind::conv);
        int const stages = config.stages >= 1 && config.stages <= 4 ? config.stages : 4;
        if (stages != config.stages) t.fail_number(fault::setting_out_of_range, op_kind::conv, config.stages, 4);
        t.require(config.se_ratio >= 0, fault::setting_out_of_range, op_kind::gate, config.se_ratio, 0);
        t.require(bottleneck() || config.drop_block_keep == 1, fault::setting_out_of_range, op_kind::drop_block,
                  config.drop_block_keep, 1);
        x = stem_of(x, filters);
        for (int s = 0; s < stages; ++s) {
            scope const stage(x, "stage", s + 1);
            for (int b = 0; b < blocks[s]; ++b)
                x = block(x, filters << s, b == 0 && s > 0 ? 2 : 1, b);
        }
        return global_average_pool(x);
    }

private:
    constexpr fixed_list<int, 4> blocks_per_stage(trace& t) const {
        switch (config.depth) {
            case 10: return fixed_list<int, 4>{1, 1, 1, 1};
            case 18: return fixed_list<int, 4>{2, 2, 2, 2};
            case 34: return fixed_list<int, 4>{3, 4, 6, 3};
            case 50: return fixed_list<int, 4>{3, 4, 6, 3};
            case 101: return fixed_list<int, 4>{3, 4, 23, 3};
            case 152: return fixed_list<int, 4>{3, 8, 36, 3};
            case 200: return fixed_list<int, 4>{3, 24, 36, 3};
            default: t.fail_number(fault::unknown_depth, op_kind::conv, config.depth, 50);
        }
        return fixed_list<int, 4>{1, 1, 1, 1};
    }

    static constexpr value unit(value x, int filters, int kernel, int stride) {
        return relu(batch_norm{}(conv{.filters = filters, .kernel = kernel, .stride = stride}(x)));
    }

    constexpr value stem_of(value x, int filters) const {
        scope const level(x, "stem");
        int const pixels = x.shape().height > x.shape().width ? x.shape().height : x.shape().width;
        tempera::stem kind = config.stem;
        if (kind == stem::automatic)
            kind = pixels <= 32 ? stem::cifar : config.selective_kernel ? stem::resnet_d : stem::imagenet;
        switch (kind) {
            case stem::cifar: return unit(x, filters, 3, 1);
            case stem::small: return unit(x, filters, 3, 2);
            case stem::resnet_d:
                x = unit(x, (filters + 1) / 2, 3, 2);
                x = unit(x, (filters + 1) / 2, 3, 1);
                return max_pool{.kernel = 3, .stride = 2}(unit(x, filters, 3, 1));
            default: return max_pool{.kernel = 3, .stride = 2}(unit(x, filters, 7, 2));
        }
    }

    /// Projection of the first block of every stage; ResNet-D's average pool with selective kernels.
    constexpr value shortcut(value x, int filters, int stride) const {
        scope const level(x, "shortcut");
        if (config.selective_kernel) {
            x = average_pool{.kernel = 2, .stride = stride, .count_padding = stride > 1}(x);
            stride = 1;
        }
        return batch_norm{}(conv{.filters = filters, .kernel = 1, .stride = stride}(x));
    }

    constexpr value block(value x, int filters, int stride, int index) const {
        scope const level(x, "block", index);
        int const width = bottleneck() ? 4 * filters : filters;
        value const kept = drop(index == 0 ? shortcut(x, width, stride) : x);
        auto spatial = [&](value in) {
            if (!config.selective_kernel) return unit(in, filters, 3, stride);
            scope const selective(in, "selective");
            return selective_kernel_layer(filters, stride)(in);
        };
        value y = x;
        if (bottleneck()) {
            y = drop(unit(y, filters, 1, 1));
            y = drop(spatial(y));
            y = drop(batch_norm{.zero_scale = true}(conv{.filters = width, .kernel = 1}(y)));
        } else {
            y = spatial(y);
            y = batch_norm{.zero_scale = true}(conv{.filters = width}(y));
        }
        if (config.se_ratio > 0) {
            scope const excite(y, "excite");
            y = squeeze_excite{.ratio = config.se_ratio, .filters = filters}(y);
        }
        return relu(y + kept);
    }

    constexpr tempera::selective_kernel selective_kernel_layer(int filters, int stride) const {
        return {.filters = filters, .stride = stride, .ratio = config.sk_ratio};
    }
    constexpr value drop(value x) const {
        return bottleneck() ? drop_block{.keep = config.drop_block_keep}(x) : x;
    }
};

template <resnet_config Config>
inline constexpr resnet_network resnet{Config};

}  // namespace tempera
