// SPDX-License-Identifier: Apache-2.0
#pragma once
// Catalogue: memory of a device. buffer<T> owns some; upload and download are members of the device.
//
// A device has: void* allocate(bytes) (64-byte aligned, throws error naming the bytes), void deallocate(p),
//               void upload(view<T const> host, buffer<T>&), void download(view<T const> device, view<T> host),
//               void synchronize().

#include <cstddef>
#include <cstdint>
#include <utility>

#include <tempera/core/view.hpp>

namespace tempera {

/// Uninitialized device memory for `count` elements, freed on destruction. Must not outlive the device.
template <class T>
class buffer {
public:
    buffer() = default;

    template <class Device>
    buffer(Device& device, std::int64_t count)
        : data_(static_cast<T*>(device.allocate(static_cast<std::size_t>(count) * sizeof(T)))),
          count_(count),
          device_(&device),
          free_([](void* d, void* p) { static_cast<Device*>(d)->deallocate(p); }) {}

    buffer(buffer&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)),
          count_(std::exchange(other.count_, 0)),
          device_(other.device_),
          free_(other.free_) {}
    buffer& operator=(buffer&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(count_, other.count_);
        std::swap(device_, other.device_);
        std::swap(free_, other.free_);
        return *this;
    }
    ~buffer() {
        if (data_ != nullptr) free_(device_, data_);
    }

    T* data() { return data_; }
    T const* data() const { return data_; }
    std::int64_t size() const { return count_; }

    /// The elements as a vector view {count, 1, 1, 1} (count below 2^31).
    tempera::view<T> view() { return {data_, {static_cast<int>(count_), 1, 1, 1}}; }
    tempera::view<T const> view() const { return {data_, {static_cast<int>(count_), 1, 1, 1}}; }

private:
    T* data_ = nullptr;
    std::int64_t count_ = 0;
    void* device_ = nullptr;
    void (*free_)(void*, void*) = nullptr;
};

}  // namespace tempera
