// SPDX-License-Identifier: Apache-2.0
#pragma once
// Channel attention: selective_kernel (Li et al. 2019, in the form of SimCLRv2: two 3x3 branches as one
// convolution) and squeeze_excite (Hu et al. 2018).

#include <tempera/nn/pointwise.hpp>
#include <tempera/nn/pool.hpp>
#include <tempera/nn/sequential.hpp>

namespace tempera {

/// Two 3x3 branches of `filters` channels, merged by a softmax over branches that global features decide.
struct selective_kernel {
    int filters = 0;        ///< of the result, and of either branch: to be given
    int stride = 1;
    float ratio = 0.0625F;  ///< features are squeezed to this share of the filters, 32 at least; above 0

    constexpr value operator()(value x) const {
        trace& t = x.graph();
        int const f = t.positive(filters, op_kind::selective_merge);
        t.require(ratio > 0 && ratio <= 64, fault::setting_out_of_range, op_kind::selective_merge, ratio, 0.01F);
        value const branches = relu(batch_norm{}(conv{.filters = 2 * f, .stride = stride}(x)));
        op average{};
        average.kind = op_kind::selective_average;
        value const features = branches.emit(average, tempera::shape{1, 1, f});
        int const scaled = static_cast<int>(static_cast<float>(f) * ratio);
        value const squeezed = relu(batch_norm{}(conv{.filters = scaled > 32 ? scaled : 32, .kernel = 1}(features)));
        value const logits = conv{.filters = 2 * f, .kernel = 1}(squeezed);
        op merge{};
        merge.kind = op_kind::selective_merge;
        merge.in1 = logits.id();
        return branches.emit(merge, tempera::shape{branches.shape().height, branches.shape().width, f});
    }
};

/// x * sigmoid(expand(relu(reduce(mean x)))), both with bias.
struct squeeze_excite {
    float ratio = 0.25F;  ///< above 0
    int filters = 0;  ///< what ratio scales; 0: the channels of x

    constexpr value operator()(value x) const {
        int const channels = x.shape().channels;
        x.graph().require(ratio > 0 && ratio <= 64, fault::setting_out_of_range, op_kind::gate, ratio, 0.01F);
        int const scaled = static_cast<int>(static_cast<float>(filters > 0 ? filters : channels) * ratio);
        value const reduced =
            relu(conv{.filters = scaled > 1 ? scaled : 1, .kernel = 1, .bias = true}(global_average_pool(x)));
        return x * sigmoid(conv{.filters = channels, .kernel = 1, .bias = true}(reduced));
    }
};

}  // namespace tempera
