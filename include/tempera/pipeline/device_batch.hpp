// SPDX-License-Identifier: Apache-2.0
#pragma once
// device_batch: brings a batch from host memory to the device that a model runs on. On the cpu it is there already; a
// device with a feed of its own (gpu: double_buffer) copies beside its work.

#include <cstdint>

#include <tempera/core/device_kind.hpp>
#include <tempera/device/memory.hpp>

namespace tempera {

template <class T, class Device>
class device_batch {
public:
    explicit device_batch(Device& device) : device_(&device) {}

    /// Valid until the next call.
    view<T const> operator()(view<T const> host) {
        if constexpr (Device::kind == device_kind::cpu) {
            return host;
        } else {
            if (host.size() > memory_.size()) memory_ = buffer<T>(*device_, host.size());
            device_->upload(host, memory_);
            return {memory_.data(), host.dims};
        }
    }

private:
    Device* device_;
    buffer<T> memory_;
};

template <class T, class Device>
requires requires { typename Device::template feed<T>; }
class device_batch<T, Device> : public Device::template feed<T> {
public:
    using Device::template feed<T>::feed;
};

}  // namespace tempera
