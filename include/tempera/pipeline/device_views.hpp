// SPDX-License-Identifier: Apache-2.0
#pragma once
// device_views: the augmented batches of a set, on the device that a model runs on. Pixels come from the loader's threads,
// or, on a device that makes views itself and has room for the set, from the images that lie there (device/distortion.hpp).

#include <optional>

#include <tempera/data/loader.hpp>
#include <tempera/device/distortion.hpp>
#include <tempera/pipeline/device_batch.hpp>

namespace tempera {

template <class Device>
class device_views {
public:
    device_views(Device& device, image_set const&, augmentation const&, bool = false) : pixels_(device) {}

    /// What loader_options::draw_only must be for its batches.
    bool draw_only() const { return false; }
    /// Valid until the next call.
    view<float const> operator()(image_batch const& batch) { return pixels_(batch.images); }

private:
    device_batch<float, Device> pixels_;
};

template <distorts_views Device>
class device_views<Device> {
public:
    /// Copies the set, if it fits and views are not made by the loader's threads anyhow.
    device_views(Device& device, image_set const& set, augmentation const& augment, bool by_loader = false)
        : pixels_(device), rule_(augment.resize) {
        require_images(set);
        shape const image = set.image_shape();
        if (by_loader || !Device::images::fits(device, image, set.size())) return;
        images_.emplace(device, image, set.size());
        for (int first = 0, last = 0; first < set.size();
             first = last) {  // runs of images that are neighbours in memory
            auto const run = set.image(first);
            do ++last;
            while (last < set.size() && set.image(last).data == run.data + (last - first) * image.size());
            images_->put(first, {run.data, {last - first, image.height, image.width, image.channels}});
        }
        device.synchronize();
    }

    bool draw_only() const { return images_.has_value(); }
    view<float const> operator()(image_batch const& batch) {
        if (!images_) return pixels_(batch.images);
        return (*images_)(batch.drawn, batch.images.dims.h, batch.images.dims.w, rule_);
    }

private:
    device_batch<float, Device> pixels_;
    resize_rule rule_;
    std::optional<typename Device::images> images_;
};

}  // namespace tempera
