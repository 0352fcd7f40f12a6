// SPDX-License-Identifier: Apache-2.0
#pragma once
// distort_views: augmented views of byte images in device memory (device/distortion.hpp; kernels in augmentation.cuh).

#include <algorithm>
#include <cstdint>
#include <span>

#include <tempera/core/error.hpp>
#include <tempera/cuda/gpu.hpp>
#include <tempera/cuda/launch.hpp>

namespace tempera {

namespace cuda_kernels {

inline std::span<color_step const> color_steps(distortion const& d) {
    return std::span(d.colors).first(static_cast<std::size_t>(d.color_steps));
}

/// Throws error where a view would read beside its image, or names an operation that its channels do not have.
inline void require_drawn(distortion_geometry const& g, int images, std::span<drawn_view const> drawn) {
    auto const require = [](bool good, std::size_t i, phrase const& expected, phrase const& found) {
        if (!good)
            throw error({"distort_views, view ", i}, expected, found,
                        "draw decisions for images of this shape and number");
    };
    if (g.height < 1 || g.width < 1 || g.channels < 1)
        throw error("distort_views", "views of at least 1 x 1 x 1", {g.height, " x ", g.width, " x ", g.channels},
                    "give the size that the network takes");
    for (std::size_t i = 0; i < drawn.size(); ++i) {
        auto const& [image, d] = drawn[i];
        crop_box const& c = d.crop;
        require(image >= 0 && image < images, i, {"an image from 0 to ", images - 1}, image);
        require(c.y >= 0 && c.x >= 0 && c.height >= 1 && c.width >= 1 && c.height <= g.source_height - c.y &&
                    c.width <= g.source_width - c.x,
                i, {"a crop inside ", g.source_height, " x ", g.source_width},
                {c.height, " x ", c.width, " at row ", c.y, ", column ", c.x});
        require(d.color_steps >= 0 && d.color_steps <= 4, i, "0 to 4 color steps", d.color_steps);
        require(!(d.sigma > 0) || d.blur_radius >= 0, i, "a blur of radius 0 or more", d.blur_radius);
        bool colors = d.grayscale;
        for (color_step const& s : color_steps(d))
            colors = colors || s.operation == color_operation::saturation || s.operation == color_operation::hue;
        require(!colors || g.channels == 1 || g.channels == 3, i, "saturation, hue and grayscale on 1 or 3 channels",
                {g.channels, " channels"});
    }
}

inline distortion_work work_of(std::span<drawn_view const> drawn) {
    distortion_work work;
    for (drawn_view const& v : drawn) {
        distortion const& d = v.decisions;
        int contrasts = 0;
        for (color_step const& s : color_steps(d)) contrasts += s.operation == color_operation::contrast ? 1 : 0;
        work.contrasts = std::max(work.contrasts, contrasts);
        if (d.sigma > 0) work.blur_radius = std::max(work.blur_radius, d.blur_radius);
    }
    return work;
}

}  // namespace cuda_kernels

/// views {g.views, height, width, channels} from `image_count` images. `drawn`: what to make of them, in host memory;
/// `on_device`: the same in the device's. As many views at a time as fit tile_bytes, so that passes find them in the
/// second-level cache. Throws error before it starts where decisions do not fit the images.
inline void distort_views(gpu& device, distortion_geometry const& g, std::uint8_t const* images, int image_count,
                          std::span<drawn_view const> drawn, drawn_view const* on_device, float* views) {
    cuda_kernels::require_drawn(g, image_count, drawn);
    std::int64_t const view_size = std::int64_t{1} * g.height * g.width * g.channels;
    std::int64_t const fitting = device.context.tile_bytes / static_cast<std::int64_t>(sizeof(float)) / view_size;
    auto const at_once = static_cast<int>(std::clamp<std::int64_t>(fitting, 1, std::max(1, g.views)));
    for (int first = 0; first < g.views; first += at_once) {
        distortion_geometry part = g;
        part.views = std::min(at_once, g.views - first);
        auto const work =
            cuda_kernels::work_of(drawn.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(part.views)));
        float* const scratch = device.context.float_scratch(cuda_kernels::distortion_scratch(part, work).size());
        cuda_kernels::distort(device.context.stream(), part, work, images, on_device + first, views + first * view_size,
                              scratch);
    }
}

}  // namespace tempera
