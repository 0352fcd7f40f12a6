// SPDX-License-Identifier: Apache-2.0
#pragma once
// The two networks of SimCLRv2: simclr(encoder, head) for contrastive pretraining, and
// classifier(encoder, head, {.tap, .classes}) for fine-tuning from a middle layer of the head. Tensors keep
// their names from one to the other, so that load_matching needs no map.

#include <type_traits>

#include <tempera/nn/sequential.hpp>

namespace tempera {

template <class Encoder, class Head>
struct simclr_network {
    Encoder encoder;
    Head head;

    constexpr output_list operator()(value x) const {
        value const features = apply_named(encoder, x, "encoder");
        return outputs(output{"encoder", features}, output{"head", apply_named(head, features, "head")});
    }
};

/// Outputs "encoder" and "head": what pretraining trains.
template <class Encoder, class Head>
constexpr simclr_network<Encoder, Head> simclr(Encoder encoder, Head head) {
    return simclr_network<Encoder, Head>{encoder, head};
}

/// The tap was not chosen: 1 with a head, 0 without.
inline constexpr int unset = -1000;

struct classifier_config {
    int tap = unset;  ///< head layers kept, 0 .. layers; -1: all
    int classes = 1000;

    friend constexpr bool operator==(classifier_config const&, classifier_config const&) = default;
};

/// A head without layers: the classifier stands on the encoder.
struct no_head {
    friend constexpr bool operator==(no_head, no_head) = default;
};

template <class Encoder, class Head>
struct classifier_network {
    Encoder encoder;
    Head head;
    classifier_config config;

    constexpr output_list operator()(value x) const {
        trace& t = x.graph();
        value const features = apply_named(encoder, x, "encoder");
        value kept = features;
        if constexpr (requires { head.config.layers; }) {
            int const layers = head.config.layers;
            int const wanted = config.tap == unset ? 1 : config.tap == -1 ? layers : config.tap;
            bool const known = wanted >= 0 && wanted <= layers;
            if (!known) t.fail_number(fault::unknown_tap, op_kind::dense, wanted, layers);
            if (known && wanted > 0) {
                scope const level(x, "head");
                kept = head.tap(features, wanted);
            }
        } else {
            static_assert(std::is_same_v<Head, no_head>, "the head of a classifier has config.layers and tap(value, count)");
            if (config.tap != unset && config.tap != 0) t.fail_number(fault::unknown_tap, op_kind::dense, config.tap, 0);
        }
        int const classes = config.classes >= 2 ? config.classes : 2;
        if (classes != config.classes) t.fail_number(fault::wrong_classes, op_kind::dense, config.classes, 2);
        return outputs(output{"encoder", features},
                       output{"classifier", apply_named(dense{.units = classes, .classifies = true}, kept, "classifier")});
    }
};

/// Outputs "encoder" and "classifier". Head layers beyond the tap are not declared.
template <class Encoder, class Head>
constexpr classifier_network<Encoder, Head> classifier(Encoder encoder, Head head, classifier_config config) {
    return classifier_network<Encoder, Head>{encoder, head, config};
}

/// A classifier on the encoder itself.
template <class Encoder>
constexpr classifier_network<Encoder, no_head> classifier(Encoder encoder, classifier_config config) {
    return classifier_network<Encoder, no_head>{encoder, no_head{}, config};
}

}  // namespace tempera
