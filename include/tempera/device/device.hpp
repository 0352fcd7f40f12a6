// SPDX-License-Identifier: Apache-2.0
#pragma once
// The concept of a device: memory, and every function of the catalogue. A device that lacks one fails to
// compile; nothing falls back in silence.

#include <concepts>

#include <tempera/core/device_kind.hpp>
#include <tempera/device/batch_norm.hpp>
#include <tempera/device/convolution.hpp>
#include <tempera/device/losses.hpp>
#include <tempera/device/matmul.hpp>
#include <tempera/device/memory.hpp>
#include <tempera/device/normalized_branches.hpp>
#include <tempera/device/optimizers.hpp>
#include <tempera/device/pointwise.hpp>
#include <tempera/device/pooling.hpp>
#include <tempera/device/selective.hpp>

namespace tempera {

template <class D>
concept has_memory = requires(D& device, void* p, view<float const> host, view<float> out, buffer<float>& memory) {
    { device.allocate(std::size_t{1}) } -> std::same_as<void*>;
    device.deallocate(p);
    device.upload(host, memory);
    device.download(host, out);
    device.synchronize();
    { D::kind } -> std::convertible_to<device_kind>;
};

/// A device that trains networks whose activations are stored as T.
template <class D, class T = float>
concept Device = has_memory<D> && provides_convolution<D, T> && provides_matmul<D> && provides_batch_norm<D, T> &&
                 provides_pooling<D, T> && provides_pointwise<D, T> && provides_selective<D, T> &&
                 provides_normalized_branches<D, T> && provides_losses<D> && provides_optimizers<D>;

}  // namespace tempera
