// SPDX-License-Identifier: Apache-2.0
#pragma once
// image_memory: byte images that stay on the device, and the augmented views that it makes of them. Of each step only the
// decisions come from the host, 72 bytes a view, copied beside the device's work.

#include <cstdint>
#include <span>

#include <tempera/core/error.hpp>
#include <tempera/core/shape.hpp>
#include <tempera/cuda/augmentation.hpp>
#include <tempera/cuda/double_buffer.hpp>

namespace tempera {

class image_memory {
public:
    /// Whether the images take at most half of the memory that is free, which leaves room for batches and scratch memory.
    static bool fits(gpu& device, shape image, int count) {
        return static_cast<std::uint64_t>(count * image.size()) <= device.memory_left().first / 2;
    }

    /// Room for `count` images of one shape.
    image_memory(gpu& device, shape image, int count)
        : device_(&device), image_(image), count_(count), bytes_(device, count * image.size()), decisions_(device) {}

    /// Copies images to the places first, first + 1, ...; the host memory may go after device.synchronize().
    void put(int first, view<std::uint8_t const> images) {
        if (first < 0 || images.batch() > count_ - first || images.dims.sample() != image_)
            throw error("image_memory::put", {"images of the shape given, below place ", count_},
                        {images.batch(), " of ", images.dims.h, " x ", images.dims.w, " x ", images.dims.c,
                         " at place ", first},
                        "make the memory for the shape and number of the images");
        cuda_kernels::check(
            cudaMemcpyAsync(bytes_.data() + first * image_.size(), images.data, static_cast<std::size_t>(images.size()),
                            cudaMemcpyHostToDevice, device_->context.stream()),
            "cudaMemcpyAsync");
    }

    /// The views that were drawn, {drawn.size(), height, width, c}; their memory is the same at every call of a size, and
    /// valid until the next. Waits for nothing that the device does.
    view<float const> operator()(std::span<drawn_view const> drawn, int height, int width, resize_rule rule) {
        distortion_geometry const g{
            static_cast<int>(drawn.size()), image_.height, image_.width, image_.channels, height, width, rule};
        extents const dims{g.views, height, width, image_.channels};
        if (dims.size() > views_.size()) views_ = buffer<float>(*device_, dims.size());
        auto const on_device = decisions_(view<drawn_view const>{drawn.data(), {g.views}});
        distort_views(*device_, g, bytes_.data(), count_, drawn, on_device.data, views_.data());
        return {views_.data(), dims};
    }

private:
    gpu* device_;
    shape image_;
    int count_;
    buffer<std::uint8_t> bytes_;
    buffer<float> views_;
    double_buffer<drawn_view> decisions_;
};

}  // namespace tempera
