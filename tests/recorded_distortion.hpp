// SPDX-License-Identifier: Apache-2.0
#pragma once
// The random decisions that the authors' code took, as fixtures/augment.safetensors records them.

#include <string>

#include <tempera/device/distortion.hpp>

#include "catch.hpp"
#include "fixture.hpp"

inline tempera::color_operation operation_of(float code) {
    using tempera::color_operation;
    REQUIRE((code >= 0 && code <= 4));
    constexpr color_operation order[] = {color_operation::brightness, color_operation::contrast,
                                         color_operation::saturation, color_operation::hue,
                                         color_operation::brightness_shift};
    return order[static_cast<int>(code)];
}

/// Of the view whose tensors begin with `at`.
inline tempera::distortion recorded_distortion(fixture::file const& file, std::string const& at) {
    auto const& box = file[at + "/crop_y_x_h_w"].values;
    tempera::distortion d;
    d.crop = {static_cast<int>(box[0]), static_cast<int>(box[1]), static_cast<int>(box[2]), static_cast<int>(box[3])};
    d.flip = file[at + "/flip"].values.at(0) > 0;
    d.grayscale = file[at + "/grayscale"].values.at(0) > 0;
    if (file.has(at + "/ops"))
        for (std::size_t k = 0; k < file[at + "/ops"].values.size(); ++k)
            d.colors.at(static_cast<std::size_t>(d.color_steps++)) = {operation_of(file[at + "/ops"].values[k]),
                                                                      file[at + "/values"].values[k]};
    return d;
}
