// SPDX-License-Identifier: Apache-2.0
#pragma once
// The encoders of the fixtures: which network, what goes in, how close its results must be.

#include <string>

#include <tempera/core/view.hpp>
#include <tempera/nn/resnet.hpp>

#include "../catch.hpp"
#include "../fixture.hpp"

namespace reference {

inline tempera::resnet_config config_of(std::string const& file) {
    tempera::resnet_config c;
    c.depth = static_cast<int>(fixture::number(file, "/config/resnet_depth"));
    c.base_filters = static_cast<int>(fixture::number(file, "/config/stem_channels"));
    c.selective_kernel = fixture::number(file, "/config/sk_ratio") > 0;
    c.se_ratio = static_cast<float>(fixture::number(file, "/config/se_ratio"));
    bool const cifar = fixture::json(file, "/config/cifar_stem") == "true";
    c.stem = cifar ? tempera::stem::cifar : c.selective_kernel ? tempera::stem::resnet_d : tempera::stem::imagenet;
    return c;
}

/// The number after a word in the tolerance text of the manifest.
inline double tolerance_of(std::string const& file, std::string const& word) {
    std::string const text = fixture::text(file, "/tolerance");
    auto const at = text.find(word + " ");
    REQUIRE(at != std::string::npos);
    return std::stod(text.substr(at + word.size() + 1));
}

inline tempera::shape shape_of(fixture::tensor const& t) { return {t.dims[1], t.dims[2], t.dims[3]}; }

inline tempera::view<float const> batch_of(fixture::tensor const& t) {
    return {t.values.data(), {t.dims[0], t.dims[1], t.dims[2], t.dims[3]}};
}

}  // namespace reference
